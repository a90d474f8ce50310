"""How a file of a session is opened: regular files only, without waiting, up to a limit.

A session's folder may come from anybody. In the place of a file it may have a pipe, which would be
waited for, a device, which never ends, or a link to a file elsewhere.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_to_read(path: Path) -> BinaryIO:
    """Open a regular file; `OSError` for anything else, links included."""
    return os.fdopen(_descriptor(path, os.O_RDONLY), "rb")


def open_to_write(path: Path, flags: int) -> int:
    """Return the descriptor of a regular file, made private to its user if it is made.

    `flags` say how, as those of `os.open`; `OSError` where anything else is in its place.
    """
    return _descriptor(path, flags | os.O_CREAT)


def read_whole(path: Path, limit_bytes: int) -> bytes:
    """Return what a regular file contains; `OSError` where that is more than so many bytes."""
    with open_to_read(path) as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise OSError(errno.EFBIG, f"larger than {limit_bytes} bytes", str(path))
    return content


def _descriptor(path: Path, flags: int) -> int:
    # Without waiting: a pipe without anybody at its other end would never be opened.
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
