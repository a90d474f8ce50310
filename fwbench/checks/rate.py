"""Checks of a fixed rate: did h2load offer it, and evenly?"""

from fwbench.checks.context import Check, CheckContext, percent, threshold_percent
from fwbench.model.verdict import Level

# h2load wakes a connection at most this often, and then sends everything that is due at once.
TICKS_PER_S = 100


def _rate_not_reached(context: CheckContext) -> str | None:
    """Only requests that were sent within the window count; late ones are not in the log."""
    log, load, window_s = context.log, context.load, context.window_s
    if load.rate is None or not window_s or log is None:
        return None
    achieved = log.rows / window_s
    threshold = context.thresholds.achieved_rate
    if achieved >= threshold * load.rate:
        return None
    return (
        f"h2load sent {achieved:.1f} requests per second, {percent(achieved / load.rate, 1)} of the"
        f" {load.rate:g} that it should offer ({threshold_percent(threshold)})"
    )


def _bursty_rate(context: CheckContext) -> str | None:
    load = context.load
    if load.rate is None or load.rate / load.connections <= TICKS_PER_S:
        return None
    return (
        f"each connection has to send {load.rate / load.connections:.0f} requests per second; above"
        f" {TICKS_PER_S}, h2load sends them in bursts every 10 ms"
    )


CHECKS = (
    Check(
        "rate-not-reached",
        Level.INVALID,
        _rate_not_reached,
        "Lower the rate, or raise connections. The contender or the client could not keep up, so"
        " the latencies are not those of this rate.",
    ),
    Check(
        "bursty-rate",
        Level.NOTE,
        _bursty_rate,
        "Set connections to at least a hundredth of the rate.",
    ),
)
