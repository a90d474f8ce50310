"""The load generator's log as the agent reduced it, that of several clients merged by adding."""

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
_PAUSE_US = 100_000  # the agent tells of longer ones


class AgentLogSummary(Frozen):
    """What the agent says of the log that it reduced to counts, or why it could not."""

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
    """A log, or several by the same clock."""

    agent_summary: AgentLogSummary
    counts: LatencyCounts


def read_log(folder: Path) -> ReducedLog:
    """One client's log; an empty one if it left none.

    Raises `ParseError` for one that is broken.
    """
    told = read_model_if_present(AgentLogSummary, folder / LOG_SUMMARY) or AgentLogSummary()
    if told.error is not None:
        raise ParseError(told.error)
    counts = (
        LatencyCounts.read(folder / LATENCY_COUNTS)
        if exists(folder / LATENCY_COUNTS)
        else LatencyCounts({})
    )
    if counts.by_status() != told.rows_by_status:
        raise ParseError(
            f"{LATENCY_COUNTS} has {counts.total()} rows, {LOG_SUMMARY} tells of {told.rows}"
        )
    return ReducedLog(told, counts)


def merge_logs(logs: Sequence[ReducedLog]) -> ReducedLog:
    """Several clients' logs as one."""
    if len(logs) == 1:
        return logs[0]
    counts = LatencyCounts({}).merge(*(log.counts for log in logs))
    every = [log.agent_summary for log in logs]
    known = [told for told in every if told.first_start_us is not None]
    told = AgentLogSummary(
        rows=sum(each.rows for each in every),
        rows_outside_window=sum(each.rows_outside_window for each in every),
        truncated_rows=sum(each.truncated_rows for each in every),
        rows_by_status=counts.by_status(),
        first_start_us=min((each.first_start_us or 0 for each in known), default=None),
        last_end_us=max((each.last_end_us or 0 for each in known), default=None),
        longest_gap_us=_longest_gap_us(known),
        completions_per_100ms=_per_tenth(known),
    )
    return ReducedLog(told, counts)


def summarise_log(log: ReducedLog, interval_us: int | None) -> RequestLogSummary:
    """What a log adds up to; at a fixed rate each connection is to send at such an interval."""
    told, counts = log
    first_us, last_us = told.first_start_us, told.last_end_us
    per_second = counts.per_second(None if first_us is None else first_us // 1_000_000)
    return RequestLogSummary(
        rows=told.rows,
        rows_outside_window=told.rows_outside_window,
        truncated_rows=told.truncated_rows,
        successful_rows=sum(second.successful for second in per_second),
        rows_by_status=told.rows_by_status,
        first_start_us=first_us,
        last_end_us=last_us,
        window_s=None if first_us is None or last_us is None else (last_us - first_us) / 1e6,
        per_second=per_second,
        completions_per_100ms=told.completions_per_100ms,
        longest_gap_us=told.longest_gap_us,
        latency=counts.percentiles(),
        corrected_latency=None
        if interval_us is None
        else counts.corrected(interval_us).percentiles(),
    )


def _per_tenth(logs: Sequence[AgentLogSummary]) -> tuple[int, ...]:
    starts = [(each.first_start_us or 0) // _TENTH_US for each in logs]
    first = min(starts, default=0)
    ends = (at + len(each.completions_per_100ms) for at, each in zip(starts, logs, strict=True))
    tenths = [0] * (max(ends, default=first) - first)
    for at, each in zip(starts, logs, strict=True):
        for number, completions in enumerate(each.completions_per_100ms, start=at - first):
            tenths[number] += completions
    return tuple(tenths)


def _longest_gap_us(logs: Sequence[AgentLogSummary]) -> int | None:
    """The longest pause that all had at the same time; where all are short, a bound of it."""
    gaps_us = [each.longest_gap_us for each in logs if each.longest_gap_us is not None]
    if not gaps_us or len(gaps_us) != len(logs):
        return None
    pausing = _intersect_pauses([each.pauses_us for each in logs])
    longest_us = max((end_us - begin_us for begin_us, end_us in pausing), default=0)
    return longest_us if longest_us >= _PAUSE_US else min(_PAUSE_US, *gaps_us)


def _intersect_pauses(pauses: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    """When every one of several pauses."""
    changes = sorted(
        change
        for each in pauses
        for begin_us, end_us in each
        for change in ((begin_us, 1), (end_us, -1))
    )
    found, pausing = [], 0
    for (at_us, change), (next_us, _) in pairwise([*changes, (0, 0)]):
        pausing += change
        if pausing == len(pauses):
            found.append((at_us, next_us))
    return found
