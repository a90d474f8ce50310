"""The agent's environment on a host: time, processes, ports, the kernel's files."""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

TIMEOUT_S = 10
PID = 4242

Agent = Callable[..., "subprocess.CompletedProcess[str]"]
Docker = Callable[..., Path]
H2load = Callable[..., list[str]]
Kernel = Callable[[dict[str, str]], None]
Sleeper = Callable[..., int]
Serve = Callable[[Callable[[socket.socket], None]], str]


class FakeTime:
    """Replaces the module `time`; time passes only during `sleep`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def await_file(path: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} was not written"
        time.sleep(0.01)


def await_end(pid: int) -> None:
    """Wait until a process has ended; a zombie that its parent has not reaped counts too."""
    deadline = time.monotonic() + TIMEOUT_S
    while is_alive(pid):
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def refused_url() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def stat_of(pid: int, command: str, started: int) -> str:
    fields = ["S", *map(str, range(4, 22)), str(started), *map(str, range(23, 53))]
    return f"{pid} ({command}) {' '.join(fields)}\n"


PROCESSES = {
    f"proc/{PID}/stat": stat_of(PID, "gunicorn: master", 5000),
    "proc/4250/stat": stat_of(4250, "odd) (name", 5010),
}
EXPECTED_PROCESSES = [
    {"pid": PID, "started_ticks": 5000, "command": "gunicorn: master"},
    {"pid": 4250, "started_ticks": 5010, "command": "odd) (name"},
]
VERSION_1 = {
    f"proc/{PID}/cgroup": (
        "12:memory:/docker/abc\n5:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n"
    ),
    "cgroup/memory/docker/abc/memory.oom_control": (
        "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
    ),
    "cgroup/memory/docker/abc/memory.max_usage_in_bytes": "94371840\n",
    "cgroup/memory/docker/abc/memory.limit_in_bytes": "536870912\n",
    "cgroup/memory/docker/abc/cgroup.procs": f"{PID}\n4250\n4251\n",
    "cgroup/cpuacct/docker/abc/cpuacct.usage": "2500000000\n",
    **PROCESSES,
}
VERSION_2 = {
    "cgroup/cgroup.controllers": "cpu memory pids\n",
    f"proc/{PID}/cgroup": "0::/system.slice/docker-abc.scope\n",
    "cgroup/system.slice/docker-abc.scope/memory.events": "high 0\nmax 9\noom 4\noom_kill 3\n",
    "cgroup/system.slice/docker-abc.scope/memory.peak": "94371840\n",
    "cgroup/system.slice/docker-abc.scope/memory.max": "536870912\n",
    "cgroup/system.slice/docker-abc.scope/cgroup.procs": f"{PID}\n4250\n4251\n",
    "cgroup/system.slice/docker-abc.scope/cpu.stat": "usage_usec 2500000\nuser_usec 2000000\n",
    **PROCESSES,
}
