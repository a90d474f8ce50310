"""Remove what sessions left on this host: processes, containers, folders."""

from __future__ import annotations

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
from fwbench.agent.removal import remove_folders, remove_one_by_one, unused_folders

ENGINE_TIMEOUT_S = 60
KILL_TIMEOUT_S = 5.0
REMOVAL_TIMEOUT_S = 60.0
ABANDONED_REMOVAL_TIMEOUT_S = 5.0  # so that other users' folders cannot delay a new session
PROVISIONING_AFTER_S = 86_400.0  # an upload of images may take hours
ABANDONED_AFTER_S = 600.0  # a new session makes its folder before it has a lease


def take_host(folder: Path, owner: str, lease_s: float, run: str | None) -> dict[str, Any] | None:
    """Take or renew this host's lease for a session; return None if that succeeded.

    Returns the other session's lease if another live session has the host. Otherwise everything
    that dead sessions and this session's earlier runs left is removed: afterwards the host has no
    container of fwbench, and of this session's processes only the watchdog runs.

    With `run`, a folder for that run is made. Without it the session is new on this host (or new
    again), and an older watchdog is killed too.
    """
    with state.lock():
        other_sessions = [each for each in lease.session_folders() if each.name != folder.name]
        for other in other_sessions:
            if lease.remaining_s(other) > 0:
                return lease.read_lease(other)
        lease.write_lease(folder, owner, lease_s)
        for other in other_sessions:
            remove_session(other)
        if run is None:
            remove_abandoned_folders(folder.parent, ABANDONED_REMOVAL_TIMEOUT_S)
            kill_processes_of(folder, _session_users(folder))
            (state.session_state(folder) / state.WATCHDOG).unlink(missing_ok=True)
    runs = [path for path in folder.iterdir() if path.is_dir()]
    for each in runs:
        kill_processes_of(each, _session_users(folder))
    remove_folders(runs, REMOVAL_TIMEOUT_S)
    remove_containers(container_ids(None))
    if run is not None:
        run_folder = folder / run
        run_folder.mkdir(mode=0o700)
        give_to_folder_owner(run_folder)
    return None


def remove_session(folder: Path) -> dict[str, Any]:
    """Remove everything that one session left on this host; return what was removed.

    The caller must have `state.lock()`. Without a lease only the folder is removed, because any
    user can make a folder of that name.
    """
    processes, containers = 0, []
    if lease.read_lease(folder) is not None:
        processes = kill_processes_of(folder, _session_users(folder))
        containers = container_ids(lease.session_id(folder))
        remove_containers(containers)
    remove_folders([folder], REMOVAL_TIMEOUT_S)
    state.remove_session_state(folder)
    return {
        "session": lease.session_id(folder),
        "processes": processes,
        "containers": len(containers),
        "folder_removed": not os.path.lexists(folder),
    }


def remove_dead_sessions(own_folder: Path, *, force: bool) -> dict[str, Any]:
    """Remove what dead sessions left, and with `force` live sessions too; return what was removed.

    `own_folder` belongs to the caller and stays. Containers without a session are removed unless a
    live session has the host. Folders without a session are only counted in the result: any user
    can choose their names. Also removes what an interrupted provisioning left.
    """
    removed, live = [], []
    min_age_s = 0 if force else ABANDONED_AFTER_S
    with state.lock():
        for folder in lease.session_folders():
            if force or lease.remaining_s(folder) <= 0:
                removed.append(remove_session(folder))
            else:
                live.append(lease.read_lease(folder))
        abandoned, unremovable = remove_abandoned_folders(
            own_folder.parent, REMOVAL_TIMEOUT_S, excluded=own_folder, min_age_s=min_age_s
        )
        provisioning = unused_folders(
            state.PROVISIONING_FOLDERS, 0 if force else PROVISIONING_AFTER_S
        )
        orphans = [] if live else container_ids(None)
        remove_containers(orphans)
    return {
        "removed": removed,
        "live_sessions": live,
        "orphan_containers": len(orphans),
        "abandoned_folders": abandoned,
        "provisioning_folders": remove_one_by_one(provisioning, REMOVAL_TIMEOUT_S),
        "unremovable": unremovable,
    }


def remove_abandoned_folders(
    parent: Path,
    timeout_s: float,
    *,
    excluded: Path | None = None,
    min_age_s: float = ABANDONED_AFTER_S,
) -> tuple[int, int]:
    """Remove folders that are named like a session's but have no lease, except `excluded`.

    A reboot leaves such folders, and any user can make one. Therefore no process is killed and no
    container removed. Returns how many folders were removed, and how many remain.
    """
    known = {each.name for each in lease.session_folders()}
    if excluded is not None:
        known.add(excluded.name)
    now, candidates = time.time(), []
    with os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(SESSION_PREFIX) and entry.name not in known:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    ours = status.st_uid in trusted_users()
                    if (
                        stat.S_ISDIR(status.st_mode)
                        and now - status.st_mtime >= min_age_s
                        and (ours or os.geteuid() == 0)
                    ):
                        candidates.append((not ours, parent / entry.name))
    removed = remove_one_by_one([folder for _, folder in sorted(candidates)], timeout_s)
    return removed, len(candidates) - removed


def kill_processes_of(folder: Path, users: Collection[int]) -> int:
    """Kill these users' processes whose arguments name the folder; return how many there were.

    Both processes that work for a session do so: the agent and the load generator. The calling
    process and its ancestors are spared.
    """
    own_pids, folder_bytes = _own_pids(), os.fsencode(str(folder))
    killed = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) in own_pids:
            continue
        with suppress(OSError):
            if entry.stat().st_uid not in users:
                continue
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if any(_contains_path(argument, folder_bytes) for argument in arguments):
                os.kill(int(entry.name), signal.SIGKILL)
                killed.append(int(entry.name))
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while any(_is_alive(pid) for pid in killed) and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(killed)


def container_ids(session: str | None) -> list[str]:
    """Return the ids of a session's containers, or of all sessions'; none without Docker."""
    if shutil.which("docker") is None:
        return []
    label = SESSION_LABEL if session is None else f"{SESSION_LABEL}={session}"
    done = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--no-trunc", f"--filter=label={label}"],
        capture_output=True,
        text=True,
        timeout=ENGINE_TIMEOUT_S,
    )
    return done.stdout.split()


def remove_containers(ids: list[str]) -> None:
    """Remove containers; those that no longer exist are ignored."""
    if ids:
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", *ids],
            capture_output=True,
            timeout=ENGINE_TIMEOUT_S,
        )


def _session_users(folder: Path) -> set[int]:
    """Return the users whose processes work for a session: root and its login user."""
    return {0, (lease.read_lease(folder) or {}).get("user", 0)}


def _contains_path(argument: bytes, folder: bytes) -> bool:
    """Return whether an argument contains the folder, or a path in it, as `--log-file=` does."""
    start = argument.find(folder)
    return start >= 0 and argument[start + len(folder) : start + len(folder) + 1] in (b"", b"/")


def _own_pids() -> set[int]:
    """Return the ids of this process and its ancestors, whose arguments name the folder too."""
    pids, pid = set(), os.getpid()
    while pid > 1:
        pids.add(pid)
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
    return pids


def _is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
