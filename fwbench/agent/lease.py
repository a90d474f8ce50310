"""Who has this host, and until when.

A session's files are in a folder that is named `fwbench-session-<session>`; its lease is kept where
no other user can write (`fwbench.agent.state`). The lease names the session and its owner, and how
long the session may stay without renewing it. Time is counted since the boot: clocks are set, and
what began before a reboot is over.
"""

import json
import time
from pathlib import Path
from typing import Any

from fwbench.agent import state
from fwbench.agent.files import read, write
from fwbench.agent.protocol import SESSION_PREFIX

LEASE = "lease.json"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def take(folder: Path, owner: str, for_s: float) -> None:
    """Take or renew the lease of a session's folder for so many seconds."""
    kept = state.session_state(folder)
    kept.mkdir(mode=0o700, exist_ok=True)
    before = read_lease(folder) or {}
    write(
        kept / LEASE,
        {
            "session": session_of(folder),
            "owner": owner,
            "since": before.get("since", time.time()),
            "until": time.time() + for_s,
            "boot_id": _boot_id(),
            "until_s": _since_boot_s() + for_s,
            "folder": str(folder),
            "user": folder.stat().st_uid,
        },
    )


def read_lease(folder: Path) -> dict[str, Any] | None:
    """Return the lease of a session's folder; None where there is none."""
    try:
        lease = json.loads(read(state.session_state(folder) / LEASE))
    except (OSError, ValueError):
        return None
    return lease if isinstance(lease, dict) else None


def remaining_s(folder: Path) -> float:
    """Return how many seconds a session may stay; 0 or less if it has no lease any more."""
    lease = read_lease(folder) or {}
    until_s = lease.get("until_s")
    if lease.get("boot_id") != _boot_id() or not isinstance(until_s, (int, float)):
        return 0.0
    return float(until_s) - _since_boot_s()


def sessions() -> list[Path]:
    """Return the folder of every session that has a lease here, or had one that is over."""
    try:
        kept = sorted(state.state_folder().iterdir())
    except FileNotFoundError:
        return []
    return [Path((read_lease(each) or {}).get("folder", each)) for each in kept]


def session_of(folder: Path) -> str:
    """Return the session whose folder it is."""
    return folder.name[len(SESSION_PREFIX) :]


def _boot_id() -> str:
    return BOOT_ID.read_text().strip()


def _since_boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
