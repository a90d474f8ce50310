"""Takes away what a session left on this host: processes, containers, folders."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fwbench.agent import lease

LABEL = "fwbench.session"
ENGINE_TIMEOUT_S = 60
ENDING_S = 5.0


def enter(folder: Path, owner: str, for_s: float, run: str | None) -> dict[str, Any] | None:
    """Take or renew this host for a session; the other session's lease where that has it.

    What dead sessions left is taken away, and what this one left of earlier runs: afterwards there
    is no container of fwbench's, and no process of this session's but its warden. With `run` there
    is a folder for it; without, the session comes anew, and an older warden goes too.
    """
    with lease.alone(folder.parent):
        for other in lease.folders(folder.parent):
            if other != folder and lease.left_s(other) > 0 and lease.read(other) is not None:
                return lease.read(other)
        lease.take(folder, owner, for_s)
    for other in lease.folders(folder.parent):
        if other != folder and lease.left_s(other) <= 0:
            sweep(other)
    if run is None:
        end_processes_of(folder)
    for inside in sorted(path for path in folder.iterdir() if path.is_dir()):
        end_processes_of(inside)
        shutil.rmtree(inside, ignore_errors=True)
    remove_containers(containers(None))
    if run is not None:
        made = folder / run
        made.mkdir(mode=0o700)
        if os.geteuid() == 0:
            owned = folder.stat()
            os.chown(made, owned.st_uid, owned.st_gid)
    return None


def sweep(folder: Path) -> dict[str, Any]:
    """Take away all that one session left here, and tell how much that was."""
    ended = end_processes_of(folder)
    left = containers(lease.session_of(folder))
    remove_containers(left)
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "session": lease.session_of(folder),
        "processes": ended,
        "containers": len(left),
        "gone": not folder.exists(),
    }


def sweep_all(mine: Path, *, force: bool) -> dict[str, Any]:
    """Take away what every dead session left, with `force` every other one; `mine` is the asker's.

    Containers of sessions whose folders are gone go too, unless a living session has the host.
    """
    swept, living = [], []
    with lease.alone(mine.parent):
        for folder in lease.folders(mine.parent):
            if folder == mine:
                continue
            if force or lease.left_s(folder) <= 0:
                swept.append(sweep(folder))
            else:
                living.append(lease.read(folder) or {"session": lease.session_of(folder)})
        orphans = [] if living else containers(None)
        remove_containers(orphans)
    return {"swept": swept, "living": living, "orphans": len(orphans)}


def end_processes_of(folder: Path) -> int:
    """Kill every process that names a folder among its arguments, but for us; how many there were.

    What was started for a session has its folder there: the agent itself, and the load generator.
    """
    ours, named = _ancestors(), os.fsencode(str(folder))
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) in ours:
            continue
        with suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if any(_names(argument, named) for argument in arguments):
                found.append(int(entry.name))
    for pid in found:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + ENDING_S
    while any(_is_alive(pid) for pid in found) and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(found)


def containers(session: str | None) -> list[str]:
    """The ids of a session's containers, or of all sessions'; none without an engine."""
    if shutil.which("docker") is None:
        return []
    of = LABEL if session is None else f"{LABEL}={session}"
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
