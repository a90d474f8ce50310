"""The throughput rose or fell by 5 % or more during the window (`drift`).

The trend is significant (`stationarity_p`). Checked for loads with a duration of about two
seconds or more. A beginning that differs (`slow_start`) is left out: it is the finding
`slow-warm-up`.

Evidence: By how much, from when to when, and the p-value: the probability of such a trend if the
throughput were constant.

Why: A throughput that changes has no single value.

The size is the Theil-Sen slope (Sen 1968). The test is Mann-Kendall (Kendall 1975), with the
variance corrected for autocorrelation (Hamed and Rao 1998). In 10 s, it finds a drift of 10 % if
the throughput per tenth of a second varies by 2 %, but not if it varies by 10 %.
"""

from fwbench.checks.support import changepoint
from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.stationarity import batches_of, initial_step
from fwbench.checks.support.thresholds import SLOW_START, STATIONARITY_P, Threshold
from fwbench.checks.support.wording import percent
from fwbench.model.verdict import Level

DRIFT = Threshold("drift", 0.05, "change over the window, as a share of the throughput")


def _evaluate(context: CheckContext) -> Outcome:
    """The trend begins after a slow start, which is a finding of its own."""
    batches = batches_of(context)
    if isinstance(batches, Status):
        return batches
    step = initial_step(context, batches)
    skipped = step.length if step else 0
    trend = changepoint.find_trend(batches.means[skipped:])
    is_small = abs(trend.change) < context.threshold(DRIFT)
    if is_small or trend.p >= context.threshold(STATIONARITY_P):
        return Status.PASSED
    return (
        f"the throughput {'rose' if trend.change > 0 else 'fell'} by {percent(abs(trend.change))}"
        f" from {batches.start_s(skipped):.1f} s to {batches.start_s(len(batches.means)):.1f} s of"
        f" the window, more than its random variation explains (p = {trend.p:.1g})"
    )


CHECK = Check(
    "drift",
    Level.SUSPECT,
    order=710,
    evaluate=_evaluate,
    advice="Look for what changes over time: growing memory, a falling clock rate, another user"
    " of the machine. A longer run would give a different throughput.",
    thresholds=(DRIFT, SLOW_START, STATIONARITY_P),
    needs="the log of the load generator",
    reads_log=True,
)
