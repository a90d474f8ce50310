"""The process that stays on a host for a session and outlives its controller.

It does nothing until the session's lease is over: then nobody is there any more to take away what
runs here, and it does that.
"""

import os
import time
from pathlib import Path

from fwbench.agent import lease, state
from fwbench.agent.cleanup import remove_session
from fwbench.agent.detached import find_process
from fwbench.agent.files import write

NAP_S = 60.0


def is_running(folder: Path) -> bool:
    """Whether a session has its warden here already."""
    return find_process(state.session_state(folder) / state.WATCHDOG, folder) is not None


def run_watchdog(folder: Path) -> None:
    """Wait until a session's lease is given back, or over; then take the session away."""
    write(state.session_state(folder) / state.WATCHDOG, os.getpid())
    while lease.read_lease(folder) is not None:
        left_s = lease.remaining_s(folder)
        if left_s <= 0:
            with state.lock():
                if lease.remaining_s(folder) <= 0:  # nobody renewed it meanwhile
                    remove_session(folder)
            return
        time.sleep(min(left_s + 0.1, NAP_S))
