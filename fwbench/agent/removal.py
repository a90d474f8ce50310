"""Remove folders with any content, including other users' folders, without following links."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
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


def _mount_points() -> list[Path]:
    """Return all mount points; the kernel escapes special characters in octal."""
    lines = MOUNTS.read_bytes().splitlines()
    points = [re.sub(rb"\\([0-7]{3})", _unescaped, line.split()[4]) for line in lines]
    return [Path(os.fsdecode(point)) for point in points]


def _unescaped(match: "re.Match[bytes]") -> bytes:
    return bytes([int(match[1], 8)])


def _is_in(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents
