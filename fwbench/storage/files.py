"""A session's files: read whole or line by line, written durably. Every error names the file."""

import os
from collections.abc import Iterator
from pathlib import Path

from fwbench.errors import SessionError
from fwbench.storage.regular_files import open_to_read, open_to_write, read_whole

# No session comes near: a plan has about 600 bytes a run, a record of a day-long run about 10 MB.
FILE_LIMIT_BYTES = 1 << 30
LINE_LIMIT_BYTES = 256 << 20


def read_file(path: Path) -> bytes:
    """Return a file's content; `SessionError` if it cannot be read or is too large."""
    try:
        return read_whole(path, FILE_LIMIT_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error


def read_lines(path: Path) -> Iterator[bytes]:
    """Return a file's lines with their ends, which the last line may lack.

    Raises `SessionError` if the file cannot be read or a line is too long.
    """
    number = 1
    try:
        with open_to_read(path) as file:
            while line := file.readline(LINE_LIMIT_BYTES + 1):
                if len(line) > LINE_LIMIT_BYTES:
                    raise SessionError(
                        f"{path}: line {number} is longer than {LINE_LIMIT_BYTES} bytes"
                    )
                yield line
                number += 1
    except OSError as error:
        raise _unreadable(path, error) from error


def replace_file(path: Path, text: str) -> None:
    """Write a file, whole or not at all, and wait until it is on the disk."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with os.fdopen(open_to_write(partial, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as error:
        raise SessionError(f"{path}: {error.strerror}") from error


def append_line(path: Path, line: str) -> None:
    """Add a line, whole or not at all, and wait until it is on the disk."""
    try:
        descriptor = open_to_write(path, os.O_WRONLY | os.O_APPEND)
        try:
            length = os.fstat(descriptor).st_size
            try:
                left = (line + "\n").encode()
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
            except OSError:
                os.truncate(descriptor, length)
                raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SessionError(f"{path}: {error.strerror}") from error


def move_tail(path: Path, length: int, tail: bytes, into: Path) -> None:
    """Append `tail` to another file and cut the file to `length` bytes, in this order."""
    try:
        with os.fdopen(open_to_write(into, os.O_WRONLY | os.O_APPEND), "ab") as kept:
            kept.write(tail.removesuffix(b"\n") + b"\n")
            kept.flush()
            os.fsync(kept.fileno())
        os.truncate(path, length)
    except OSError as error:
        raise SessionError(f"{path}: cannot be repaired: {error.strerror}") from error


def _unreadable(path: Path, error: OSError) -> SessionError:
    return SessionError(
        f"{path.parent}: not a session folder: {path.name} cannot be read ({error.strerror})"
    )
