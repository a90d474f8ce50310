"""Findings about the course of a run: was it the same server from the window's start to its end?

Completions per tenth of a second are joined to 25 to 49 batches, if there are so many. Noise that
lasts for some tenths then hardly reaches from one batch to the next (batch means, Conway 1963).
"""

import math
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median

from fwbench.checks import changepoint
from fwbench.checks.context import Check, CheckContext
from fwbench.model.verdict import Level

MIN_INTERVALS = 15
BATCHES = 25
# Where so many answers would have been due, their absence is no chance.
ANSWERS_DUE = 20

_TENTHS_PER_S = 10
_TENTH_US = 100_000


@dataclass(frozen=True)
class _CompletionSeries:
    """Completions in each tenth of a second from `began_s` of the window on."""

    counts: tuple[int, ...]
    began_s: float


@dataclass(frozen=True)
class _Batches:
    """Mean completions per tenth in each `length_s` from `began_s` of the window on."""

    means: tuple[float, ...]
    length_s: float
    began_s: float

    def at_s(self, number: int) -> float:
        return self.began_s + number * self.length_s


def _slow_warm_up(context: CheckContext) -> str | None:
    batches = _batches(context)
    start = _start(context, batches) if batches else None
    if batches is None or start is None:
        return None
    until_s, warm_up_s = batches.at_s(start.length), context.load.warm_up_s
    than = "lower" if start.ratio < 1 else "higher"
    return (
        f"for the first {until_s:.1f} s of the window the throughput was"
        f" {abs(start.ratio - 1):.0%} {than} than after them; with a warm_up_s of"
        f" {warm_up_s + math.ceil(until_s)} instead of {warm_up_s} they had not been measured"
    )


def _drift(context: CheckContext) -> str | None:
    """A slow start is a finding of its own; the trend is that of what comes after it."""
    batches = _batches(context)
    if batches is None:
        return None
    start = _start(context, batches)
    skipped = start.length if start else 0
    trend = changepoint.find_trend(batches.means[skipped:])
    if abs(trend.change) < context.thresholds.drift or trend.p >= context.thresholds.stationarity_p:
        return None
    return (
        f"the throughput went {'up' if trend.change > 0 else 'down'} by {abs(trend.change):.0%}"
        f" from {batches.at_s(skipped):.1f} s to {batches.at_s(len(batches.means)):.1f} s of the"
        f" window, which its ups and downs do not explain (p = {trend.p:.1g})"
    )


def _stall(context: CheckContext) -> str | None:
    """Less than the gap that makes a run invalid, and more than the answers' own latency."""
    tenths, log, thresholds = _completion_series(context), context.log, context.thresholds
    if tenths is None or log is None:
        return None
    usual = median(tenths.counts)
    runs = [
        (is_low, len(list(run)))
        for is_low, run in groupby(
            count < thresholds.stall_share * usual for count in tenths.counts
        )
    ]
    pauses = [length / _TENTHS_PER_S for is_low, length in runs if is_low]
    if not pauses:
        return None
    pause_s = max(*pauses, (log.longest_gap_us or 0) / 1e6)
    latency_s = (log.latency.p50_us or 0) / 1e6
    if not max(thresholds.stall_s, 2 * latency_s) <= pause_s < thresholds.completion_gap_s:
        return None
    if usual * _TENTHS_PER_S * pause_s < ANSWERS_DUE:
        return None
    often = "" if len(pauses) == 1 else f"; it was the longest of {len(pauses)} such pauses"
    return f"for {pause_s:.2f} s hardly a request was answered{often}"


def _start(context: CheckContext, batches: _Batches) -> changepoint.Step | None:
    step = changepoint.find_step(batches.means)
    if step is None or abs(step.ratio - 1) < context.thresholds.slow_start:
        return None
    return step if step.p < context.thresholds.stationarity_p else None


def _batches(context: CheckContext) -> _Batches | None:
    tenths = _completion_series(context)
    if tenths is None or not any(tenths.counts):
        return None
    size = max(1, len(tenths.counts) // BATCHES)
    spare = len(tenths.counts) % size
    starts = range(spare, len(tenths.counts), size)
    return _Batches(
        means=tuple(fmean(tenths.counts[start : start + size]) for start in starts),
        length_s=size / _TENTHS_PER_S,
        began_s=tenths.began_s + spare / _TENTHS_PER_S,
    )


def _completion_series(context: CheckContext) -> _CompletionSeries | None:
    """The tenths in which answers could come as often as requests were sent; None if too few.

    The log has no answers to requests of before the window. So there are less of them at first, for
    as long as answers take; and so there are after the end of a load at a fixed rate.
    """
    log, duration_s = context.log, context.window_s
    if log is None or context.load.duration_s is None or duration_s is None:
        return None
    if log.first_start_us is None or log.last_end_us is None:
        return None
    zero = log.first_start_us // _TENTH_US
    slowest_us = log.latency.p99_us or log.latency.max_us or 0
    full = (log.first_start_us + slowest_us) // _TENTH_US + 1
    ended = min(log.first_start_us + round(duration_s * 1e6), log.last_end_us) // _TENTH_US
    counts = log.completions_per_100ms[full - zero : ended - zero]
    if len(counts) < MIN_INTERVALS:
        return None
    return _CompletionSeries(counts, (full * _TENTH_US - log.first_start_us) / 1e6)


CHECKS = (
    Check(
        "slow-warm-up",
        Level.SUSPECT,
        _slow_warm_up,
        "Raise warm_up_s in the suite: caches, connections and workers were still getting going.",
    ),
    Check(
        "drift",
        Level.SUSPECT,
        _drift,
        "Look for what changes with time: memory that grows, a clock rate that falls, a neighbour"
        " on the machine. A longer run would have given another figure.",
    ),
    Check(
        "stall",
        Level.SUSPECT,
        _stall,
        "Look for what stood still: a garbage collection, a CPU quota that was used up, a host that"
        " was busy with something else.",
    ),
)
