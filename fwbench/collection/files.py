"""Names of the files of a run, and how to read them."""

import os
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from fwbench.errors import RunError
from fwbench.model.base import Frozen
from fwbench.storage.regular_files import read_whole

# Only the controller writes these; the other names are in `agent/protocol.py`.
COMMANDS = "commands.json"
CLOCKS = "clocks.json"
ANSWER_BEFORE = "answer-before.json"

LIMIT_BYTES = 16 << 20  # no more than this is fetched

M = TypeVar("M", bound=Frozen)


def client_folder(number: int) -> str:
    """Return the folder of the n-th client, from 1 on; hosts' names may be invalid file names."""
    return f"client-{number}"


def read_model(kind: type[M], text: str, path: Path) -> M:
    """Return the model in a fetched file; raise `RunError` if it is malformed."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise RunError(f"{path}: malformed: {error.errors()[0]['msg']}") from error


def read_model_if_present(kind: type[M], path: Path) -> M | None:
    """Return the model in a file, or None if the file does not exist."""
    return read_model(kind, read_text(path), path) if exists(path) else None


def read_text(path: Path) -> str:
    """Return a file's text, empty if there is no file; raise `RunError` if it cannot be read."""
    if not exists(path):
        return ""
    try:
        return read_whole(path, LIMIT_BYTES).decode(errors="backslashreplace")
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error


def exists(path: Path) -> bool:
    """Return whether the name exists, even as a dangling link."""
    return os.path.lexists(path)
