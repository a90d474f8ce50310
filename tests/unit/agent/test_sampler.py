import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from agent_environment import PID, VERSION_1, VERSION_2, Kernel, stat_of

from fwbench.agent import counters, network, processes, sampler, threads
from fwbench.agent.cgroup import Cgroup, cpu_ns, host_cpu_files, throttling
from fwbench.agent.sampler import INTERVAL_S, Sampler, next_due, sample_until_ended
from fwbench.collection import telemetry
from fwbench.collection.telemetry import TimeWindow

V1_STAT = "nr_periods 50\nnr_throttled 20\nthrottled_time 3000000\n"
V2_STAT = (
    "usage_usec 2500000\nuser_usec 2000000\nnr_periods 50\nnr_throttled 20\nthrottled_usec 3000\n"
)
PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total={0}\nfull avg10=0.00 total=1{0}\n"
HOST = {
    "proc/stat": "cpu  10 20 30 40 50 60 70 80 0 0\ncpu0 10 20 30 40 50 60 70 80 0 0\n",
    "proc/1/stat": stat_of(1, "systemd", 1),
    "proc/8/stat": stat_of(8, "docker-proxy", 1),
    "proc/pressure/memory": PRESSURE.format(11),
    "proc/pressure/io": PRESSURE.format(12),
    "proc/pressure/cpu": PRESSURE.format(13),
}
V1 = (
    HOST
    | VERSION_1
    | {
        "cgroup/cpu/docker/abc/cpu.stat": V1_STAT,
        "cgroup/memory/docker/abc/memory.usage_in_bytes": "90000000\n",
        "cgroup/memory/docker/abc/memory.failcnt": "9\n",
        "cgroup/cpuacct/cpuacct.usage": "7000000000\n",
    }
)
GROUP = "cgroup/system.slice/docker-abc.scope"
V2 = (
    HOST
    | VERSION_2
    | {
        f"{GROUP}/cpu.stat": V2_STAT,
        f"{GROUP}/memory.current": "90000000\n",
        f"{GROUP}/memory.pressure": PRESSURE.format(21),
        f"{GROUP}/io.pressure": PRESSURE.format(22),
        "cgroup/system.slice/cpu.stat": "usage_usec 6000000\n",
        "cgroup/user.slice/cpu.stat": "usage_usec 1000000\n",
        "cgroup/cpu.stat": "usage_usec 99000000\n",
        "cgroup/cgroup.procs": "2\n",
        "proc/2/cmdline": "",
    }
)
BOTH = pytest.mark.parametrize("files", [V1, V2], ids=["v1", "v2"])

Host = Callable[[dict[str, str]], None]


@pytest.fixture
def host(kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a function that writes kernel files, which the sampler reads as the host's."""
    for module in (counters, network, processes, sampler, threads):
        monkeypatch.setattr(module, "PROC", tmp_path / "proc")
    monkeypatch.setattr(counters, "CPUS", tmp_path / "cpu")
    return kernel


# Control groups


@BOTH
def test_both_versions_give_throttling_and_memory(host: Host, files: dict[str, str]) -> None:
    host(files)
    group = Cgroup(PID)
    assert group.memory_limit_hits() == 9
    texts = {name: path.read_text() for name, path in group.sampled_files().items()}
    assert cpu_ns(texts["cpu"]) == 2_500_000_000
    assert texts["memory"] == "90000000\n"
    assert throttling(texts["throttling"]) == {
        "periods": 50,
        "throttled_periods": 20,
        "throttled_ns": 3_000_000,
    }


def test_group_without_a_quota_has_no_periods() -> None:
    assert set(throttling("usage_usec 5\n").values()) == {None}
    assert cpu_ns("") is None


def host_cpu_ns(host: Host, files: dict[str, str]) -> tuple[str, int]:
    host(files)
    method, paths = host_cpu_files()
    return method, sum(cpu_ns(path.read_text()) or 0 for path in paths)


def test_root_group_of_version_1_counts_everything(host: Host) -> None:
    assert host_cpu_ns(host, V1) == ("group", 7 * 10**9)


def test_groups_below_root_of_version_2_are_summed(host: Host) -> None:
    assert host_cpu_ns(host, V2) == ("groups", 7 * 10**9)


def test_root_group_of_a_lab_host_counts_everything(host: Host) -> None:
    assert host_cpu_ns(host, V2 | {"cgroup/cgroup.type": "domain\n"}) == ("group", 99 * 10**9)


@pytest.mark.parametrize(
    "files",
    [
        {name: text for name, text in V1.items() if name != "cgroup/cpuacct/cpuacct.usage"},
        V2 | {"proc/2/cmdline": "/sbin/openrc\0"},
        HOST | {"cgroup/cgroup.controllers": "cpu\n"},
    ],
    ids=["v1 without cpuacct", "a program in the root group", "no groups"],
)
def test_host_cpu_time_is_unknown_if_groups_are_incomplete(
    host: Host, files: dict[str, str]
) -> None:
    assert host_cpu_ns(host, files) == ("none", 0)


# Samples


@BOTH
def test_sample_has_all_values_of_a_target(host: Host, files: dict[str, str]) -> None:
    host(files)
    result = Sampler(PID).result()
    series = {name: column[-1] for name, column in result["series"].items()}
    assert series["host_cpu_ns"] == 7 * 10**9
    assert series["container_cpu_ns"] == 2_500_000_000
    assert series["container_memory_bytes"] == 90_000_000
    assert (series["periods"], series["throttled_periods"]) == (50, 20)
    assert series["throttled_ns"] == 3_000_000
    assert (series["user_ticks"], series["steal_ticks"]) == (10, 80)
    assert series["docker_proxy_ticks"] == 14 + 15
    assert series["cpu_stalled_us"] == 13
    assert series["fastest_mhz"] is None
    assert (result["after"]["memory_limit_hits"], result["after"]["oom_kills"]) == (9, 3)
    assert result["after"]["cpu_ticks"]["cpu0"] == [10, 20, 30, 40, 50, 60, 70, 80]


@pytest.mark.parametrize(("files", "memory", "disk"), [(V1, 111, 112), (V2, 21, 22)])
def test_container_pressure_is_preferred_to_the_hosts(
    host: Host, files: dict[str, str], memory: int, disk: int
) -> None:
    host(files)
    series = Sampler(PID).result()["series"]
    assert (series["memory_stalled_us"][-1], series["io_stalled_us"][-1]) == (memory, disk)


@BOTH
def test_host_is_sampled_without_its_container(host: Host, files: dict[str, str]) -> None:
    host({name: text for name, text in files.items() if str(PID) not in name})
    result = Sampler(PID).result()
    assert result["series"]["container_cpu_ns"] == [None, None]
    assert result["series"]["host_cpu_ns"] == [7 * 10**9] * 2
    assert result["after"]["memory_limit_hits"] is None


def test_host_without_kernel_files_is_sampled(host: Host) -> None:
    host({"proc/none": ""})
    result = Sampler(PID).result()
    known = {name for name, column in result["series"].items() if column[-1] is not None}
    own = {"time_s", "monotonic_s", "own_cpu_ns", "load_cpu_ns", "docker_proxy_ticks"}
    assert known == own
    assert result["processes"]["background_s"] is None


def test_written_telemetry_can_be_read(tmp_path: Path) -> None:
    """The controller reads what the sampler recorded on this machine."""
    began = time.time()
    telemetry_sampler = Sampler()
    time.sleep(0.05)
    telemetry_sampler.write_result(tmp_path / "telemetry.json")
    usage = telemetry.read_telemetry(tmp_path / "telemetry.json", TimeWindow(began, time.time()))
    assert usage.samples == 2
    assert usage.cpu is not None
    assert usage.sampler_cores is not None
    assert usage.network.segments_sent is not None
    assert usage.container is None


def test_written_telemetry_of_a_process_can_be_read(tmp_path: Path) -> None:
    telemetry_sampler = Sampler(os.getpid())
    time.sleep(0.05)
    telemetry_sampler.write_result(tmp_path / "telemetry.json")
    usage = telemetry.read_telemetry(tmp_path / "telemetry.json", TimeWindow(0, time.time()))
    assert usage.container is None or usage.container.cores is not None


def test_failed_write_is_ignored(tmp_path: Path) -> None:
    Sampler().write_result(tmp_path / "gone" / "telemetry.json")


# A load


def start_python(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code])


def test_process_is_sampled_five_times_a_second_until_it_ends() -> None:
    telemetry_sampler = Sampler()
    process = start_python("import time; time.sleep(1)")
    telemetry_sampler.follow(process.pid)
    assert sample_until_ended(telemetry_sampler, process, 20)
    ended = time.time()
    assert process.returncode == 0
    times = telemetry_sampler.result()["series"]["time_s"]
    assert len(times) >= 5
    assert times[-1] - ended < 0.5
    gaps = [after - before for before, after in pairwise(times[1:-1])]
    assert min(gaps) > INTERVAL_S / 4


def test_process_is_not_killed_after_the_time_limit() -> None:
    process = start_python("import time; time.sleep(60)")
    began = time.monotonic()
    assert not sample_until_ended(Sampler(), process, 0.3)
    assert 0.3 <= time.monotonic() - began < 5
    assert process.poll() is None
    process.kill()
    process.wait()


def test_end_of_a_process_is_noticed_at_once() -> None:
    process = start_python("import time; time.sleep(0.05)")
    assert sample_until_ended(Sampler(), process, 20)
    series = Sampler().result()["series"]
    assert len(series["time_s"]) == 2


def test_process_is_awaited_without_pidfd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: int) -> int:
        raise OSError("Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", fail)
    process = start_python("import time; time.sleep(0.3)")
    assert not sample_until_ended(Sampler(), process, 0.01)
    assert sample_until_ended(Sampler(), process, 20)


def test_missed_samples_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 101.05)
    assert next_due(101.0) == pytest.approx(101.2)
    assert next_due(100.0) == pytest.approx(101.2)


def test_telemetry_file_is_small(tmp_path: Path) -> None:
    telemetry_sampler: Any = Sampler()
    for _ in range(100):
        telemetry_sampler.sample()
    telemetry_sampler.write_result(tmp_path / "t.json")
    result = json.loads((tmp_path / "t.json").read_text())
    assert len(result["series"]["time_s"]) == 102
    assert (tmp_path / "t.json").stat().st_size < 102 * 400 + 20_000
