import pytest
from agent_environment import EXPECTED_PROCESSES, PID, VERSION_1, VERSION_2, Kernel

from fwbench.agent.cgroup import Cgroup, cgroup_of


@pytest.mark.parametrize(("version", "files"), [(1, VERSION_1), (2, VERSION_2)])
def test_both_versions_give_the_same_values(
    kernel: Kernel, version: int, files: dict[str, str]
) -> None:
    kernel(files)
    cgroup = Cgroup(PID)
    assert cgroup.version == version
    assert cgroup.oom_kills() == 3
    assert cgroup.memory_peak_bytes() == 94371840
    assert cgroup.memory_limit_bytes() == 536870912
    assert cgroup.cpu_s() == 2.5
    assert cgroup.processes() == EXPECTED_PROCESSES  # without 4251, which has ended


@pytest.mark.parametrize(
    ("files", "change"),
    [
        (VERSION_1, {"cgroup/memory/docker/abc/memory.limit_in_bytes": "9223372036854771712\n"}),
        (VERSION_2, {"cgroup/system.slice/docker-abc.scope/memory.max": "max\n"}),
    ],
)
def test_missing_limit_is_none(
    kernel: Kernel, files: dict[str, str], change: dict[str, str]
) -> None:
    kernel(files | change)
    assert Cgroup(PID).memory_limit_bytes() is None


@pytest.mark.parametrize("files", [VERSION_1, VERSION_2])
def test_missing_counters_are_none(kernel: Kernel, files: dict[str, str]) -> None:
    kernel({name: text for name, text in files.items() if "abc" not in name})
    cgroup = Cgroup(PID)
    assert cgroup.oom_kills() is None
    assert cgroup.memory_peak_bytes() is None
    assert cgroup.memory_limit_bytes() is None
    assert cgroup.processes() == []


def test_ended_process_has_no_cgroup(
    kernel: Kernel,
) -> None:
    kernel({})
    assert cgroup_of(PID) is None
    assert cgroup_of(0) is None
