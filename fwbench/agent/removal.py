"""Removes folders, also those of other users, whatever they hold: it follows no link."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")


def remove(folders: Sequence[Path], within_s: float) -> None:
    """Remove what can be removed within so many seconds.

    A folder in which something is mounted stays: what is mounted may be somebody's data. The
    command `rm` neither follows links, nor is it led elsewhere by folders that are moved meanwhile.
    """
    mounted = _mount_points()
    removable = [each for each in folders if not any(_is_in(point, each) for point in mounted)]
    if removable:
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                ["rm", "-rf", "--one-file-system", "--", *map(str, removable)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=within_s,
            )


def remove_each(folders: Sequence[Path], within_s: float) -> int:
    """Remove one folder after the other until the time is over, and return how many are gone."""
    deadline, gone = time.monotonic() + within_s, 0
    for folder in folders:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            break
        remove([folder], left_s)
        gone += not os.path.lexists(folder)
    return gone


def _mount_points() -> list[Path]:
    """Everything that is mounted here; the kernel writes odd characters in octal."""
    lines = MOUNTS.read_bytes().splitlines()
    points = [re.sub(rb"\\([0-7]{3})", _unescaped, line.split()[4]) for line in lines]
    return [Path(os.fsdecode(point)) for point in points]


def _unescaped(match: "re.Match[bytes]") -> bytes:
    return bytes([int(match[1], 8)])


def _is_in(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents
