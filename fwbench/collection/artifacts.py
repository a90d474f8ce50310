"""The raw folder of one run: what lies in it, and how it is read."""

from collections.abc import Sequence
from pathlib import Path

from fwbench.collection import request_log as logs
from fwbench.collection import telemetry
from fwbench.collection.client_results import (
    Clocks,
    Command,
    Commands,
    Ended,
    Part,
    common,
    parts,
    together,
)
from fwbench.collection.files import (
    BEFORE,
    CLOCKS,
    COMMANDS,
    CONTAINER_AFTER,
    CONTAINER_BEFORE,
    CONTAINER_LOG,
    COUNTS,
    ERRORS,
    LOAD,
    LOG,
    OUTPUT,
    TELEMETRY_CLIENT,
    TELEMETRY_TARGET,
    is_there,
    model,
    model_if_there,
    of_client,
    text,
)
from fwbench.collection.histogram import Counts
from fwbench.collection.telemetry import Window, clock_offset
from fwbench.errors import ParseError
from fwbench.loadgen import h2load
from fwbench.loadgen.merge import merged
from fwbench.model.base import Frozen
from fwbench.model.figures import Figures, LogSummary
from fwbench.model.load import Load
from fwbench.model.observation import Answer, ClientSide, ContainerState, LoadResult, Together
from fwbench.model.telemetry import ClockOffset, HostUsage

__all__ = [
    "BEFORE",
    "CLOCKS",
    "COMMANDS",
    "CONTAINER_AFTER",
    "CONTAINER_BEFORE",
    "CONTAINER_LOG",
    "COUNTS",
    "ERRORS",
    "LOAD",
    "LOG",
    "OUTPUT",
    "TELEMETRY_CLIENT",
    "TELEMETRY_TARGET",
    "Clocks",
    "Command",
    "Commands",
    "Left",
    "common",
    "counts",
    "model",
    "of_client",
    "parts",
    "read",
    "text",
]


class Left(Frozen):
    """What a run's raw folder holds; None where the run did not come to that."""

    load_s: float | None = None
    load: LoadResult | None = None
    container_after: ContainerState | None = None
    target: HostUsage | None = None
    clients: tuple[ClientSide, ...] = ()
    together: Together | None = None


def read(folder: Path, load: Load) -> Left:
    """What a run left after its load; `load` tells which part of it was measured.

    Output of the load generator that no known version prints gives no figures but the reason;
    `RunError` is raised only for files that fwbench's own agent writes.
    """
    container = model_if_there(ContainerState, folder / CONTAINER_AFTER)
    clocks = model_if_there(Clocks, folder / CLOCKS)
    every = parts(folder, load, clocks)
    ends = [part.ended for part in every if part.ended is not None]
    sides = tuple(_side(part, at, clocks) for at, part in enumerate(every))
    if not ends or len(ends) < len(every):
        return Left(container_after=container, clients=sides)
    measured = _measured(every, ends[0])
    ahead_s = sides[0].clock.client_minus_target_s if sides[0].clock is not None else 0.0
    results, reduced = zip(*map(_result, every, ends), strict=True)
    several = len(every) > 1
    return Left(
        load_s=max(ended.load_s for ended in ends),
        load=_whole(every, results, reduced, load),
        container_after=container,
        target=_usage(folder / TELEMETRY_TARGET, measured, ahead_s),
        clients=tuple(
            side.model_copy(
                update={
                    "load": result if several else None,
                    "usage": _usage(part.folder / TELEMETRY_CLIENT, measured, -part.ahead_us / 1e6),
                }
            )
            for part, side, result in zip(every, sides, results, strict=True)
        ),
        together=together(every, clocks),
    )


def counts(folder: Path) -> Counts | None:
    """The latencies of all clients of a run together; None if it left none.

    Raises `ParseError` for counts that are not whole.
    """
    found = [Counts.read(path) for path in sorted(folder.glob(f"client-*/{COUNTS}"))]
    return Counts({}).merge(*found) if found else None


def _side(part: Part, at: int, clocks: Clocks | None) -> ClientSide:
    """What is known of a client whether or not it came to a load."""
    clock: ClockOffset | None = None
    if clocks is not None and at < len(clocks.clients):
        clock = clock_offset(clocks.target, clocks.clients[at])
    return ClientSide(
        host=part.host,
        answer_before=model_if_there(Answer, part.folder / BEFORE),
        answer_after=None if part.ended is None else part.ended.answer_after,
        clock=clock,
        began_s=None if part.began_us is None else part.began_us / 1e6,
        ended_s=None if part.ended_us is None else part.ended_us / 1e6,
    )


def _measured(every: Sequence[Part], ended: Ended) -> Window:
    """When the measured part of the load was, by the first client's clock.

    Of several clients, when all of them loaded; of one, from how its load `ended`, all of which
    counts if that was before anything was measured.
    """
    if (window := common(every)) is not None:
        return Window(window.begin_us / 1e6, window.end_us / 1e6)
    load = every[0].load
    start_s, end_s = ended.started, ended.started + ended.load_s
    if load.duration_s is None:
        return Window(start_s, end_s)
    skipped_s, lasts_s = h2load.window_s(load) or (
        load.warm_up_s,
        load.duration_s,
    )
    if start_s + skipped_s >= end_s:
        return Window(start_s, end_s)
    return Window(start_s + skipped_s, min(end_s, start_s + skipped_s + lasts_s))


def _usage(path: Path, measured: Window, ahead_s: float) -> HostUsage | None:
    """`ahead_s`: how much the first client's clock, `measured` is by it, is ahead of the host's."""
    if not is_there(path):
        return None
    return telemetry.read(path, Window(measured.start_s - ahead_s, measured.end_s - ahead_s))


def _result(part: Part, ended: Ended) -> tuple[LoadResult, logs.Reduced | None]:
    """How one client's load generator ended, what it said, and its log."""
    figures: Figures | None = None
    log: LogSummary | None = None
    reduced: logs.Reduced | None = None
    unreadable = ended.unstartable
    if unreadable is None:
        try:
            figures = h2load.parse_text(text(part.folder / OUTPUT))
            reduced = logs.read(part.folder)
            log = logs.summary(reduced, part.load.expected_interval_us)
        except ParseError as error:
            unreadable = str(error)
    result = LoadResult(
        exit_status=ended.exit_status,
        timed_out=ended.timed_out,
        stderr=text(part.folder / ERRORS)[-4000:],
        figures=figures,
        unreadable=unreadable,
        log=log,
    )
    return result, reduced if log is not None else None


def _whole(
    every: Sequence[Part],
    results: Sequence[LoadResult],
    reduced: Sequence[logs.Reduced | None],
    load: Load,
) -> LoadResult:
    """The load of all clients: it ended as badly as the worst of them."""
    if len(results) == 1:
        return results[0]
    said = [result.figures for result in results if result.figures is not None]
    kept = [log for log in reduced if log is not None]
    troubles = [
        f"{part.host}: {result.unreadable}"
        for part, result in zip(every, results, strict=True)
        if result.unreadable is not None
    ]
    statuses = [result.exit_status for result in results]
    log: LogSummary | None = None
    try:
        if len(kept) == len(results):
            log = logs.summary(logs.merged(kept), load.expected_interval_us)
    except ParseError as error:
        troubles.append(str(error))
    return LoadResult(
        exit_status=None if None in statuses else next(filter(None, statuses), 0),
        timed_out=any(result.timed_out for result in results),
        stderr="".join(result.stderr for result in results)[-4000:],
        figures=merged(said, [part.load.connections for part in every])
        if len(said) == len(results)
        else None,
        unreadable=troubles[0] if troubles else None,
        log=log,
    )
