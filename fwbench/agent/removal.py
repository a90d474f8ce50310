"""Remove folders with any content, including other users' folders, without following links."""

import os
import re
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")


def remove_folders(folders: Sequence[Path], timeout_s: float) -> None:
    """Remove folders, as far as this is possible within `timeout_s` seconds.

    A folder with a mount in it stays, because the mount may contain somebody's data.
    """
    # `rm` follows no links, even if another user moves folders while it runs.
    mounted = _mount_points()
    removable = [each for each in folders if not any(_is_in(point, each) for point in mounted)]
    if removable:
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                ["rm", "-rf", "--one-file-system", "--", *map(str, removable)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
            )


def remove_one_by_one(folders: Sequence[Path], timeout_s: float) -> int:
    """Remove folders one by one until the time is over; return how many were removed."""
    deadline, removed = time.monotonic() + timeout_s, 0
    for folder in folders:
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            break
        remove_folders([folder], remaining_s)
        removed += not os.path.lexists(folder)
    return removed


def unused_folders(parent: Path, min_age_s: float) -> list[Path]:
    """Return the folders in `parent` that nobody uses and that did not change for `min_age_s`.

    Returns none if another user could have made one of them.
    """
    try:
        status = parent.lstat()
    except FileNotFoundError:
        return []
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        return []
    return [
        folder
        for folder in sorted(parent.iterdir())
        if time.time() - _changed_at(folder) >= min_age_s and not is_in_use(folder)
    ]


def is_in_use(folder: Path) -> bool:
    """Return whether a process names a folder in its arguments, works in it, or has a file open."""
    path = os.fsencode(folder)
    pattern = re.compile(re.escape(path) + rb"(/|$)")
    return any(pattern.search(used) for used in _used_paths())


def _used_paths() -> Iterator[bytes]:
    """Yield the arguments, working folders and open files of other processes, as far as visible."""
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()):
            with suppress(OSError):
                yield from (process / "cmdline").read_bytes().split(b"\0")
                for link in (process / "cwd", *(process / "fd").iterdir()):
                    with suppress(OSError):
                        yield os.fsencode(link.readlink())


def _changed_at(folder: Path) -> float:
    """Return when a folder, or something directly in it, was changed, in epoch seconds."""
    times = [folder.lstat().st_mtime]
    with suppress(OSError):
        times += [entry.lstat().st_mtime for entry in folder.iterdir()]
    return max(times)


def _mount_points() -> list[Path]:
    """Return all mount points; the kernel escapes special characters in octal."""
    lines = MOUNTS.read_bytes().splitlines()
    points = [re.sub(rb"\\([0-7]{3})", _unescaped, line.split()[4]) for line in lines]
    return [Path(os.fsdecode(point)) for point in points]


def _unescaped(match: "re.Match[bytes]") -> bytes:
    return bytes([int(match[1], 8)])


def _is_in(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents
