"""Compare two snapshots of all processes, to see which of them used the CPU in between."""

import os
from collections.abc import Collection
from typing import Any, NamedTuple

from fwbench.agent.counters import PROC

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
INIT_PID = 1  # if it is hidden, so are other users' processes
DOCKER_PROXY = "docker-proxy"
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD of linux/sched.h
_REPORTED_PROCESSES = 5


class ProcessSnapshot(NamedTuple):
    """A process at one moment."""

    command: str
    started_ticks: int
    used_ticks: int
    is_kernel_thread: bool


def parse_stat(stat: str) -> ProcessSnapshot:
    """Parse the text of /proc/PID/stat.

    Raises `ValueError` or `IndexError` for an incomplete text.
    """
    # A command may contain blanks and parentheses.
    command, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    used = int(fields[11]) + int(fields[12])
    return ProcessSnapshot(command, int(fields[19]), used, bool(int(fields[6]) & _KERNEL_THREAD))


def scan_processes() -> dict[int, ProcessSnapshot]:
    """Return all visible processes by id; one that ends during the scan is left out."""
    snapshots = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                snapshots[int(folder.name)] = parse_stat(
                    (folder / "stat").read_text(errors="replace")
                )
            except (OSError, ValueError, IndexError):
                continue
    return snapshots


def cpu_usage_between(
    before: dict[int, ProcessSnapshot],
    after: dict[int, ProcessSnapshot],
    measured_pids: Collection[int],
) -> dict[str, Any]:
    """Return the CPU seconds of background processes, and the busiest of them.

    Background processes are all but kernel threads, `measured_pids` and Docker's proxies. Kernel
    threads are counted separately, because they mostly work for what is measured. A process that
    starts and ends between the snapshots is in neither. `background_s` is None if the host hides
    other users' processes.
    """
    background, kernel_s = [], 0.0
    for pid, now in after.items():
        snapshot_before = before.get(pid)
        known = snapshot_before is not None and snapshot_before.started_ticks == now.started_ticks
        used_ticks = now.used_ticks - (
            snapshot_before.used_ticks if snapshot_before and known else 0
        )
        cpu_s = max(0, used_ticks) / TICKS_PER_S
        if now.is_kernel_thread:
            kernel_s += cpu_s
        elif pid not in measured_pids:
            background.append((cpu_s, pid, now.command))
    docker_proxy_s = sum(cpu_s for cpu_s, _, command in background if command == DOCKER_PROXY)
    ranked = sorted((other for other in background if other[2] != DOCKER_PROXY), reverse=True)
    return {
        "background_s": sum(cpu_s for cpu_s, _, _ in ranked) if INIT_PID in after else None,
        "kernel_s": kernel_s,
        "docker_proxy_s": docker_proxy_s,
        "busiest": [
            {"pid": pid, "command": command, "cpu_s": cpu_s}
            for cpu_s, pid, command in ranked[:_REPORTED_PROCESSES]
            if cpu_s > 0
        ],
    }
