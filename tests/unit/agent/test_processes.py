import os
import time

import pytest

from fwbench.agent.processes import ProcessSnapshot, parse_stat, scan, used_between

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
    assert parse_stat(stat(7, "ksoftirqd/0", 40, flags=KERNEL)).of_kernel


def test_this_process_is_among_all_of_them() -> None:
    mine = scan()[os.getpid()]
    assert not mine.of_kernel
    assert mine.started_ticks > 0


def test_what_this_process_uses_is_seen() -> None:
    before = scan()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    used = used_between(before, scan(), ours=())
    mine = [other for other in used["busiest"] if other["pid"] == os.getpid()]
    assert mine
    assert mine[0]["cpu_s"] >= 0.05
    assert used_between(before, scan(), ours=[os.getpid()])["busiest"] != used["busiest"]


def test_others_are_those_that_are_not_ours() -> None:
    before = INIT | {7: process("apt", 100), 8: process("h2load", 100)}
    after = INIT | {7: process("apt", 250), 8: process("h2load", 900)}
    used = used_between(before, after, ours=[8])
    assert used["background_s"] == 1.5
    assert used["busiest"] == [{"pid": 7, "command": "apt", "cpu_s": 1.5}]


def test_a_process_that_began_meanwhile_counts_from_its_start() -> None:
    used = used_between(INIT, INIT | {7: process("apt", 30)}, ours=())
    assert used["background_s"] == 0.3


def test_a_pid_that_was_used_again_counts_from_its_start() -> None:
    before = INIT | {7: process("sshd", 1000, 500)}
    used = used_between(before, INIT | {7: process("apt", 30, 900)}, ours=())
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
    used = used_between(before, after, ours=())
    assert (used["background_s"], used["busiest"]) == (0, [])
    assert used["kernel_s"] == 0.5
    assert used["docker_proxy_s"] == pytest.approx(0.3)


def test_the_busiest_come_first_and_are_few() -> None:
    after = INIT | {pid: process(f"p{pid}", pid) for pid in range(10, 30)}
    used = used_between(INIT, after, ours=())
    assert [other["pid"] for other in used["busiest"]] == [29, 28, 27, 26, 25]


def test_where_processes_are_hidden_others_are_unknown() -> None:
    assert used_between({}, {7: process("own", 30)}, ours=())["background_s"] is None
