"""Completions over the window, from which several checks see whether throughput was constant.

Completions per tenth of a second are averaged in 25 to 49 batches, if there are enough. Noise that
lasts for a few tenths then hardly correlates neighbouring batches (batch means, Conway 1963).
"""

from dataclasses import dataclass
from statistics import fmean

from fwbench.checks.support import changepoint
from fwbench.checks.support.check import Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import SLOW_START, STATIONARITY_P

MIN_INTERVALS = 15
BATCHES = 25

TENTHS_PER_S = 10
_TENTH_US = 100_000


@dataclass(frozen=True)
class CompletionSeries:
    """Completions per tenth of a second, from `began_s` after the start of the window on."""

    counts: tuple[int, ...]
    began_s: float


@dataclass(frozen=True)
class Batches:
    """Mean completions per tenth of batches, from `began_s` after the start of the window on."""

    means: tuple[float, ...]
    length_s: float
    began_s: float

    def start_s(self, number: int) -> float:
        """Return when a batch begins, in seconds after the start of the window."""
        return self.began_s + number * self.length_s


def initial_step(context: CheckContext, batches: Batches) -> changepoint.Step | None:
    """Return the step that ends a slow or quick start, or None if there is none."""
    step = changepoint.find_step(batches.means)
    if step is None or abs(step.ratio - 1) < context.threshold(SLOW_START):
        return None
    return step if step.p < context.threshold(STATIONARITY_P) else None


def batches_of(context: CheckContext) -> Batches | Status:
    """Return the batches of the window, or why there are none."""
    tenths = completion_series(context)
    if isinstance(tenths, Status):
        return tenths
    if not any(tenths.counts):
        return Status.NOT_APPLICABLE
    size = max(1, len(tenths.counts) // BATCHES)
    left_over = len(tenths.counts) % size
    starts = range(left_over, len(tenths.counts), size)
    return Batches(
        means=tuple(fmean(tenths.counts[start : start + size]) for start in starts),
        length_s=size / TENTHS_PER_S,
        began_s=tenths.began_s + left_over / TENTHS_PER_S,
    )


def completion_series(context: CheckContext) -> CompletionSeries | Status:
    """Return the tenths in which all answers can be in the log; `NOT_APPLICABLE` for too few.

    The log has no answers to requests that were sent before the window. Its first tenths therefore
    have too few, for as long as answers take; so do those after the end of a fixed-rate load.
    """
    log, duration_s = context.log, context.window_s
    if context.load.duration_s is None:
        return Status.NOT_APPLICABLE
    if log is None or duration_s is None or log.first_start_us is None or log.last_end_us is None:
        return Status.NOT_OBSERVED
    window_tenth = log.first_start_us // _TENTH_US
    slowest_us = log.latency.p99_us or log.latency.max_us or 0
    first = (log.first_start_us + slowest_us) // _TENTH_US + 1
    end = min(log.first_start_us + round(duration_s * 1e6), log.last_end_us) // _TENTH_US
    counts = log.completions_per_100ms[first - window_tenth : end - window_tenth]
    if len(counts) < MIN_INTERVALS:
        return Status.NOT_APPLICABLE
    return CompletionSeries(counts, (first * _TENTH_US - log.first_start_us) / 1e6)
