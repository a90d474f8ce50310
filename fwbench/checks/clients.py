"""Findings about several clients of one rig: did they load at the same time?"""

from fwbench.checks.context import Check, CheckContext
from fwbench.model.verdict import Level


def _client_skew(context: CheckContext) -> str | None:
    together = context.observation.overlap
    if together is None or together.skew_s is None:
        return None
    if together.skew_s <= context.thresholds.client_skew_s:
        return None
    sides = [side for side in context.observation.clients if side.began_s is not None]
    first = min(sides, key=lambda side: side.began_s or 0, default=None)
    last = max(sides, key=lambda side: side.began_s or 0, default=None)
    who = f"{last.host} began after {first.host}" if first and last else "the clients began apart"
    return f"{who}: by {together.skew_s * 1e3:.0f} ms{_give_or_take(together.uncertainty_s)}"


def _client_skew_uncertain(context: CheckContext) -> str | None:
    """What is far apart beyond doubt is `client-skew`."""
    together, limit_s = context.observation.overlap, context.thresholds.client_skew_s
    if together is None or together.skew_s is None or together.skew_s > limit_s:
        return None
    unsure_s = together.uncertainty_s
    if unsure_s is not None and together.skew_s + unsure_s <= limit_s:
        return None
    known = "is not known" if unsure_s is None else f"is known to {unsure_s * 1e3:.0f} ms only"
    return f"how far apart the clients began {known}"


def _short_overlap(context: CheckContext) -> str | None:
    together, sides = context.observation.overlap, context.observation.clients
    if together is None or together.overlap_s is None:
        return None
    planned_s: float | None = context.load.duration_s
    if planned_s is None:
        began = [side.began_s for side in sides if side.began_s is not None]
        ended = [side.ended_s for side in sides if side.ended_s is not None]
        planned_s = max(ended, default=0.0) - min(began, default=0.0)
    if together.overlap_s >= context.thresholds.overlap_share * planned_s:
        return None
    return f"all clients loaded at the same time for {together.overlap_s:.2f} of {planned_s:.2f} s"


def _give_or_take(uncertainty_s: float | None) -> str:
    return "" if uncertainty_s is None else f" (give or take {uncertainty_s * 1e3:.0f} ms)"


CHECKS = (
    Check(
        "client-skew",
        Level.INVALID,
        _client_skew,
        "Find out what kept the last client: a host that was busy, or a connection that took longer"
        " than fwbench allows for.",
    ),
    Check(
        "short-overlap",
        Level.INVALID,
        _short_overlap,
        "Look at the findings of the client that ended early, or give the load a duration_s instead"
        " of a number of requests: it ends at the same time everywhere.",
    ),
    Check(
        "client-skew-uncertain",
        Level.SUSPECT,
        _client_skew_uncertain,
        "Execute the session from a machine that is nearer to the clients: their clocks are read"
        " over SSH, and are known to half of the time that this takes.",
    ),
)
