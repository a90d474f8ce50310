"""Work that goes on after the command that began it, and how it is found again."""

import os
from pathlib import Path

from fwbench.agent.files import read


def detach() -> bool:
    """Go on in a session of our own, which no broken connection ends; True in the child."""
    if os.fork():
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    return True


def find_process(pid_file: Path, folder: Path) -> int | None:
    """The process whose id is in a file, if it works for the run that has this folder.

    Ids are used again: it does if the folder is among its arguments.
    """
    try:
        pid = int(read(pid_file))
        started = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(str(folder)) in started else None
