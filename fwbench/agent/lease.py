"""Read and write the leases of this host: which session has it, and until when.

A session's files are in a folder named `fwbench-session-<session>`. Its lease is in another folder,
where no other user can write (`fwbench.agent.state`). The lease contains the session, its owner,
and its end, which is counted in seconds since the boot: a clock may be set, and a reboot ends every
lease.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from fwbench.agent import state
from fwbench.agent.files import read, write
from fwbench.agent.protocol import SESSION_PREFIX

LEASE = "lease.json"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def write_lease(folder: Path, owner: str, duration_s: float) -> None:
    """Write or renew the lease of a session's folder, for `duration_s` seconds from now."""
    state_folder = state.session_state(folder)
    state_folder.mkdir(mode=0o700, exist_ok=True)
    previous = read_lease(folder) or {}
    write(
        state_folder / LEASE,
        {
            "session": session_id(folder),
            "owner": owner,
            "since": previous.get("since", time.time()),
            "until": time.time() + duration_s,
            "boot_id": _boot_id(),
            "until_s": _since_boot_s() + duration_s,
            "folder": str(folder),
            "user": folder.stat().st_uid,
        },
    )


def read_lease(folder: Path) -> dict[str, Any] | None:
    """Return the lease of a session's folder, or None without one."""
    try:
        lease = json.loads(read(state.session_state(folder) / LEASE))
    except (OSError, ValueError):
        return None
    return lease if isinstance(lease, dict) else None


def remaining_s(folder: Path) -> float:
    """Return the seconds until a session's lease expires; 0 or less if it has expired."""
    lease = read_lease(folder) or {}
    until_s = lease.get("until_s")
    if lease.get("boot_id") != _boot_id() or not isinstance(until_s, (int, float)):
        return 0.0
    return float(until_s) - _since_boot_s()


def session_folders() -> list[Path]:
    """Return the folder of every session with a lease here, including expired leases."""
    try:
        state_folders = sorted(state.state_folder().iterdir())
    except FileNotFoundError:
        return []
    return [Path((read_lease(each) or {}).get("folder", each)) for each in state_folders]


def live_lease() -> dict[str, Any] | None:
    """Return the lease of the session that has this host, or None if no session has it."""
    live = [folder for folder in session_folders() if remaining_s(folder) > 0]
    return read_lease(live[0]) if live else None


def session_id(folder: Path) -> str:
    """Return the id of the session to which a folder belongs."""
    return folder.name[len(SESSION_PREFIX) :]


def _boot_id() -> str:
    return BOOT_ID.read_text().strip()


def _since_boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
