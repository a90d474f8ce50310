"""Reads the folder of raw files of a run."""

from collections.abc import Sequence
from pathlib import Path

from fwbench.agent import protocol
from fwbench.collection import request_log, telemetry
from fwbench.collection.client_results import (
    ClientResult,
    Clocks,
    LoadExit,
    client_overlap,
    client_results,
    overlap_window,
)
from fwbench.collection.files import ANSWER_BEFORE, CLOCKS, exists, read_model_if_present, read_text
from fwbench.collection.histogram import Histogram, LatencyCounts
from fwbench.collection.telemetry import TimeWindow, clock_offset
from fwbench.errors import ParseError
from fwbench.loadgen.merge import merge_summaries
from fwbench.loadgen.registry import generator_of
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
    """The contents of a run's folder; None for what the run did not produce."""

    load_s: float | None = None
    load: LoadResult | None = None
    container_after: ContainerState | None = None
    target: HostUsage | None = None
    clients: tuple[ClientObservation, ...] = ()
    overlap: ClientOverlap | None = None


def read_artifacts(folder: Path, load: Load) -> RunArtifacts:
    """Return what a run produced; `load` determines which part was measured.

    If the load generator's output cannot be parsed, the result has the reason instead of
    figures. Raise `RunError` if a file of fwbench's agent is malformed.
    """
    container = read_model_if_present(ContainerState, folder / protocol.CONTAINER_AFTER)
    clocks = read_model_if_present(Clocks, folder / CLOCKS)
    clients = client_results(folder, load, clocks)
    exits = [client.exit for client in clients if client.exit is not None]
    observations = tuple(
        _client_observation(client, index, clocks) for index, client in enumerate(clients)
    )
    if not exits or len(exits) < len(clients):
        return RunArtifacts(container_after=container, clients=observations)
    measured = _measured_window(clients, exits[0])
    clock = observations[0].clock
    target_ahead_s = 0.0 if clock is None else -clock.client_minus_target_s
    results, logs = zip(*map(_load_result, clients, exits), strict=True)
    several = len(clients) > 1
    return RunArtifacts(
        load_s=max(load_exit.load_s + load_exit.warm_up_s for load_exit in exits),
        load=_merged_result(clients, results, logs, load),
        container_after=container,
        target=_usage(folder / protocol.TELEMETRY_TARGET, measured, target_ahead_s),
        clients=tuple(
            observation.model_copy(
                update={
                    "load": result if several else None,
                    "usage": _usage(
                        client.folder / protocol.TELEMETRY_CLIENT,
                        measured,
                        client.clock_ahead_us / 1e6,
                    ),
                }
            )
            for client, observation, result in zip(clients, observations, results, strict=True)
        ),
        overlap=client_overlap(clients, clocks),
    )


def read_latency_counts(folder: Path) -> LatencyCounts | None:
    """Return the latencies of a run, merged over all clients; None if there are none.

    Raise `ParseError` if a file of counts is truncated or malformed.
    """
    counts = [
        LatencyCounts.read(path)
        for path in sorted(folder.glob(f"client-*/{protocol.LATENCY_COUNTS}"))
    ]
    return LatencyCounts({}).merge(*counts) if counts else None


def read_latencies_by_second(folder: Path, load: Load) -> dict[int, dict[int, int]]:
    """Return how often each latency (µs) occurred in a run, by the second since the epoch.

    All clients and statuses count together. At a fixed rate, latencies are corrected for
    coordinated omission. A run without latencies has no seconds. Raise `ParseError` if a file of
    counts is truncated or malformed.
    """
    counts = read_latency_counts(folder) or LatencyCounts({})
    if load.expected_interval_us is not None:
        counts = counts.corrected(load.expected_interval_us)
    return {
        second: dict(Histogram.merged(list(by_status.values())).items())
        for second, by_status in counts.by_second().items()
    }


def _client_observation(
    client: ClientResult, index: int, clocks: Clocks | None
) -> ClientObservation:
    """Return what is known about a client even if the run ended before its load."""
    clock: ClockOffset | None = None
    if clocks is not None and index < len(clocks.clients):
        clock = clock_offset(clocks.target, clocks.clients[index])
    return ClientObservation(
        host=client.host,
        answer_before=read_model_if_present(Answer, client.folder / ANSWER_BEFORE),
        answer_after=None if client.exit is None else client.exit.answer_after,
        clock=clock,
        began_s=None if client.began_us is None else client.began_us / 1e6,
        ended_s=None if client.ended_us is None else client.ended_us / 1e6,
    )


def _measured_window(clients: Sequence[ClientResult], load_exit: LoadExit) -> TimeWindow:
    """Return when the measured part of the load was, by the first client's clock.

    With several clients, this is the time in which all of them loaded. With one client, it follows
    from `load_exit`; a load that ended during its warm-up counts as a whole.
    """
    if (window := overlap_window(clients)) is not None:
        return TimeWindow(window.begin_us / 1e6, window.end_us / 1e6)
    load = clients[0].load
    start_s, end_s = load_exit.started_at_s, load_exit.started_at_s + load_exit.load_s
    if load.duration_s is None:
        return TimeWindow(start_s, end_s)
    skipped_s = generator_of(load).skipped_s(load)
    if start_s + skipped_s >= end_s:
        return TimeWindow(start_s, end_s)
    return TimeWindow(start_s + skipped_s, min(end_s, start_s + skipped_s + load.duration_s))


def _usage(path: Path, measured: TimeWindow, ahead_s: float) -> HostUsage | None:
    """Return a host's telemetry. Its clock is `ahead_s` ahead of that of the `measured` window."""
    if not exists(path):
        return None
    return telemetry.read_telemetry(
        path, TimeWindow(measured.start_s + ahead_s, measured.end_s + ahead_s)
    )


def _load_result(
    client: ClientResult, load_exit: LoadExit
) -> tuple[LoadResult, request_log.ReducedLog | None]:
    """Return the result of one client's load, and its log if it could be read."""
    summary: LoadSummary | None = None
    log_summary: RequestLogSummary | None = None
    log: request_log.ReducedLog | None = None
    parse_error = load_exit.start_error
    if parse_error is None:
        try:
            generator = generator_of(client.load)
            summary = generator.parse_output(read_text(client.folder / protocol.LOAD_OUTPUT))
            if generator.writes_request_log:
                log = request_log.read_log(client.folder)
                log_summary = request_log.summarise_log(log, client.load.expected_interval_us)
        except ParseError as error:
            parse_error = str(error)
    result = LoadResult(
        exit_status=load_exit.exit_status,
        timed_out=load_exit.timed_out,
        stderr=read_text(client.folder / protocol.LOAD_ERRORS)[-4000:],
        summary=summary,
        parse_error=parse_error,
        log=log_summary,
    )
    return result, log if log_summary is not None else None


def _merged_result(
    clients: Sequence[ClientResult],
    results: Sequence[LoadResult],
    logs: Sequence[request_log.ReducedLog | None],
    load: Load,
) -> LoadResult:
    """Return the result of all clients; it failed if one client failed."""
    if len(results) == 1:
        return results[0]
    summaries = [result.summary for result in results if result.summary is not None]
    readable = [log for log in logs if log is not None]
    parse_errors = [
        f"{client.host}: {result.parse_error}"
        for client, result in zip(clients, results, strict=True)
        if result.parse_error is not None
    ]
    statuses = [result.exit_status for result in results]
    log_summary: RequestLogSummary | None = None
    try:
        if len(readable) == len(results):
            merged = request_log.merge_logs(readable)
            log_summary = request_log.summarise_log(merged, load.expected_interval_us)
    except ParseError as error:
        parse_errors.append(str(error))
    return LoadResult(
        exit_status=None if None in statuses else next(filter(None, statuses), 0),
        timed_out=any(result.timed_out for result in results),
        stderr="".join(result.stderr for result in results)[-4000:],
        summary=merge_summaries(summaries, [client.load.connections for client in clients])
        if len(summaries) == len(results)
        else None,
        parse_error=parse_errors[0] if parse_errors else None,
        log=log_summary,
    )
