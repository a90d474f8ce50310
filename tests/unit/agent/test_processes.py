import os
import time

import pytest

from fwbench.agent.processes import ProcessSnapshot, cpu_usage_between, parse_stat, scan_processes

KERNEL = 0x00200040


def stat(pid: int, command: str, used: int, started: int = 500, flags: int = 0x400000) -> str:
    fields = ["S", "1", "1", "1", "0", "-1", str(flags), "0", "0", "0", "0", str(used), "3"]
    return f"{pid} ({command}) {' '.join(fields)} 0 0 20 0 1 0 {started} 1 1\n"


def process(
    command: str, used: int, started: int = 500, *, kernel: bool = False
) -> ProcessSnapshot:
    return ProcessSnapshot(command, started, used, kernel)


INIT = {1: process("systemd", 10)}


@pytest.mark.parametrize("command", ["apt-get", "a b", "odd) (name", ""])
def test_a_process_is_what_its_file_says(command: str) -> None:
    assert parse_stat(stat(7, command, 40)) == process(command, 43)


def test_a_thread_of_the_kernel_is_known_by_its_flag() -> None:
    assert parse_stat(stat(7, "ksoftirqd/0", 40, flags=KERNEL)).is_kernel_thread


def test_this_process_is_among_all_of_them() -> None:
    mine = scan_processes()[os.getpid()]
    assert not mine.is_kernel_thread
    assert mine.started_ticks > 0


def test_what_this_process_uses_is_seen() -> None:
    before = scan_processes()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    used = cpu_usage_between(before, scan_processes(), measured_pids=())
    mine = [other for other in used["busiest"] if other["pid"] == os.getpid()]
    assert mine
    assert mine[0]["cpu_s"] >= 0.05
    assert (
        cpu_usage_between(before, scan_processes(), measured_pids=[os.getpid()])["busiest"]
        != used["busiest"]
    )


def test_others_are_those_that_are_not_ours() -> None:
    before = INIT | {7: process("apt", 100), 8: process("h2load", 100)}
    after = INIT | {7: process("apt", 250), 8: process("h2load", 900)}
    used = cpu_usage_between(before, after, measured_pids=[8])
    assert used["background_s"] == 1.5
    assert used["busiest"] == [{"pid": 7, "command": "apt", "cpu_s": 1.5}]


def test_a_process_that_began_meanwhile_counts_from_its_start() -> None:
    used = cpu_usage_between(INIT, INIT | {7: process("apt", 30)}, measured_pids=())
    assert used["background_s"] == 0.3


def test_a_pid_that_was_used_again_counts_from_its_start() -> None:
    before = INIT | {7: process("sshd", 1000, 500)}
    used = cpu_usage_between(before, INIT | {7: process("apt", 30, 900)}, measured_pids=())
    assert used["background_s"] == 0.3


def test_the_kernel_and_docker_proxy_are_told_apart() -> None:
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
    used = cpu_usage_between(before, after, measured_pids=())
    assert (used["background_s"], used["busiest"]) == (0, [])
    assert used["kernel_s"] == 0.5
    assert used["docker_proxy_s"] == pytest.approx(0.3)


def test_the_busiest_come_first_and_are_few() -> None:
    after = INIT | {pid: process(f"p{pid}", pid) for pid in range(10, 30)}
    used = cpu_usage_between(INIT, after, measured_pids=())
    assert [other["pid"] for other in used["busiest"]] == [29, 28, 27, 26, 25]


def test_where_processes_are_hidden_others_are_unknown() -> None:
    assert cpu_usage_between({}, {7: process("own", 30)}, measured_pids=())["background_s"] is None
