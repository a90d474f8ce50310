"""Each connection has to send more than 100 requests per second.

Checked for loads at a fixed rate.

Evidence: How many requests per second.

Why: h2load wakes a connection at most every 10 ms, and then sends everything that is due in a
burst.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.model.load import LoadKind
from fwbench.model.verdict import Level

# h2load wakes a connection at most this often, and then sends everything that is due at once.
TICKS_PER_S = 100


def _evaluate(context: CheckContext) -> Outcome:
    load = context.load
    if load.kind is LoadKind.CLOSED:
        return Status.NOT_APPLICABLE
    if load.rate is None:
        return Status.NOT_OBSERVED  # a step of a search that failed before it had a rate
    if load.rate / load.connections <= TICKS_PER_S:
        return Status.PASSED
    return (
        f"each connection has to send {load.rate / load.connections:.0f} requests per second; above"
        f" {TICKS_PER_S}, h2load sends them in bursts every 10 ms"
    )


CHECK = Check(
    "bursty-rate",
    Level.NOTE,
    order=610,
    evaluate=_evaluate,
    advice="Set connections to at least a hundredth of the rate.",
    needs="the rate of the load",
)
