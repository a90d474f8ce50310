"""The target's sampler, which goes on by itself while the client loads the container."""

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

STOPPING_S = 2.0


def start_sampling(folder: Path, container: Sequence[dict[str, Any]], for_s: float) -> None:
    """Sample the host and a container, of which these are the processes, until told to stop.

    It ends with the run's folder too, and after `for_s` seconds in any case. A container that is
    gone does not end it: what the host did then is what one wants to know.
    """
    from fwbench.agent.sampler import INTERVAL_S, Sampler, next_due

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # it is asked for below
    try:
        write(_pid_file(folder), os.getpid())
    except OSError:
        return
    first = min(container, key=lambda process: process["started_ticks"], default=None)
    sampler = Sampler(first["pid"] if first else None)
    began = time.monotonic()
    due = began + INTERVAL_S
    while folder.exists() and time.monotonic() < began + for_s:
        told = signal.sigtimedwait({signal.SIGTERM}, max(0.0, due - time.monotonic()))
        if told is not None:
            sampler.leave_out(told.si_pid)
            break
        sampler.sample()
        due = next_due(due)
    sampler.leave(folder / TELEMETRY_TARGET)


def stop_sampling(folder: Path) -> None:
    """End the sampler, after a look whether it is this run's, and wait for what it leaves."""
    pid = find_process(_pid_file(folder), folder)
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOPPING_S
    while not (folder / TELEMETRY_TARGET).exists() and time.monotonic() < deadline:
        time.sleep(0.005)


def _pid_file(folder: Path) -> Path:
    """A run's folder lies in its session's."""
    return state.session_state(folder.parent) / state.SAMPLER
