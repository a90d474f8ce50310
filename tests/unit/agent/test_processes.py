import os
import time

import pytest

from fwbench.agent.processes import ProcessSnapshot, cpu_usage_between, parse_stat, scan_processes

KERNEL_THREAD_FLAGS = 0x00200040


def stat(pid: int, command: str, user_ticks: int, started: int = 500, flags: int = 0x400000) -> str:
    fields = ["S", "1", "1", "1", "0", "-1", str(flags), "0", "0", "0", "0", str(user_ticks), "3"]
    return f"{pid} ({command}) {' '.join(fields)} 0 0 20 0 1 0 {started} 1 1\n"


def process(
    command: str, cpu_ticks: int, started: int = 500, *, kernel: bool = False
) -> ProcessSnapshot:
    return ProcessSnapshot(command, started, cpu_ticks, kernel)


INIT = {1: process("systemd", 10)}


@pytest.mark.parametrize("command", ["apt-get", "a b", "odd) (name", ""])
def test_stat_file_is_parsed(command: str) -> None:
    assert parse_stat(stat(7, command, 40)) == process(command, 43)


def test_kernel_thread_is_recognised_by_its_flag() -> None:
    assert parse_stat(stat(7, "ksoftirqd/0", 40, flags=KERNEL_THREAD_FLAGS)).is_kernel_thread


def test_scan_includes_this_process() -> None:
    mine = scan_processes()[os.getpid()]
    assert not mine.is_kernel_thread
    assert mine.started_ticks > 0


def test_cpu_time_of_this_process_is_measured() -> None:
    before = scan_processes()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    usage = cpu_usage_between(before, scan_processes(), measured_pids=())
    mine = [process for process in usage["busiest"] if process["pid"] == os.getpid()]
    assert mine
    assert mine[0]["cpu_s"] >= 0.05
    assert (
        cpu_usage_between(before, scan_processes(), measured_pids=[os.getpid()])["busiest"]
        != usage["busiest"]
    )


def test_background_excludes_measured_processes() -> None:
    before = INIT | {7: process("apt", 100), 8: process("h2load", 100)}
    after = INIT | {7: process("apt", 250), 8: process("h2load", 900)}
    usage = cpu_usage_between(before, after, measured_pids=[8])
    assert usage["background_s"] == 1.5
    assert usage["busiest"] == [{"pid": 7, "command": "apt", "cpu_s": 1.5}]


def test_new_process_counts_from_its_start() -> None:
    usage = cpu_usage_between(INIT, INIT | {7: process("apt", 30)}, measured_pids=())
    assert usage["background_s"] == 0.3


def test_reused_pid_counts_from_its_start() -> None:
    before = INIT | {7: process("sshd", 1000, 500)}
    usage = cpu_usage_between(before, INIT | {7: process("apt", 30, 900)}, measured_pids=())
    assert usage["background_s"] == 0.3


def test_kernel_and_docker_proxy_are_counted_separately() -> None:
    before = INIT | {
        7: process("ksoftirqd/0", 0, kernel=True),
        8: process("docker-proxy", 0),
        9: process("docker-proxy", 5),
    }
    after = INIT | {
        7: process("ksoftirqd/0", 50, kernel=True),
        8: process("docker-proxy", 10),
        9: process("docker-proxy", 25),
    }
    usage = cpu_usage_between(before, after, measured_pids=())
    assert (usage["background_s"], usage["busiest"]) == (0, [])
    assert usage["kernel_s"] == 0.5
    assert usage["docker_proxy_s"] == pytest.approx(0.3)


def test_only_the_five_busiest_processes_are_listed() -> None:
    after = INIT | {pid: process(f"p{pid}", pid) for pid in range(10, 30)}
    usage = cpu_usage_between(INIT, after, measured_pids=())
    assert [process["pid"] for process in usage["busiest"]] == [29, 28, 27, 26, 25]


def test_background_is_unknown_if_processes_are_hidden() -> None:
    assert cpu_usage_between({}, {7: process("own", 30)}, measured_pids=())["background_s"] is None
