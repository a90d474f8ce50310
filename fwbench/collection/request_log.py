"""The load generator's log as the agent reduced it, merged over several clients."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from fwbench.agent.protocol import LATENCY_COUNTS, LOG_SUMMARY
from fwbench.collection.files import exists, read_model_if_present
from fwbench.collection.histogram import LatencyCounts
from fwbench.errors import ParseError
from fwbench.model.base import Frozen
from fwbench.model.figures import Count, RequestLogSummary

_TENTH_US = 100_000
_PAUSE_US = 100_000  # the agent lists longer pauses


class AgentLogSummary(Frozen):
    """The agent's summary of the log that it reduced to counts, or why it could not."""

    error: str | None = None
    rows: Count = 0
    rows_outside_window: Count = 0
    truncated_rows: Count = 0
    rows_by_status: dict[int, int] = Field(default_factory=dict)
    first_start_us: Count | None = None
    last_end_us: Count | None = None
    longest_gap_us: Count | None = None
    pauses_us: tuple[tuple[Count, Count], ...] = ()
    completions_per_100ms: tuple[Count, ...] = ()


class ReducedLog(NamedTuple):
    """A log, or several merged by a common clock."""

    agent_summary: AgentLogSummary
    counts: LatencyCounts


def read_log(folder: Path) -> ReducedLog:
    """Return one client's log, empty if there is none.

    Raise `ParseError` if it is malformed.
    """
    summary = read_model_if_present(AgentLogSummary, folder / LOG_SUMMARY) or AgentLogSummary()
    if summary.error is not None:
        raise ParseError(summary.error)
    counts = (
        LatencyCounts.read(folder / LATENCY_COUNTS)
        if exists(folder / LATENCY_COUNTS)
        else LatencyCounts({})
    )
    if counts.by_status() != summary.rows_by_status:
        raise ParseError(
            f"{LATENCY_COUNTS} has {counts.total()} rows, {LOG_SUMMARY} has {summary.rows}"
        )
    return ReducedLog(summary, counts)


def merge_logs(logs: Sequence[ReducedLog]) -> ReducedLog:
    """Return the logs of several clients as one."""
    if len(logs) == 1:
        return logs[0]
    counts = LatencyCounts({}).merge(*(log.counts for log in logs))
    summaries = [log.agent_summary for log in logs]
    nonempty = [summary for summary in summaries if summary.first_start_us is not None]
    merged = AgentLogSummary(
        rows=sum(summary.rows for summary in summaries),
        rows_outside_window=sum(summary.rows_outside_window for summary in summaries),
        truncated_rows=sum(summary.truncated_rows for summary in summaries),
        rows_by_status=counts.by_status(),
        first_start_us=min((summary.first_start_us or 0 for summary in nonempty), default=None),
        last_end_us=max((summary.last_end_us or 0 for summary in nonempty), default=None),
        longest_gap_us=_longest_gap_us(nonempty),
        completions_per_100ms=_completions_per_100ms(nonempty),
    )
    return ReducedLog(merged, counts)


def summarise_log(log: ReducedLog, interval_us: int | None) -> RequestLogSummary:
    """Return the summary of a log.

    `interval_us` is the time between the due requests of a connection, None for a closed load.
    """
    summary, counts = log
    first_us, last_us = summary.first_start_us, summary.last_end_us
    per_second = counts.per_second(None if first_us is None else first_us // 1_000_000)
    return RequestLogSummary(
        rows=summary.rows,
        rows_outside_window=summary.rows_outside_window,
        truncated_rows=summary.truncated_rows,
        successful_rows=sum(second.successful for second in per_second),
        rows_by_status=summary.rows_by_status,
        first_start_us=first_us,
        last_end_us=last_us,
        window_s=None if first_us is None or last_us is None else (last_us - first_us) / 1e6,
        per_second=per_second,
        completions_per_100ms=summary.completions_per_100ms,
        longest_gap_us=summary.longest_gap_us,
        latency=counts.percentiles(),
        corrected_latency=None
        if interval_us is None
        else counts.corrected(interval_us).percentiles(),
    )


def _completions_per_100ms(logs: Sequence[AgentLogSummary]) -> tuple[int, ...]:
    starts = [(log.first_start_us or 0) // _TENTH_US for log in logs]
    first = min(starts, default=0)
    ends = (start + len(log.completions_per_100ms) for start, log in zip(starts, logs, strict=True))
    merged = [0] * (max(ends, default=first) - first)
    for start, log in zip(starts, logs, strict=True):
        for index, completions in enumerate(log.completions_per_100ms, start=start - first):
            merged[index] += completions
    return tuple(merged)


def _longest_gap_us(logs: Sequence[AgentLogSummary]) -> int | None:
    """Return the longest pause that all logs share; if it is short, an upper bound."""
    gaps_us = [log.longest_gap_us for log in logs if log.longest_gap_us is not None]
    if not gaps_us or len(gaps_us) != len(logs):
        return None
    shared = _intersect_pauses([log.pauses_us for log in logs])
    longest_us = max((end_us - begin_us for begin_us, end_us in shared), default=0)
    return longest_us if longest_us >= _PAUSE_US else min(_PAUSE_US, *gaps_us)


def _intersect_pauses(pauses: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    """Return the intervals in which all logs pause."""
    changes = sorted(
        change
        for log_pauses in pauses
        for begin_us, end_us in log_pauses
        for change in ((begin_us, 1), (end_us, -1))
    )
    shared, pausing = [], 0
    for (change_us, change), (next_us, _) in pairwise([*changes, (0, 0)]):
        pausing += change
        if pausing == len(pauses):
            shared.append((change_us, next_us))
    return shared
