"""The load generator sent fewer than 99 % of a fixed rate's requests in time (`achieved_rate`).

Only requests that were sent within the measured window count.

Evidence: The rate that was sent, and the rate that the load asks for.

Why: The latencies are not those of this rate. In a search, this is a result: the rate was too
high.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import percent, threshold_percent
from fwbench.model.load import LoadKind
from fwbench.model.verdict import Effect, Level

ACHIEVED_RATE = Threshold("achieved_rate", 0.99, "share of the offered rate")


def _evaluate(context: CheckContext) -> Outcome:
    """Only requests that were sent within the window count; late ones are not in the log."""
    log, load, window_s = context.log, context.load, context.window_s
    if load.kind is LoadKind.CLOSED:
        return Status.NOT_APPLICABLE
    if load.rate is None or not window_s or log is None:
        return Status.NOT_OBSERVED
    achieved = log.rows / window_s
    threshold = context.threshold(ACHIEVED_RATE)
    if achieved >= threshold * load.rate:
        return Status.PASSED
    return (
        f"{load.generator} sent {achieved:.1f} requests per second,"
        f" {percent(achieved / load.rate, 1)} of the {load.rate:g} that it should offer"
        f" ({threshold_percent(threshold)})"
    )


CHECK = Check(
    "rate-not-reached",
    Level.INVALID,
    order=600,
    evaluate=_evaluate,
    advice="Lower the rate, or raise connections: the contender or the client could not keep up.",
    thresholds=(ACHIEVED_RATE,),
    needs="the log of the load generator",
    reads_log=True,
    effect=Effect.OVERLOAD,
)
