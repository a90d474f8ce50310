"""Checks of stationarity: was the throughput constant over the window?

Completions per tenth of a second are averaged in 25 to 49 batches, if there are enough. Noise that
lasts for a few tenths then hardly correlates neighbouring batches (batch means, Conway 1963).
"""

import math
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median

from fwbench.checks import changepoint
from fwbench.checks.context import Check, CheckContext, percent
from fwbench.model.verdict import Level

MIN_INTERVALS = 15
BATCHES = 25
# A pause in which fewer answers were expected may be chance.
MIN_EXPECTED_ANSWERS = 20

_TENTHS_PER_S = 10
_TENTH_US = 100_000


@dataclass(frozen=True)
class _CompletionSeries:
    """Completions per tenth of a second, from `began_s` after the start of the window on."""

    counts: tuple[int, ...]
    began_s: float


@dataclass(frozen=True)
class _Batches:
    """Mean completions per tenth of batches, from `began_s` after the start of the window on."""

    means: tuple[float, ...]
    length_s: float
    began_s: float

    def start_s(self, number: int) -> float:
        return self.began_s + number * self.length_s


def _slow_warm_up(context: CheckContext) -> str | None:
    batches = _batches(context)
    step = _initial_step(context, batches) if batches else None
    if batches is None or step is None:
        return None
    until_s, warm_up_s = batches.start_s(step.length), context.load.warm_up_s
    return (
        f"for the first {until_s:.1f} s of the window, the throughput was"
        f" {percent(abs(step.ratio - 1))} {'lower' if step.ratio < 1 else 'higher'} than"
        f" afterwards; a warm_up_s of {warm_up_s + math.ceil(until_s)} instead of {warm_up_s} would"
        " exclude them"
    )


def _drift(context: CheckContext) -> str | None:
    """The trend begins after a slow start, which is a finding of its own."""
    batches = _batches(context)
    if batches is None:
        return None
    step = _initial_step(context, batches)
    skipped = step.length if step else 0
    trend = changepoint.find_trend(batches.means[skipped:])
    if abs(trend.change) < context.thresholds.drift or trend.p >= context.thresholds.stationarity_p:
        return None
    return (
        f"the throughput {'rose' if trend.change > 0 else 'fell'} by {percent(abs(trend.change))}"
        f" from {batches.start_s(skipped):.1f} s to {batches.start_s(len(batches.means)):.1f} s of"
        f" the window, more than its random variation explains (p = {trend.p:.1g})"
    )


def _stall(context: CheckContext) -> str | None:
    """A pause shorter than `completion-gap`, and longer than the latency of answers explains."""
    tenths, log, thresholds = _completion_series(context), context.log, context.thresholds
    if tenths is None or log is None:
        return None
    typical = median(tenths.counts)
    runs = [
        (is_low, len(list(run)))
        for is_low, run in groupby(
            count < thresholds.stall_share * typical for count in tenths.counts
        )
    ]
    pauses = [length / _TENTHS_PER_S for is_low, length in runs if is_low]
    if not pauses:
        return None
    pause_s = max(*pauses, (log.longest_gap_us or 0) / 1e6)
    latency_s = (log.latency.p50_us or 0) / 1e6
    if not max(thresholds.stall_s, 2 * latency_s) <= pause_s < thresholds.completion_gap_s:
        return None
    if typical * _TENTHS_PER_S * pause_s < MIN_EXPECTED_ANSWERS:
        return None
    number = "" if len(pauses) == 1 else f" (the longest of {len(pauses)} pauses)"
    return f"almost no request was answered for {pause_s:.2f} s{number}"


def _initial_step(context: CheckContext, batches: _Batches) -> changepoint.Step | None:
    step = changepoint.find_step(batches.means)
    if step is None or abs(step.ratio - 1) < context.thresholds.slow_start:
        return None
    return step if step.p < context.thresholds.stationarity_p else None


def _batches(context: CheckContext) -> _Batches | None:
    tenths = _completion_series(context)
    if tenths is None or not any(tenths.counts):
        return None
    size = max(1, len(tenths.counts) // BATCHES)
    left_over = len(tenths.counts) % size
    starts = range(left_over, len(tenths.counts), size)
    return _Batches(
        means=tuple(fmean(tenths.counts[start : start + size]) for start in starts),
        length_s=size / _TENTHS_PER_S,
        began_s=tenths.began_s + left_over / _TENTHS_PER_S,
    )


def _completion_series(context: CheckContext) -> _CompletionSeries | None:
    """Return the tenths in which all answers can be in the log; None if there are too few.

    The log has no answers to requests that were sent before the window. Its first tenths therefore
    have too few, for as long as answers take; so do those after the end of a fixed-rate load.
    """
    log, duration_s = context.log, context.window_s
    if log is None or context.load.duration_s is None or duration_s is None:
        return None
    if log.first_start_us is None or log.last_end_us is None:
        return None
    window_tenth = log.first_start_us // _TENTH_US
    slowest_us = log.latency.p99_us or log.latency.max_us or 0
    first = (log.first_start_us + slowest_us) // _TENTH_US + 1
    end = min(log.first_start_us + round(duration_s * 1e6), log.last_end_us) // _TENTH_US
    counts = log.completions_per_100ms[first - window_tenth : end - window_tenth]
    if len(counts) < MIN_INTERVALS:
        return None
    return _CompletionSeries(counts, (first * _TENTH_US - log.first_start_us) / 1e6)


CHECKS = (
    Check(
        "slow-warm-up",
        Level.SUSPECT,
        _slow_warm_up,
        "Set warm_up_s in the suite to the value above. Caches, connections and workers were still"
        " warming up.",
    ),
    Check(
        "drift",
        Level.SUSPECT,
        _drift,
        "Look for what changes over time: growing memory, a falling clock rate, another user of the"
        " machine. A longer run would give a different throughput.",
    ),
    Check(
        "stall",
        Level.SUSPECT,
        _stall,
        "Look for what paused the server: a garbage collection, an exhausted CPU quota, a busy"
        " host.",
    ),
)
