"""Findings about a fixed rate: was it offered at all, and evenly?"""

from fwbench.checks.context import Check, CheckContext
from fwbench.model.verdict import Level

# h2load wakes a connection at most this often, and then sends all that is due at once.
TICKS_PER_S = 100


def _rate_not_reached(context: CheckContext) -> str | None:
    """Requests that were sent within the window, over its length: late ones are not in it."""
    log, load, window_s = context.log, context.load, context.window_s
    if load.rate is None or not window_s or log is None:
        return None
    achieved = log.rows / window_s
    if achieved >= context.thresholds.achieved_rate * load.rate:
        return None
    return (
        f"{achieved:.1f} requests per second of the {load.rate:g} that were to be offered:"
        f" {achieved / load.rate:.1%}"
    )


def _bursty_rate(context: CheckContext) -> str | None:
    load = context.load
    if load.rate is None or load.rate / load.connections <= TICKS_PER_S:
        return None
    return (
        f"each connection is to send {load.rate / load.connections:.0f} requests per second;"
        f" h2load sends those of 10 ms one right after the other"
    )


CHECKS = (
    Check(
        "rate-not-reached",
        Level.INVALID,
        _rate_not_reached,
        "Lower the rate, or give the load more connections: the contender, or the client, could not"
        " keep up, and latencies at a rate that was not offered mean nothing.",
    ),
    Check(
        "bursty-rate",
        Level.NOTE,
        _bursty_rate,
        "Give the load more connections, at least a hundredth of its rate.",
    ),
)
