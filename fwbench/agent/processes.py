"""Who used the CPU between two looks at all of a host's processes."""

import os
from collections.abc import Collection
from typing import Any, NamedTuple

from fwbench.agent.counters import PROC

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
FIRST = 1  # hidden: so are others
DOCKER_PROXY = "docker-proxy"
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD of linux/sched.h
_NAMED = 5


class ProcessSnapshot(NamedTuple):
    """A process at one moment."""

    command: str
    started_ticks: int
    used_ticks: int
    of_kernel: bool


def parse_stat(stat: str) -> ProcessSnapshot:
    """What /proc/PID/stat says of a process; its command may hold blanks and parentheses."""
    command, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    used = int(fields[11]) + int(fields[12])
    return ProcessSnapshot(command, int(fields[19]), used, bool(int(fields[6]) & _KERNEL_THREAD))


def scan() -> dict[int, ProcessSnapshot]:
    """All processes that are visible here; one that ends meanwhile is left out."""
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                found[int(folder.name)] = parse_stat((folder / "stat").read_text(errors="replace"))
            except (OSError, ValueError, IndexError):
                continue
    return found


def used_between(
    before: dict[int, ProcessSnapshot], after: dict[int, ProcessSnapshot], ours: Collection[int]
) -> dict[str, Any]:
    """CPU seconds of the processes that are not `ours`, and the busiest of them.

    Threads of the kernel are told apart: most of what they do, they do for what is measured. A
    process that came and went between both looks is seen by neither. Where a host hides other
    users' processes, how much others used is None.
    """
    others, kernel = [], 0.0
    for pid, now in after.items():
        then = before.get(pid)
        known = then is not None and then.started_ticks == now.started_ticks
        used_ticks = now.used_ticks - (then.used_ticks if then and known else 0)
        cpu_s = max(0, used_ticks) / TICKS_PER_S
        if now.of_kernel:
            kernel += cpu_s
        elif pid not in ours:
            others.append((cpu_s, pid, now.command))
    proxies = sum(cpu_s for cpu_s, _, command in others if command == DOCKER_PROXY)
    named = sorted((other for other in others if other[2] != DOCKER_PROXY), reverse=True)
    return {
        "background_s": sum(cpu_s for cpu_s, _, _ in named) if FIRST in after else None,
        "kernel_s": kernel,
        "docker_proxy_s": proxies,
        "busiest": [
            {"pid": pid, "command": command, "cpu_s": cpu_s}
            for cpu_s, pid, command in named[:_NAMED]
            if cpu_s > 0
        ],
    }
