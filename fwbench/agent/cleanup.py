"""Takes away what a session left on this host: processes, containers, folders."""

import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from fwbench.agent import lease, state
from fwbench.agent.files import give_to_folder_owner, trusted_users
from fwbench.agent.protocol import SESSION_LABEL, SESSION_PREFIX
from fwbench.agent.removal import remove, remove_each

ENGINE_TIMEOUT_S = 60
ENDING_S = 5.0
REMOVAL_S = 60.0
ABANDONED_S = 5.0  # what the folders of others may cost a session that begins
GRACE_S = 600.0  # a session that begins has its folder before it has a lease


def enter(folder: Path, owner: str, for_s: float, run: str | None) -> dict[str, Any] | None:
    """Take or renew this host for a session; the other session's lease where that has it.

    What dead sessions left is taken away, and what this one left of earlier runs: afterwards there
    is no container of fwbench's, and no process of this session's but its warden. With `run` there
    is a folder for it; without, the session comes anew, and an older warden goes too.
    """
    with state.lock():
        others = [each for each in lease.sessions() if each.name != folder.name]
        for other in others:
            if lease.remaining_s(other) > 0:
                return lease.read_lease(other)
        lease.take(folder, owner, for_s)
        for other in others:
            remove_session(other)
        if run is None:
            remove_abandoned(folder.parent, ABANDONED_S)
            end_processes_of(folder, _users(folder))
            (state.session_state(folder) / state.WATCHDOG).unlink(missing_ok=True)
    runs = [path for path in folder.iterdir() if path.is_dir()]
    for each in runs:
        end_processes_of(each, _users(folder))
    remove(runs, REMOVAL_S)
    remove_containers(containers(None))
    if run is not None:
        made = folder / run
        made.mkdir(mode=0o700)
        give_to_folder_owner(made)
    return None


def remove_session(folder: Path) -> dict[str, Any]:
    """Take away all that one session left here, and tell how much that was.

    For whoever is `alone`. Nothing but the folder goes where the session has no lease: anybody may
    have given it its name.
    """
    processes, left = 0, []
    if lease.read_lease(folder) is not None:
        processes = end_processes_of(folder, _users(folder))
        left = containers(lease.session_of(folder))
        remove_containers(left)
    remove([folder], REMOVAL_S)
    state.forget(folder)
    return {
        "session": lease.session_of(folder),
        "processes": processes,
        "containers": len(left),
        "folder_removed": not os.path.lexists(folder),
    }


def remove_dead_sessions(mine: Path, *, force: bool) -> dict[str, Any]:
    """Take away what every dead session left, with `force` every other one; `mine` is the asker's.

    Containers of no session go too, unless a living session has the host. Of folders of no session
    it is told only how many there are: anybody may have given them their names.
    """
    swept, living = [], []
    grace_s = 0 if force else GRACE_S
    with state.lock():
        for folder in lease.sessions():
            if force or lease.remaining_s(folder) <= 0:
                swept.append(remove_session(folder))
            else:
                living.append(lease.read_lease(folder))
        abandoned, stuck = remove_abandoned(mine.parent, REMOVAL_S, but=mine, grace_s=grace_s)
        orphans = [] if living else containers(None)
        remove_containers(orphans)
    return {
        "removed": swept,
        "live_sessions": living,
        "orphan_containers": len(orphans),
        "abandoned_folders": abandoned,
        "unremovable": stuck,
    }


def remove_abandoned(
    place: Path, within_s: float, *, but: Path | None = None, grace_s: float = GRACE_S
) -> tuple[int, int]:
    """Remove folders that are named like a session's but are no session's, except `but`.

    A reboot leaves them, and anybody may make one. Returns how many were removed and how many are
    still there. Nothing else goes with them: neither a process nor a container.
    """
    known = {each.name for each in lease.sessions()} | ({but.name} if but else set())
    now, found = time.time(), []
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(SESSION_PREFIX) and entry.name not in known:
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    ours = about.st_uid in trusted_users()
                    if (
                        stat.S_ISDIR(about.st_mode)
                        and now - about.st_mtime >= grace_s
                        and (ours or os.geteuid() == 0)
                    ):
                        found.append((not ours, place / entry.name))
    gone = remove_each([folder for _, folder in sorted(found)], within_s)
    return gone, len(found) - gone


def end_processes_of(folder: Path, users: Collection[int]) -> int:
    """Kill every process of these users that names a folder among its arguments, but for us.

    Returns how many there were. What was started for a session has its folder there: the agent
    itself, and the load generator.
    """
    ours, named = _ancestors(), os.fsencode(str(folder))
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) in ours:
            continue
        with suppress(OSError):
            if entry.stat().st_uid not in users:
                continue
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if any(_names(argument, named) for argument in arguments):
                os.kill(int(entry.name), signal.SIGKILL)
                found.append(int(entry.name))
    deadline = time.monotonic() + ENDING_S
    while any(_is_alive(pid) for pid in found) and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(found)


def containers(session: str | None) -> list[str]:
    """The ids of a session's containers, or of all sessions'; none without an engine."""
    if shutil.which("docker") is None:
        return []
    of = SESSION_LABEL if session is None else f"{SESSION_LABEL}={session}"
    done = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--no-trunc", f"--filter=label={of}"],
        capture_output=True,
        text=True,
        timeout=ENGINE_TIMEOUT_S,
    )
    return done.stdout.split()


def remove_containers(ids: list[str]) -> None:
    """Take containers away; that they are gone already is as good."""
    if ids:
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", *ids],
            capture_output=True,
            timeout=ENGINE_TIMEOUT_S,
        )


def _users(folder: Path) -> set[int]:
    """Whose processes work for a session: root's, and those of the user who logs in for it."""
    return {0, (lease.read_lease(folder) or {}).get("user", 0)}


def _names(argument: bytes, folder: bytes) -> bool:
    at = argument.find(folder)
    return at >= 0 and argument[at + len(folder) : at + len(folder) + 1] in (b"", b"/")


def _ancestors() -> set[int]:
    """The agent itself and those that wait for it: they name the folder too."""
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
    return found


def _is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
