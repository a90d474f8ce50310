"""Where a report goes: to standard output, or to a file that is written whole or not at all."""

import os
import stat
import uuid
from collections.abc import Iterable
from pathlib import Path

import click

from fwbench.errors import FwbenchError


def print_chunks(chunks: Iterable[str | bytes]) -> None:
    """Print text or bytes, adding nothing."""
    for chunk in chunks:
        click.echo(chunk, nl=False)


def write_file(path: Path, chunks: Iterable[str | bytes], *, force: bool) -> None:
    """Write a file, text as UTF-8; `force` replaces one that exists.

    Until it is whole, it has another name in the same folder. Raise `UsageError` if `path` exists
    and must not be replaced, and `FwbenchError` if it cannot be written.
    """
    _check_replaceable(path, force=force)
    partial = path.with_name(f".fwbench-{uuid.uuid4().hex}.partial")
    try:
        try:
            with partial.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk.encode() if isinstance(chunk, str) else chunk)
                file.flush()
                os.fsync(file.fileno())
            _check_replaceable(path, force=force)  # it may have been made meanwhile
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise FwbenchError(f"{path}: cannot be written: {error.strerror}") from error


def _check_replaceable(path: Path, *, force: bool) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:  # it does not exist, or writing it will say why it cannot be reached
        return
    if not stat.S_ISREG(mode):
        raise click.UsageError(f"{path} is not a regular file: name another one")
    if not force:
        raise click.UsageError(f"{path} exists: name another file, or replace it with --force")
