"""Start and stop the target's sampler, a detached process that runs during the load."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fwbench.agent import state
from fwbench.agent.detached import find_process
from fwbench.agent.files import write
from fwbench.agent.protocol import TELEMETRY_TARGET

STOP_TIMEOUT_S = 2.0


def start_sampling(folder: Path, processes: Sequence[dict[str, Any]], time_limit_s: float) -> None:
    """Sample the host and a container until SIGTERM; then write `TELEMETRY_TARGET`.

    `processes` are the container's. Sampling also ends when the run's folder is removed, and after
    `time_limit_s` seconds. It continues if the container exits, because the host's samples then
    show the cause.
    """
    from fwbench.agent.sampler import INTERVAL_S, Sampler, next_due

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # for `sigtimedwait` below
    try:
        write(_pid_file(folder), os.getpid())
    except OSError:
        return
    first_process = min(processes, key=lambda process: process["started_ticks"], default=None)
    sampler = Sampler(first_process["pid"] if first_process else None)
    started_s = time.monotonic()
    due = started_s + INTERVAL_S
    while folder.exists() and time.monotonic() < started_s + time_limit_s:
        stop_signal = signal.sigtimedwait({signal.SIGTERM}, max(0.0, due - time.monotonic()))
        if stop_signal is not None:
            sampler.exclude(stop_signal.si_pid)
            break
        sampler.sample()
        due = next_due(due)
    sampler.write_result(folder / TELEMETRY_TARGET)


def stop_sampling(folder: Path) -> None:
    """Stop this run's sampler, if it still runs, and wait for the file that it writes."""
    pid = find_process(_pid_file(folder), folder)
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while not (folder / TELEMETRY_TARGET).exists() and time.monotonic() < deadline:
        time.sleep(0.005)


def _pid_file(folder: Path) -> Path:
    """Return the file with the sampler's process id; a run's folder is in its session's."""
    return state.session_state(folder.parent) / state.SAMPLER
