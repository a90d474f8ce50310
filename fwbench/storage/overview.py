"""What can be told quickly of many session folders: without models, and without whole records.

A report reads each record whole and checks it. Here the fields are found by their bytes, which is
many times as fast. That is sound, because within a JSON text each quotation mark has a backslash:
the bytes `"verdict":{` are a key, never a part of an error message.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fwbench.errors import SessionError
from fwbench.storage.files import read_file, read_lines

STATUSES = ("valid", "suspect", "invalid")

_HEADER, _PLAN, _RECORDS = "session.json", "plan.json", "records.jsonl"
_PLANNED_RUN = re.compile(rb'"block":')
_LOST = b'"infrastructure_failure":true'
_VERDICT = b'"verdict":{'
_LEVELS = ((b'"level":"invalid"', "invalid"), (b'"level":"suspect"', "suspect"))


@dataclass(frozen=True)
class SessionOverview:
    """A session in one line; `damage` says why its other fields are incomplete, if they are.

    `started` is ISO 8601 in UTC. `verdicts` has the number of runs by verdict; lost attempts are
    not in it.
    """

    folder: Path
    suite: str | None
    started: str | None
    planned: int | None
    verdicts: dict[str, int]
    damage: str | None

    @property
    def executed(self) -> int:
        """Return the number of runs that have a verdict."""
        return sum(self.verdicts.values())


def session_overviews(parent: Path) -> list[SessionOverview]:
    """Return the sessions in a folder, the newest first, and last those without a start.

    Raise `SessionError` if the folder cannot be read. A damaged session is no error.
    """
    found = map(_overview, session_folders(parent))
    return sorted(found, key=lambda each: _age(each.folder, each.started), reverse=True)


def last_session(parent: Path) -> Path:
    """Return the folder of the newest session. Raise `SessionError` if there is none."""
    found = [(folder, _suite_and_start(folder)[1]) for folder in session_folders(parent)]
    newest = max(found, key=lambda each: _age(*each), default=(parent, None))
    if newest[1] is None:
        raise SessionError(f"{parent}: contains no session; name a session's folder")
    return newest[0]


def session_folders(parent: Path) -> list[Path]:
    """Return the session folders in a folder, in no order; none if it does not exist.

    Raise `SessionError` if the folder cannot be read.
    """
    try:
        return [
            folder
            for folder in parent.iterdir()
            if any((folder / name).exists() for name in (_HEADER, _RECORDS))
        ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SessionError(f"{parent}: cannot be read: {error.strerror}") from error


def _age(folder: Path, started: str | None) -> tuple[str, str, str]:
    # A start has seconds; the end of the folder's name has milliseconds too.
    return started or "", folder.name.rpartition("-")[2], folder.name


def _overview(folder: Path) -> SessionOverview:
    suite, started, damage = _suite_and_start(folder)
    planned: int | None = None
    verdicts: Counter[str] = Counter()
    try:
        planned = sum(1 for _ in _PLANNED_RUN.finditer(read_file(folder / _PLAN)))
        verdicts.update(_verdicts(folder / _RECORDS))
    except SessionError as error:
        damage = damage or _without_folder(error, folder)
    counts = {status: verdicts[status] for status in STATUSES}
    return SessionOverview(folder, suite, started, planned, counts, damage)


def _suite_and_start(folder: Path) -> tuple[str | None, str | None, str | None]:
    """Return the suite's name and the start in a header, or why they cannot be read."""
    try:
        header: Any = json.loads(read_file(folder / _HEADER))
        suite, started = header["suite"]["name"], header["created_at"]
        if isinstance(suite, str) and isinstance(started, str):
            return suite, started, None
    except SessionError as error:
        return None, None, _without_folder(error, folder)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None, None, f"{_HEADER} is not that of a session"


def _verdicts(records: Path) -> Iterator[str]:
    """Yield the verdict of each record but lost attempts. An incomplete last line is no damage."""
    lines = read_lines(records)
    line, number = next(lines, None), 1
    while line is not None:
        following = next(lines, None)
        verdict = line.rfind(_VERDICT)
        if not (line.startswith(b"{") and line.endswith(b"}\n") and verdict > 0):
            if following is not None:
                raise SessionError(f"{records}: line {number} is not a record")
        elif _LOST not in line:
            yield next((name for text, name in _LEVELS if line.find(text, verdict) > 0), "valid")
        line, number = following, number + 1


def _without_folder(error: SessionError, folder: Path) -> str:
    text = str(error)
    for prefix in (f"{folder}: not a session folder: ", f"{folder}/", f"{folder}: "):
        text = text.removeprefix(prefix)
    return text
