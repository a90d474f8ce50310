"""Record what a host does during a load: a series of samples, and counters before and after."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from select import POLLIN, poll
from typing import Any

from fwbench.agent import network, processes
from fwbench.agent.cgroup import cgroup_of, cpu_ns, host_cpu_files, throttling
from fwbench.agent.counters import (
    CPU_STATES,
    PRESSURE_FILES,
    PROC,
    CpuFrequencies,
    KernelFile,
    cpu_ticks,
    read_text,
    stalled_us,
)
from fwbench.agent.files import write
from fwbench.agent.threads import LoadThreads

INTERVAL_S = 0.2
FREQUENCY_SAMPLE_PERIOD = 5  # samples


class Sampler:
    """Samples this host, and either a container or a child process (`follow`).

    `container` is the id of the container's first process. The first sample is taken at once. Each
    sample has a value for every series, or None if this host does not provide it.
    """

    def __init__(self, container: int | None = None) -> None:
        self._container = container
        self._cgroup = cgroup_of(container or 0)
        self._processes_before = processes.scan_processes()
        self._measured_pids = {os.getpid(), *self._container_pids()}
        self._stat = KernelFile(PROC / "stat")
        self._cpu_accounting, paths = host_cpu_files()
        self._host_cpu_files = [KernelFile(path) for path in paths]
        self._cgroup_files = {
            name: KernelFile(path)
            for name, path in (self._cgroup.sampled_files() if self._cgroup else {}).items()
        }
        self._pressure_files = {
            resource: KernelFile(PROC / "pressure" / resource) for resource in PRESSURE_FILES
        }
        self._docker_proxy_files = [
            KernelFile(PROC / str(pid) / "stat")
            for pid, process in self._processes_before.items()
            if process.command == processes.DOCKER_PROXY
        ]
        self._frequencies = CpuFrequencies()
        self._threads = LoadThreads()
        self._series: dict[str, list[float | None]] = {}
        self._samples = 0
        self._counters_before = self._counters()
        self.sample()

    def follow(self, pid: int) -> None:
        """Sample the threads of this child process too, from now on."""
        self._threads.follow(pid)
        self.sample()

    def sample(self) -> None:
        """Add one sample to every series."""
        row: dict[str, float | None] = {
            "time_s": round(time.time(), 6),
            "monotonic_s": round(time.monotonic(), 6),
            "own_cpu_ns": time.process_time_ns(),
        }
        row["load_cpu_ns"] = self._threads.sample(self._samples)
        host_cpu_ns = [cpu_ns(file.read()) for file in self._host_cpu_files]
        known = [number for number in host_cpu_ns if number is not None]
        row["host_cpu_ns"] = sum(known) if known else None
        row |= self._sample_container()
        row["docker_proxy_ticks"] = sum(
            _used_ticks(file.read()) for file in self._docker_proxy_files
        )
        row |= {f"{resource}_stalled_us": self._stalled_us(resource) for resource in PRESSURE_FILES}
        ticks = cpu_ticks(self._stat.read()).get("cpu")
        for column, state in enumerate(CPU_STATES):
            row[f"{state}_ticks"] = ticks[column] if ticks else None
        frequency_due = self._samples % FREQUENCY_SAMPLE_PERIOD == 0
        row["fastest_mhz"] = self._frequencies.fastest_mhz() if frequency_due else None
        for name, value in row.items():
            self._series.setdefault(name, []).append(value)
        self._samples += 1

    def exclude(self, pid: int) -> None:
        """Do not count this process as a background process."""
        self._measured_pids.add(pid)

    def result(self) -> dict[str, Any]:
        """Take a last sample, and return the whole telemetry."""
        self.sample()
        self._measured_pids.update(self._container_pids())
        used = processes.cpu_usage_between(
            self._processes_before, processes.scan_processes(), self._measured_pids
        )
        return {
            "interval_s": INTERVAL_S,
            "ticks_per_s": processes.TICKS_PER_S,
            "cpu_accounting": self._cpu_accounting,
            "governors": self._frequencies.governors,
            "before": self._counters_before,
            "after": self._counters(),
            "processes": used,
            "series": self._series,
            "threads": self._threads.result(),
        }

    def write_result(self, path: Path) -> None:
        """Write the telemetry to a file, unless the disk is full or the folder is gone."""
        with suppress(OSError):  # the run continues without telemetry
            write(path, self.result())

    def _sample_container(self) -> dict[str, float | None]:
        texts = {name: file.read() for name, file in self._cgroup_files.items()}
        memory = texts.get("memory", "").strip()
        return {
            "container_cpu_ns": cpu_ns(texts.get("cpu", "")),
            "container_memory_bytes": int(memory) if memory.isdigit() else None,
            **throttling(texts.get("throttling", "")),
        }

    def _stalled_us(self, resource: str) -> int | None:
        """Return the container's stall time if it is known, else the host's."""
        container_file = self._cgroup_files.get(f"{resource}_stalled")
        container_stalled_us = None if container_file is None else stalled_us(container_file.read())
        if container_stalled_us is not None:
            return container_stalled_us
        # One process that waits for the disk does not slow a server: for memory and I/O, only
        # moments count in which all of the host's processes waited.
        return stalled_us(
            self._pressure_files[resource].read(), "some" if resource == "cpu" else "full"
        )

    def _counters(self) -> dict[str, Any]:
        cgroup = self._cgroup
        return {
            "monotonic_s": round(time.monotonic(), 6),
            "cpu_ticks": cpu_ticks(read_text(PROC / "stat")),
            "network": network.network_counters(self._container),
            "memory_peak_bytes": cgroup.memory_peak_bytes() if cgroup else None,
            "memory_limit_hits": cgroup.memory_limit_hits() if cgroup else None,
            "oom_kills": cgroup.oom_kills() if cgroup else None,
        }

    def _container_pids(self) -> set[int]:
        return {process["pid"] for process in self._cgroup.processes()} if self._cgroup else set()


def _used_ticks(stat: str) -> int:
    try:
        return processes.parse_stat(stat).used_ticks
    except (ValueError, IndexError):  # the process has ended
        return 0


def sample_until_ended(
    sampler: Sampler, process: subprocess.Popen[bytes], time_limit_s: float
) -> bool:
    """Sample until a process has ended; return False if it still runs after the time limit."""
    started_s = time.monotonic()
    deadline = started_s + time_limit_s
    due = started_s + INTERVAL_S
    while True:
        now = time.monotonic()
        wake_at = min(due, deadline)
        if _wait_for_end(process, max(0.0, wake_at - now)):
            return True
        if wake_at >= deadline:
            return False
        sampler.sample()
        due = next_due(due)


def next_due(due: float) -> float:
    """Return when the next sample is due; missed samples are skipped."""
    missed = max(0, int((time.monotonic() - due) / INTERVAL_S))
    return due + (missed + 1) * INTERVAL_S


def _wait_for_end(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait for a process to end; return whether it did within `timeout_s`."""
    # `Popen.wait` with a timeout polls, which costs CPU; a pidfd needs no polling.
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:  # before Linux 5.3
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout_s)
        return process.returncode is not None
    try:
        poller = poll()
        poller.register(descriptor, POLLIN)
        if poller.poll(timeout_s * 1000):
            process.wait()
        return process.returncode is not None
    finally:
        os.close(descriptor)
