"""From the content of a session's files to models. Every error names the file and, if any, line."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from fwbench.errors import SessionError
from fwbench.model.record import SCHEMA
from fwbench.storage.files import read_file, read_lines

M = TypeVar("M", bound=BaseModel)


def parse_file(kind: type[M], path: Path) -> M:
    """Parse a file that is one JSON object; `SessionError` if it is no `kind`."""
    try:
        # In two steps: in one, a plan of 100,000 runs takes 700 MB.
        return kind.model_validate(from_json(read_file(path)))
    except ValidationError as error:
        raise SessionError(f"{path}: {_first_error(error)}") from error
    except ValueError as error:
        raise SessionError(f"{path}: Invalid JSON: {error}") from error


def parse_lines(kind: type[M], path: Path) -> Iterator[M]:
    """Parse a file line by line, each line when it is asked for.

    A torn last line is skipped. Raises `SessionError` for any other line that is no `kind`.
    """
    for number, (line, following) in enumerate(_pairs_with_next(read_lines(path)), start=1):
        if following is None and is_torn(line):
            return
        try:
            yield kind.model_validate_json(line)
        except ValidationError as error:
            raise SessionError(f"{path}: line {number}: {_first_error(error)}") from error


def is_torn(last: bytes) -> bool:
    """Return whether a last line was not written to its end: it lacks its end, or is no JSON.

    After a loss of power a file system may show a line in full length that it never filled.
    """
    if not last.endswith(b"\n"):
        return True
    try:
        from_json(last)  # refuses what is nested too deeply, where `json` fails
    except ValueError:
        return True
    return False


def _pairs_with_next(lines: Iterator[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
    """Return each line with the one after it; None after the last."""
    line = next(lines, None)
    while line is not None:
        following = next(lines, None)
        yield line, following
        line = following


def _first_error(error: ValidationError) -> str:
    errors = error.errors()
    if any(each["loc"] == ("schema_version",) for each in errors):
        return (
            f"another version of fwbench wrote it, in a format that this version does not read"
            f" (this one reads format {SCHEMA}): use that version, or execute the suite again"
        )
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"])
    # Both may quote a key or a value of the file, however long.
    return ": ".join(f"{words:.300}" for words in (place, first["msg"]) if words)
