"""What a host did during a load: a series of samples, and counters before and after it."""

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from select import POLLIN, poll
from typing import Any

from fwbench.agent import network, processes
from fwbench.agent.cgroup import cgroup_of, cpu_ns, throttling, whole_host
from fwbench.agent.counters import (
    CPU_STATES,
    PROC,
    STALLS,
    Frequencies,
    OpenFile,
    cpu_ticks,
    stalled_us,
    text_of,
)
from fwbench.agent.files import write
from fwbench.agent.threads import Threads

INTERVAL_S = 0.2
FREQUENCY_EVERY = 5  # samples


class Sampler:
    """Samples this host; with a container's first process that container, else its own children.

    The first sample is taken at once. Every sample has a column for each thing; what this host does
    not tell is None.
    """

    def __init__(self, container: int | None = None) -> None:
        self._container = container
        self._cgroup = cgroup_of(container or 0)
        self._started = processes.scan()
        self._ours = {os.getpid(), *self._members()}
        self._stat = OpenFile(PROC / "stat")
        self._counted_by, paths = whole_host()
        self._whole = [OpenFile(path) for path in paths]
        self._group = {
            name: OpenFile(path)
            for name, path in (self._cgroup.telling() if self._cgroup else {}).items()
        }
        self._stalls = {what: OpenFile(PROC / "pressure" / what) for what in STALLS}
        self._proxies = [
            OpenFile(PROC / str(pid) / "stat")
            for pid, process in self._started.items()
            if process.command == processes.DOCKER_PROXY
        ]
        self._frequencies = Frequencies()
        self._threads = Threads()
        self._series: dict[str, list[float | None]] = {}
        self._rows = 0
        self._before = self._counters()
        self.sample()

    def follow(self, pid: int) -> None:
        """From now on, sample the threads of this process too, which is a child."""
        self._threads.follow(pid)
        self.sample()

    def sample(self) -> None:
        """Read everything once."""
        row: dict[str, float | None] = {
            "time_s": round(time.time(), 6),
            "monotonic_s": round(time.monotonic(), 6),
            "own_cpu_ns": time.process_time_ns(),
        }
        row["load_cpu_ns"] = self._threads.sample(self._rows)
        whole = [cpu_ns(file.text()) for file in self._whole]
        known = [number for number in whole if number is not None]
        row["host_cpu_ns"] = sum(known) if known else None
        row |= self._sampled_container()
        row["docker_proxy_ticks"] = sum(_used_ticks(file.text()) for file in self._proxies)
        row |= {f"{what}_stalled_us": self._stalled_us(what) for what in STALLS}
        ticks = cpu_ticks(self._stat.text()).get("cpu")
        for at, state in enumerate(CPU_STATES):
            row[f"{state}_ticks"] = ticks[at] if ticks else None
        rare = self._rows % FREQUENCY_EVERY == 0
        row["fastest_mhz"] = self._frequencies.fastest_mhz() if rare else None
        for name, value in row.items():
            self._series.setdefault(name, []).append(value)
        self._rows += 1

    def leave_out(self, pid: int) -> None:
        """Do not count this process among the others."""
        self._ours.add(pid)

    def result(self) -> dict[str, Any]:
        """All of it, after a last sample."""
        self.sample()
        self._ours.update(self._members())
        used = processes.used_between(self._started, processes.scan(), self._ours)
        return {
            "interval_s": INTERVAL_S,
            "ticks_per_s": processes.TICKS_PER_S,
            "cpu_accounting": self._counted_by,
            "governors": self._frequencies.governors,
            "before": self._before,
            "after": self._counters(),
            "processes": used,
            "series": self._series,
            "threads": self._threads.result(),
        }

    def leave(self, path: Path) -> None:
        """Write all of it to a file; without room or folder there is none, and the run goes on."""
        with suppress(OSError):
            write(path, self.result())

    def _sampled_container(self) -> dict[str, float | None]:
        said = {name: file.text() for name, file in self._group.items()}
        memory = said.get("memory", "").strip()
        return {
            "container_cpu_ns": cpu_ns(said.get("cpu", "")),
            "container_memory_bytes": int(memory) if memory.isdigit() else None,
            **throttling(said.get("throttling", "")),
        }

    def _stalled_us(self, what: str) -> int | None:
        """The container's own waiting where that is told, else when the whole host waited.

        That any one process of a host waits for its disk is nothing to a server of small answers.
        """
        own = self._group.get(f"{what}_stalled")
        told = None if own is None else stalled_us(own.text())
        if told is not None:
            return told
        return stalled_us(self._stalls[what].text(), "some" if what == "cpu" else "full")

    def _counters(self) -> dict[str, Any]:
        cgroup = self._cgroup
        return {
            "monotonic_s": round(time.monotonic(), 6),
            "cpu_ticks": cpu_ticks(text_of(PROC / "stat")),
            "network": network.network_counters(self._container),
            "memory_peak_bytes": cgroup.memory_peak_bytes() if cgroup else None,
            "memory_limit_hits": cgroup.limit_hits() if cgroup else None,
            "oom_kills": cgroup.oom_kills() if cgroup else None,
        }

    def _members(self) -> set[int]:
        return {process["pid"] for process in self._cgroup.processes()} if self._cgroup else set()


def _used_ticks(stat: str) -> int:
    try:
        return processes.parse_stat(stat).used_ticks
    except (ValueError, IndexError):  # it is gone
        return 0


def sample_until_ended(
    sampler: Sampler, process: "subprocess.Popen[bytes]", within_s: float
) -> bool:
    """Sample until a process has ended, and whether it did within so many seconds."""
    began = time.monotonic()
    due = began + INTERVAL_S
    while True:
        now = time.monotonic()
        until = min(due, began + within_s)
        if _ends(process, max(0.0, until - now)):
            return True
        if until >= began + within_s:
            return False
        sampler.sample()
        due = next_due(due)


def next_due(due: float) -> float:
    """When the next sample is due; those that were missed are not made up for."""
    missed = max(0, int((time.monotonic() - due) / INTERVAL_S))
    return due + (missed + 1) * INTERVAL_S


def _ends(process: "subprocess.Popen[bytes]", within_s: float) -> bool:
    """Whether a process ends soon; it is collected, and waited for without looking around."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:  # before Linux 5.3
        with suppress(subprocess.TimeoutExpired):
            process.wait(within_s)
        return process.returncode is not None
    try:
        looking = poll()
        looking.register(descriptor, POLLIN)
        if looking.poll(within_s * 1000):
            process.wait()
        return process.returncode is not None
    finally:
        os.close(descriptor)
