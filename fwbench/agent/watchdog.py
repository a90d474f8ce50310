"""The process that stays on a host for a session and outlives its controller.

It does nothing until the session's lease is over: then nobody is there any more to take away what
runs here, and it does that.
"""

import os
import time
from pathlib import Path

from fwbench.agent import lease, state
from fwbench.agent.cleanup import sweep
from fwbench.agent.detached import still_there
from fwbench.agent.files import write

NAP_S = 60.0


def is_on_duty(folder: Path) -> bool:
    """Whether a session has its warden here already."""
    return still_there(state.of(folder) / state.WARDEN, folder) is not None


def keep_watch(folder: Path) -> None:
    """Wait until a session's lease is given back, or over; then take the session away."""
    write(state.of(folder) / state.WARDEN, os.getpid())
    while lease.of(folder) is not None:
        left_s = lease.left_s(folder)
        if left_s <= 0:
            with state.alone():
                if lease.left_s(folder) <= 0:  # nobody renewed it meanwhile
                    sweep(folder)
            return
        time.sleep(min(left_s + 0.1, NAP_S))
