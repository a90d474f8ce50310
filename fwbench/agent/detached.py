"""Detach a process from the command that started it, and find it again later."""

from __future__ import annotations

import os
from pathlib import Path

from fwbench.agent.files import read


def detach() -> bool:
    """Fork a process that outlives the SSH connection; return True in it, False in the caller."""
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
    """Return the process id in a file, or None if that process does not work for this folder.

    The kernel reuses ids, so the folder has to be among the process's arguments.
    """
    try:
        pid = int(read(pid_file))
        command_line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(str(folder)) in command_line else None
