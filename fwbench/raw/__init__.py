"""The raw folder of one run: what lies in it, and how it is read."""

from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import Field, ValidationError

from fwbench import telemetry
from fwbench.errors import ParseError, RunError
from fwbench.latency import Counts
from fwbench.loadgen import h2load
from fwbench.model.base import Frozen
from fwbench.model.figures import Count, Figures, LogSummary
from fwbench.model.load import Load
from fwbench.model.observation import Answer, ContainerState, LoadResult
from fwbench.model.telemetry import ClockOffset, HostUsage
from fwbench.remote import Remote
from fwbench.telemetry import ClockReading, Window, clock_offset

COMMANDS = "commands.json"
BEFORE = "answer-before.json"
CONTAINER_BEFORE = "container-before.json"
CONTAINER_AFTER = "container-after.json"
CONTAINER_LOG = "container.log"
LOAD = "load.json"
OUTPUT = "h2load.out"
ERRORS = "h2load.err"
COUNTS = "counts.gz"
LOG = "log.json"
CLOCKS = "clocks.json"
TELEMETRY_TARGET = "telemetry-target.json"
TELEMETRY_CLIENT = "telemetry-client.json"

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
    target: HostUsage | None = None
    client: HostUsage | None = None
    clock: ClockOffset | None = None


class Clocks(Frozen):
    """What the hosts' clocks showed before the load."""

    target: ClockReading
    client: ClockReading


class _Ended(Frozen):
    """How the agent says that a load ended."""

    exit_status: int | None
    timed_out: bool
    unstartable: str | None = None
    started: float
    load_s: float
    answer_after: Answer


class _Log(Frozen):
    """What the agent says of the log that it reduced to counts, or why it could not."""

    unreadable: str | None = None
    rows: Count = 0
    rows_outside: Count = 0
    torn_rows: Count = 0
    rows_by_status: dict[int, int] = Field(default_factory=dict)
    first_start_us: Count | None = None
    last_end_us: Count | None = None
    longest_gap_us: Count | None = None
    completions_per_tenth: tuple[Count, ...] = ()


def read(folder: Path, load: Load) -> Left:
    """What a run left after its load; `load` tells which part of it was measured.

    Output of the load generator that no known version prints gives no figures but the reason;
    `RunError` is raised only for files that fwbench's own agent writes.
    """
    container = _model_if_there(ContainerState, folder / CONTAINER_AFTER)
    ended = _model_if_there(_Ended, folder / LOAD)
    clocks = _model_if_there(Clocks, folder / CLOCKS)
    clock = None if clocks is None else clock_offset(clocks.target, clocks.client)
    if ended is None:
        return Left(container_after=container, clock=clock)
    measured = _measured(ended, load)
    ahead_s = 0.0 if clock is None else clock.client_minus_target_s
    return Left(
        load_s=ended.load_s,
        load=_load_result(folder, ended, load),
        answer_after=ended.answer_after,
        container_after=container,
        target=_usage(folder / TELEMETRY_TARGET, measured, ahead_s),
        client=_usage(folder / TELEMETRY_CLIENT, measured, 0.0),
        clock=clock,
    )


def _measured(ended: _Ended, load: Load) -> Window:
    """When the measured part of the load was, by the client's clock; all of it if it ended soon."""
    start_s, end_s = ended.started, ended.started + ended.load_s
    if load.duration_s is None:
        return Window(start_s, end_s)
    skipped_s, lasts_s = h2load.window_s(load) or (load.warm_up_s, load.duration_s)
    if start_s + skipped_s >= end_s:
        return Window(start_s, end_s)
    return Window(start_s + skipped_s, min(end_s, start_s + skipped_s + lasts_s))


def _usage(path: Path, measured: Window, ahead_s: float) -> HostUsage | None:
    """`ahead_s`: by how much the client's clock, which `measured` is by, is ahead of the host's."""
    if not path.exists():
        return None
    return telemetry.read(path, Window(measured.start_s - ahead_s, measured.end_s - ahead_s))


def _load_result(folder: Path, ended: _Ended, load: Load) -> LoadResult:
    figures: Figures | None = None
    log: LogSummary | None = None
    unreadable = ended.unstartable
    if unreadable is None:
        try:
            figures = h2load.parse_text(_text(folder / OUTPUT))
            log = _log(folder, load)
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


def _log(folder: Path, load: Load) -> LogSummary:
    told = _model_if_there(_Log, folder / LOG) or _Log()
    if told.unreadable is not None:
        raise ParseError(told.unreadable)
    counts = Counts.read(folder / COUNTS) if (folder / COUNTS).exists() else Counts({})
    if counts.by_status() != told.rows_by_status:
        raise ParseError(f"{COUNTS} has {counts.total()} rows, {LOG} tells of {told.rows}")
    first_us, last_us = told.first_start_us, told.last_end_us
    per_second = counts.per_second(None if first_us is None else first_us // 1_000_000)
    interval_us = load.expected_interval_us
    return LogSummary(
        rows=told.rows,
        rows_outside=told.rows_outside,
        torn_rows=told.torn_rows,
        successful_rows=sum(second.successful for second in per_second),
        rows_by_status=told.rows_by_status,
        first_start_us=first_us,
        last_end_us=last_us,
        window_s=None if first_us is None or last_us is None else (last_us - first_us) / 1e6,
        per_second=per_second,
        completions_per_tenth=told.completions_per_tenth,
        longest_gap_us=told.longest_gap_us,
        latency=counts.percentiles(),
        corrected=None if interval_us is None else counts.corrected(interval_us).percentiles(),
    )
