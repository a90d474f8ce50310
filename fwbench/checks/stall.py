"""Almost no request was answered for 0.2 s or more (`stall_s`), but less than a second.

The throughput was below 10 % of its median (`stall_share`). A pause shorter than twice the median
latency does not count. Checked for loads with a duration of about two seconds or more. From one
second on (`completion_gap_s`), the finding is `completion-gap`.

Evidence: How long the longest pause was, and the number of pauses.

Why: As with a gap of a second, a closed load waits, and no percentile shows it. 0.2 s are two
periods of a CPU quota.
"""

from itertools import groupby
from statistics import median

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.stationarity import TENTHS_PER_S, completion_series
from fwbench.checks.support.thresholds import COMPLETION_GAP_S, Threshold
from fwbench.model.verdict import Level

STALL_S = Threshold("stall_s", 0.2, "seconds; two periods of a CPU quota")
STALL_SHARE = Threshold("stall_share", 0.1, "share of the median throughput")


# A pause in which fewer answers were expected may be chance.
MIN_EXPECTED_ANSWERS = 20


def _evaluate(context: CheckContext) -> Outcome:
    """A pause shorter than `completion-gap`, and longer than the latency of answers explains."""
    tenths, log = completion_series(context), context.log
    if isinstance(tenths, Status):
        return tenths
    if log is None:
        return Status.NOT_OBSERVED
    typical = median(tenths.counts)
    low = context.threshold(STALL_SHARE) * typical
    runs = [(is_low, len(list(run))) for is_low, run in groupby(n < low for n in tenths.counts)]
    pauses = [length / TENTHS_PER_S for is_low, length in runs if is_low]
    if not pauses:
        return Status.PASSED
    pause_s = max(*pauses, (log.longest_gap_us or 0) / 1e6)
    shortest_s = max(context.threshold(STALL_S), 2 * (log.latency.p50_us or 0) / 1e6)
    if not shortest_s <= pause_s < context.threshold(COMPLETION_GAP_S):
        return Status.PASSED
    if typical * TENTHS_PER_S * pause_s < MIN_EXPECTED_ANSWERS:
        return Status.PASSED
    number = "" if len(pauses) == 1 else f" (the longest of {len(pauses)} pauses)"
    return f"almost no request was answered for {pause_s:.2f} s{number}"


CHECK = Check(
    "stall",
    Level.SUSPECT,
    order=720,
    evaluate=_evaluate,
    advice="Look for what paused the server: a garbage collection, an exhausted CPU quota, a"
    " busy host.",
    thresholds=(STALL_S, STALL_SHARE, COMPLETION_GAP_S),
    needs="the log of the load generator",
    reads_log=True,
)
