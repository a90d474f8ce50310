"""The raw folder of one run: what lies in it, and how it is read."""

import gzip
import zlib
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import ValidationError

from fwbench.errors import ParseError, RunError
from fwbench.loadgen import h2load, h2load_log
from fwbench.model.base import Frozen
from fwbench.model.figures import Figures, LogSummary
from fwbench.model.observation import Answer, ContainerState, LoadResult
from fwbench.remote import Remote

COMMANDS = "commands.json"
BEFORE = "answer-before.json"
CONTAINER_BEFORE = "container-before.json"
CONTAINER_AFTER = "container-after.json"
CONTAINER_LOG = "container.log"
LOAD = "load.json"
OUTPUT = "h2load.out"
ERRORS = "h2load.err"
LOG = "h2load.log.gz"

M = TypeVar("M", bound=Frozen)


def fetch(remote: Remote, path: PurePosixPath, to: Path) -> str:
    """Fetch a file and tell its text."""
    remote.get(str(path), to)
    return to.read_text(errors="backslashreplace")


def model(kind: type[M], text: str, path: Path) -> M:
    """The model that a fetched file holds; `RunError` if it does not."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise RunError(f"{path}: not what the agent writes: {error.errors()[0]['msg']}") from error


class Left(Frozen):
    """What a run's raw folder holds; None where the run did not come to that."""

    load_s: float | None = None
    load: LoadResult | None = None
    answer_after: Answer | None = None
    container_after: ContainerState | None = None


class _Ended(Frozen):
    """How the agent says that a load ended."""

    exit_status: int | None
    timed_out: bool
    unstartable: str | None = None
    started: float
    load_s: float
    answer_after: Answer


def read(folder: Path) -> Left:
    """What a run left after its load.

    Output of the load generator that no known version prints gives no figures but the reason;
    `RunError` is raised only for files that fwbench's own agent writes.
    """
    container = _model_if_there(ContainerState, folder / CONTAINER_AFTER)
    ended = _model_if_there(_Ended, folder / LOAD)
    if ended is None:
        return Left(container_after=container)
    return Left(
        load_s=ended.load_s,
        load=_load_result(folder, ended),
        answer_after=ended.answer_after,
        container_after=container,
    )


def _load_result(folder: Path, ended: _Ended) -> LoadResult:
    figures: Figures | None = None
    log: LogSummary | None = None
    unreadable = ended.unstartable
    if unreadable is None:
        try:
            figures = h2load.parse_text(_text(folder / OUTPUT))
            log = _log(folder / LOG)
        except ParseError as error:
            unreadable = str(error)
    return LoadResult(
        exit_status=ended.exit_status,
        timed_out=ended.timed_out,
        stderr=_text(folder / ERRORS)[-4000:],
        figures=figures,
        unreadable=unreadable,
        log=log,
    )


def _model_if_there(kind: type[M], path: Path) -> M | None:
    return model(kind, _text(path), path) if path.exists() else None


def _text(path: Path) -> str:
    return path.read_text(errors="backslashreplace") if path.exists() else ""


def _log(path: Path) -> LogSummary:
    if not path.exists():
        return h2load_log.summarise([])
    try:
        with gzip.open(path, "rt", errors="backslashreplace") as lines:
            return h2load_log.summarise(lines)
    except (OSError, EOFError, zlib.error) as error:
        raise ParseError(f"h2load's log is no whole archive: {error}") from error
