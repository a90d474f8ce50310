"""Read and write the agent's files, safely against other users of the host."""

import errno
import json
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

LIMIT_BYTES = 64 << 10


class UntrustedError(Exception):
    """A folder or file that somebody else on this host could have made or changed."""


def read(path: Path, limit_bytes: int = LIMIT_BYTES) -> bytes:
    """Return the content of a small regular file.

    Raises `OSError` at once for anything else: a link, a FIFO, a device, a larger file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise OSError(errno.EFBIG, f"more than {limit_bytes} bytes", str(path))
    return content


def create(path: Path) -> BinaryIO:
    """Return a new file, open for writing, that belongs to the owner of its folder.

    A file that has the name already is removed.
    """
    with suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    give_to_folder_owner(path)
    return os.fdopen(descriptor, "wb")


def write(path: Path, value: object) -> None:
    """Write `value` as JSON to `path`, completely or not at all, for the owner of the folder."""
    partial = path.with_name(path.name + ".partial")
    with create(partial) as file:
        file.write(json.dumps(value).encode())
    partial.rename(path)


def give_to_folder_owner(path: Path) -> None:
    """Give a file that root made to the owner of its folder."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def check_private(folder: Path, owners: Collection[int]) -> None:
    """Raise `UntrustedError` unless only root and `owners` (user ids) can change a folder."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise UntrustedError(f"{folder} is not a folder; remove it")
    if status.st_uid not in owners:
        raise UntrustedError(
            f"{folder} belongs to user {status.st_uid} of this host, not to fwbench; remove it"
        )
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise UntrustedError(f"{folder} has mode {mode:04o} instead of 0700; remove it")


def trusted_users() -> set[int]:
    """Return the ids of the user who runs the agent, and of the one who became root by sudo."""
    user = os.geteuid()
    return {user, int(os.environ.get("SUDO_UID", user))} if user == 0 else {user}
