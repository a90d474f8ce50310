import json
from pathlib import Path

import pytest
from agent_environment import EXPECTED_PROCESSES, VERSION_2, Docker, Kernel

from fwbench.agent import container
from fwbench.agent.cgroup import Cgroup


def test_state_of_running_container_is_from_engine_and_kernel(
    kernel: Kernel, docker: Docker
) -> None:
    kernel(VERSION_2)
    docker()
    assert container.container_state("c") == {
        "running": True,
        "exit_code": None,
        "started_at": "2026-11-23T10:00:00Z",
        "restarts": 0,
        "oom_killed": False,
        "cgroup_version": 2,
        "oom_kills": 3,
        "memory_peak_bytes": 94371840,
        "memory_limit_bytes": 536870912,
        "processes": EXPECTED_PROCESSES,
    }


def test_exited_container_has_no_kernel_state(kernel: Kernel, docker: Docker) -> None:
    kernel(VERSION_2)
    docker(Running=False, ExitCode=137, OOMKilled=True, Pid=0)
    state = container.container_state("c")
    assert (state["running"], state["exit_code"], state["oom_killed"]) == (False, 137, True)
    assert (state["cgroup_version"], state["oom_kills"], state["processes"]) == (None, None, [])


@pytest.mark.usefixtures("fake_time")
def test_container_with_all_its_processes_reaches_idle(kernel: Kernel, docker: Docker) -> None:
    kernel(VERSION_2)
    docker()
    state = container.wait_until_idle("c", processes=2, timeout_s=30)
    assert state["reached_idle"] is True
    assert state["idle_wait_s"] == pytest.approx(0.2)
    assert state["running"] is True


@pytest.mark.usefixtures("fake_time")
def test_container_without_a_process_does_not_reach_idle(kernel: Kernel, docker: Docker) -> None:
    kernel(VERSION_2)
    docker()
    state = container.wait_until_idle("c", processes=3, timeout_s=5)
    assert state["reached_idle"] is False
    assert 5 <= state["idle_wait_s"] < 5.2


@pytest.mark.usefixtures("fake_time")
def test_container_must_idle_twice_in_a_row(
    kernel: Kernel,
    docker: Docker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The container is busy, idle, busy, then idle: one quiet moment may be a pause."""
    kernel(VERSION_2)
    docker()
    cpu_seconds = iter([0.0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2])
    monkeypatch.setattr(Cgroup, "cpu_s", lambda _: next(cpu_seconds))
    state = container.wait_until_idle("c", processes=2, timeout_s=30)
    assert state["reached_idle"] is True
    assert state["idle_wait_s"] == pytest.approx(0.5)


@pytest.mark.usefixtures("fake_time")
def test_exited_container_is_not_waited_for(kernel: Kernel, docker: Docker) -> None:
    kernel({})
    docker(Running=False, Pid=0)
    state = container.wait_until_idle("c", processes=2, timeout_s=30)
    assert (state["reached_idle"], state["idle_wait_s"]) == (False, 0)


def test_finish_keeps_end_of_log_and_removes_container(
    folder: Path, kernel: Kernel, docker: Docker
) -> None:
    kernel(VERSION_2)
    calls = docker('[ "$1" != logs ] || { echo booted; echo warned >&2; }')
    container.finish(folder, "c")
    assert (folder / "container.log").read_text() == "booted\nwarned\n"
    assert json.loads((folder / "container-after.json").read_text())["running"] is True
    assert calls.read_text().splitlines() == [
        "container inspect c",
        "logs --tail=500 --timestamps c",
        "rm --force --volumes c",
    ]


def test_removal_of_a_missing_container_succeeds(docker: Docker) -> None:
    docker("echo 'Error: No such container: c' >&2; exit 1")
    container.remove("c")


def test_failed_removal_is_an_error(docker: Docker) -> None:
    docker("echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(RuntimeError, match="Cannot connect"):
        container.remove("c")
