"""What the files of a run are called, and how one that the agent wrote is read."""

import os
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from fwbench.errors import RunError
from fwbench.model.base import Frozen
from fwbench.storage.regular_files import read_whole

# Written by the driver alone; all other names are the agent's.
COMMANDS = "commands.json"
CLOCKS = "clocks.json"
ANSWER_BEFORE = "answer-before.json"

LIMIT_BYTES = 16 << 20  # as much as is fetched of one

M = TypeVar("M", bound=Frozen)


def client_folder(number: int) -> str:
    """The folder of the n-th client's files, from 1 on; its name may be no name for a folder."""
    return f"client-{number}"


def read_model(kind: type[M], text: str, path: Path) -> M:
    """The model that a fetched file holds; `RunError` if it does not."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise RunError(f"{path}: not what the agent writes: {error.errors()[0]['msg']}") from error


def read_model_if_present(kind: type[M], path: Path) -> M | None:
    """The same of a file that there need not be."""
    return read_model(kind, read_text(path), path) if exists(path) else None


def read_text(path: Path) -> str:
    """The text of a file; none of one that is not there. `RunError` if it cannot be read."""
    if not exists(path):
        return ""
    try:
        return read_whole(path, LIMIT_BYTES).decode(errors="backslashreplace")
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error


def exists(path: Path) -> bool:
    """Whether there is anything of that name, be it a link that leads nowhere."""
    return os.path.lexists(path)
