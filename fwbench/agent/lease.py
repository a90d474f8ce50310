"""Who has this host, and until when.

A session's folder on a host is named `fwbench-session-<session>`; the lease in it says who the
session belongs to and how long it may stay without being renewed. Time is counted since the boot:
clocks are set, and what began before a reboot is over.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fwbench.agent.files import write

PREFIX = "fwbench-session-"
LEASE = "lease.json"
UNLEASED_S = 600.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Look and take as one step: one agent at a time does."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def take(folder: Path, owner: str, for_s: float) -> None:
    """Take or renew the lease of a session's folder for so many seconds."""
    before = read(folder) or {}
    write(
        folder / LEASE,
        {
            "session": session_of(folder),
            "owner": owner,
            "since": before.get("since", time.time()),
            "until": time.time() + for_s,
            "boot_id": _boot_id(),
            "until_s": _since_boot_s() + for_s,
        },
    )


def read(folder: Path) -> dict[str, Any] | None:
    """The lease of a folder; None where there is none that could be read."""
    try:
        told = json.loads((folder / LEASE).read_text())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def left_s(folder: Path) -> float:
    """How many seconds a folder may stay; 0 or less if it is over.

    Without a lease somebody is about to take one, or did not come to it: ten minutes.
    """
    lease = read(folder)
    if lease is None:
        try:
            return UNLEASED_S - (time.time() - folder.lstat().st_mtime)
        except OSError:
            return 0.0
    until_s = lease.get("until_s")
    if lease.get("boot_id") != _boot_id() or not isinstance(until_s, (int, float)):
        return 0.0
    return float(until_s) - _since_boot_s()


def folders(place: Path) -> list[Path]:
    """Every folder that a session may have left here; links are none."""
    found = sorted(place.glob(f"{PREFIX}*"))
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def session_of(folder: Path) -> str:
    """The session whose folder it is."""
    return folder.name[len(PREFIX) :]


def _boot_id() -> str:
    return BOOT_ID.read_text().strip()


def _since_boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
