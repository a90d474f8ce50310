"""The raw folder of one run: what lies in it, and how it is read."""

from collections.abc import Sequence
from pathlib import Path

from fwbench.agent import protocol
from fwbench.collection import request_log as logs
from fwbench.collection import telemetry
from fwbench.collection.client_results import (
    ClientResult,
    Clocks,
    LoadExit,
    client_overlap,
    client_results,
    overlap_window,
)
from fwbench.collection.files import ANSWER_BEFORE, CLOCKS, exists, read_model_if_present, read_text
from fwbench.collection.histogram import LatencyCounts
from fwbench.collection.telemetry import TimeWindow, clock_offset
from fwbench.errors import ParseError
from fwbench.loadgen import h2load
from fwbench.loadgen.merge import merge_summaries
from fwbench.model.base import Frozen
from fwbench.model.figures import LoadSummary, RequestLogSummary
from fwbench.model.load import Load
from fwbench.model.observation import (
    Answer,
    ClientObservation,
    ClientOverlap,
    ContainerState,
    LoadResult,
)
from fwbench.model.telemetry import ClockOffset, HostUsage


class RunArtifacts(Frozen):
    """What a run's raw folder holds; None where the run did not come to that."""

    load_s: float | None = None
    load: LoadResult | None = None
    container_after: ContainerState | None = None
    target: HostUsage | None = None
    clients: tuple[ClientObservation, ...] = ()
    overlap: ClientOverlap | None = None


def read_artifacts(folder: Path, load: Load) -> RunArtifacts:
    """What a run left after its load; `load` tells which part of it was measured.

    Output of the load generator that no known version prints gives no figures but the reason;
    `RunError` is raised only for files that fwbench's own agent writes.
    """
    container = read_model_if_present(ContainerState, folder / protocol.CONTAINER_AFTER)
    clocks = read_model_if_present(Clocks, folder / CLOCKS)
    every = client_results(folder, load, clocks)
    ends = [part.exit for part in every if part.exit is not None]
    sides = tuple(_client_observation(part, at, clocks) for at, part in enumerate(every))
    if not ends or len(ends) < len(every):
        return RunArtifacts(container_after=container, clients=sides)
    measured = _measured_window(every, ends[0])
    ahead_s = sides[0].clock.client_minus_target_s if sides[0].clock is not None else 0.0
    results, reduced = zip(*map(_load_result, every, ends), strict=True)
    several = len(every) > 1
    return RunArtifacts(
        load_s=max(ended.load_s for ended in ends),
        load=_merged_result(every, results, reduced, load),
        container_after=container,
        target=_usage(folder / protocol.TELEMETRY_TARGET, measured, ahead_s),
        clients=tuple(
            side.model_copy(
                update={
                    "load": result if several else None,
                    "usage": _usage(
                        part.folder / protocol.TELEMETRY_CLIENT,
                        measured,
                        -part.clock_ahead_us / 1e6,
                    ),
                }
            )
            for part, side, result in zip(every, sides, results, strict=True)
        ),
        overlap=client_overlap(every, clocks),
    )


def read_latency_counts(folder: Path) -> LatencyCounts | None:
    """The latencies of all clients of a run together; None if it left none.

    Raises `ParseError` for counts that are not whole.
    """
    found = [
        LatencyCounts.read(path)
        for path in sorted(folder.glob(f"client-*/{protocol.LATENCY_COUNTS}"))
    ]
    return LatencyCounts({}).merge(*found) if found else None


def _client_observation(part: ClientResult, at: int, clocks: Clocks | None) -> ClientObservation:
    """What is known of a client whether or not it came to a load."""
    clock: ClockOffset | None = None
    if clocks is not None and at < len(clocks.clients):
        clock = clock_offset(clocks.target, clocks.clients[at])
    return ClientObservation(
        host=part.host,
        answer_before=read_model_if_present(Answer, part.folder / ANSWER_BEFORE),
        answer_after=None if part.exit is None else part.exit.answer_after,
        clock=clock,
        began_s=None if part.began_us is None else part.began_us / 1e6,
        ended_s=None if part.ended_us is None else part.ended_us / 1e6,
    )


def _measured_window(every: Sequence[ClientResult], ended: LoadExit) -> TimeWindow:
    """When the measured part of the load was, by the first client's clock.

    Of several clients, when all of them loaded; of one, from how its load `ended`, all of which
    counts if that was before anything was measured.
    """
    if (window := overlap_window(every)) is not None:
        return TimeWindow(window.begin_us / 1e6, window.end_us / 1e6)
    load = every[0].load
    start_s, end_s = ended.started_at_s, ended.started_at_s + ended.load_s
    if load.duration_s is None:
        return TimeWindow(start_s, end_s)
    skipped_s, lasts_s = h2load.measured_window_s(load) or (
        load.warm_up_s,
        load.duration_s,
    )
    if start_s + skipped_s >= end_s:
        return TimeWindow(start_s, end_s)
    return TimeWindow(start_s + skipped_s, min(end_s, start_s + skipped_s + lasts_s))


def _usage(path: Path, measured: TimeWindow, ahead_s: float) -> HostUsage | None:
    """`ahead_s`: how much the first client's clock, `measured` is by it, is ahead of the host's."""
    if not exists(path):
        return None
    return telemetry.read_telemetry(
        path, TimeWindow(measured.start_s - ahead_s, measured.end_s - ahead_s)
    )


def _load_result(part: ClientResult, ended: LoadExit) -> tuple[LoadResult, logs.ReducedLog | None]:
    """How one client's load generator ended, what it said, and its log."""
    figures: LoadSummary | None = None
    log: RequestLogSummary | None = None
    reduced: logs.ReducedLog | None = None
    unreadable = ended.start_error
    if unreadable is None:
        try:
            figures = h2load.parse_output(read_text(part.folder / protocol.LOAD_OUTPUT))
            reduced = logs.read_log(part.folder)
            log = logs.summarise_log(reduced, part.load.expected_interval_us)
        except ParseError as error:
            unreadable = str(error)
    result = LoadResult(
        exit_status=ended.exit_status,
        timed_out=ended.timed_out,
        stderr=read_text(part.folder / protocol.LOAD_ERRORS)[-4000:],
        summary=figures,
        parse_error=unreadable,
        log=log,
    )
    return result, reduced if log is not None else None


def _merged_result(
    every: Sequence[ClientResult],
    results: Sequence[LoadResult],
    reduced: Sequence[logs.ReducedLog | None],
    load: Load,
) -> LoadResult:
    """The load of all clients: it ended as badly as the worst of them."""
    if len(results) == 1:
        return results[0]
    said = [result.summary for result in results if result.summary is not None]
    kept = [log for log in reduced if log is not None]
    troubles = [
        f"{part.host}: {result.parse_error}"
        for part, result in zip(every, results, strict=True)
        if result.parse_error is not None
    ]
    statuses = [result.exit_status for result in results]
    log: RequestLogSummary | None = None
    try:
        if len(kept) == len(results):
            log = logs.summarise_log(logs.merge_logs(kept), load.expected_interval_us)
    except ParseError as error:
        troubles.append(str(error))
    return LoadResult(
        exit_status=None if None in statuses else next(filter(None, statuses), 0),
        timed_out=any(result.timed_out for result in results),
        stderr="".join(result.stderr for result in results)[-4000:],
        summary=merge_summaries(said, [part.load.connections for part in every])
        if len(said) == len(results)
        else None,
        parse_error=troubles[0] if troubles else None,
        log=log,
    )
