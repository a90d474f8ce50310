"""The throughput at the beginning differed from the rest by 10 % or more (`slow_start`).

The difference is significant (`stationarity_p`). Checked for loads with a duration of about two
seconds or more.

Evidence: Until when, by how much, and the `warm_up_s` that would exclude this part.

Why: The beginning is part of the measured window, so it changes throughput and latencies.

The test uses completions per tenth of a second, averaged in about thirty batches. It finds the
likeliest step in the first half (Hinkley 1970), and compares both sides by Student's test,
corrected for autocorrelation and for the choice of the position. If the throughput is constant, it
reports at most one run in a hundred. If the first 2 s of 10 s are 30 % slower, it finds 97 of 100,
provided that the throughput per tenth of a second varies by 5 %.
"""

import math

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.stationarity import batches_of, initial_step
from fwbench.checks.support.thresholds import SLOW_START, STATIONARITY_P
from fwbench.checks.support.wording import percent
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    batches = batches_of(context)
    if isinstance(batches, Status):
        return batches
    step = initial_step(context, batches)
    if step is None:
        return Status.PASSED
    until_s, warm_up_s = batches.start_s(step.length), context.load.warm_up_s
    return (
        f"for the first {until_s:.1f} s of the window, the throughput was"
        f" {percent(abs(step.ratio - 1))} {'lower' if step.ratio < 1 else 'higher'} than"
        f" afterwards; a warm_up_s of {warm_up_s + math.ceil(until_s)} instead of {warm_up_s} would"
        " exclude them"
    )


CHECK = Check(
    "slow-warm-up",
    Level.SUSPECT,
    order=700,
    evaluate=_evaluate,
    advice="Set warm_up_s in the suite to the value that the evidence names. Caches, connections"
    " and workers were still warming up.",
    thresholds=(SLOW_START, STATIONARITY_P),
    needs="the log of the load generator",
    reads_log=True,
)
