"""Open a session's files safely: regular files only, without blocking, up to a size limit.

A session's folder may come from another person. Instead of a file it may contain a pipe, which
would block; a device, which never ends; or a link to a file elsewhere.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_to_read(path: Path) -> BinaryIO:
    """Open a regular file for reading; raise `OSError` for anything else, including links."""
    return os.fdopen(_descriptor(path, os.O_RDONLY), "rb")


def open_to_write(path: Path, flags: int) -> int:
    """Return the descriptor of a regular file, which is made with mode 0600 if it is missing.

    `flags` are those of `os.open`. Raises `OSError` if the path is not a regular file.
    """
    return _descriptor(path, flags | os.O_CREAT)


def read_whole(path: Path, limit_bytes: int) -> bytes:
    """Return a regular file's content; raise `OSError` if it has more than `limit_bytes` bytes."""
    with open_to_read(path) as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise OSError(errno.EFBIG, f"larger than {limit_bytes} bytes", str(path))
    return content


def _descriptor(path: Path, flags: int) -> int:
    # O_NONBLOCK: opening a pipe without another process at its other end would block for ever.
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise _not_regular(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return descriptor


def _not_regular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "not a regular file", str(path))
