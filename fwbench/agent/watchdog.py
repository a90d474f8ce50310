"""Run the watchdog: a process on a host that outlives the session's controller.

It waits until the session's lease expires, which means that the controller is gone. Then it removes
the session from the host.
"""

import os
import time
from pathlib import Path

from fwbench.agent import lease, state
from fwbench.agent.cleanup import remove_session
from fwbench.agent.detached import find_process
from fwbench.agent.files import write

MAX_SLEEP_S = 60.0


def is_running(folder: Path) -> bool:
    """Return whether a session's watchdog runs on this host."""
    return find_process(state.session_state(folder) / state.WATCHDOG, folder) is not None


def run_watchdog(folder: Path) -> None:
    """Wait until a session's lease is released or expires; remove the session if it expired."""
    write(state.session_state(folder) / state.WATCHDOG, os.getpid())
    while lease.read_lease(folder) is not None:
        remaining_s = lease.remaining_s(folder)
        if remaining_s <= 0:
            with state.lock():
                if lease.remaining_s(folder) <= 0:  # still expired, now that others are locked out
                    remove_session(folder)
            return
        time.sleep(min(remaining_s + 0.1, MAX_SLEEP_S))
