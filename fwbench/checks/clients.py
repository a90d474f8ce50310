"""Findings about several clients of one rig: did they load at the same time?"""

from fwbench.checks.context import Case, Check
from fwbench.model.verdict import Level


def _clients_apart(case: Case) -> str | None:
    together = case.observation.together
    if together is None or together.skew_s is None:
        return None
    if together.skew_s <= case.thresholds.client_skew_s:
        return None
    sides = [side for side in case.observation.clients if side.began_s is not None]
    first = min(sides, key=lambda side: side.began_s or 0, default=None)
    last = max(sides, key=lambda side: side.began_s or 0, default=None)
    who = f"{last.host} began after {first.host}" if first and last else "the clients began apart"
    return f"{who}: by {together.skew_s * 1e3:.0f} ms{_give_or_take(together.uncertainty_s)}"


def _start_unsure(case: Case) -> str | None:
    """What is far apart beyond doubt is `clients-apart`."""
    together, limit_s = case.observation.together, case.thresholds.client_skew_s
    if together is None or together.skew_s is None or together.skew_s > limit_s:
        return None
    unsure_s = together.uncertainty_s
    if unsure_s is not None and together.skew_s + unsure_s <= limit_s:
        return None
    known = "is not known" if unsure_s is None else f"is known to {unsure_s * 1e3:.0f} ms only"
    return f"how far apart the clients began {known}"


def _common_window(case: Case) -> str | None:
    together, sides = case.observation.together, case.observation.clients
    if together is None or together.common_s is None:
        return None
    planned_s: float | None = case.load.duration_s
    if planned_s is None:
        began = [side.began_s for side in sides if side.began_s is not None]
        ended = [side.ended_s for side in sides if side.ended_s is not None]
        planned_s = max(ended, default=0.0) - min(began, default=0.0)
    if together.common_s >= case.thresholds.common_window * planned_s:
        return None
    return f"all clients loaded at the same time for {together.common_s:.2f} of {planned_s:.2f} s"


def _give_or_take(uncertainty_s: float | None) -> str:
    return "" if uncertainty_s is None else f" (give or take {uncertainty_s * 1e3:.0f} ms)"


CHECKS = (
    Check(
        "clients-apart",
        Level.INVALID,
        _clients_apart,
        "Find out what kept the last client: a host that was busy, or a connection that took longer"
        " than fwbench allows for.",
    ),
    Check(
        "common-window",
        Level.INVALID,
        _common_window,
        "Look at the findings of the client that ended early, or give the load a duration_s instead"
        " of a number of requests: it ends at the same time everywhere.",
    ),
    Check(
        "start-unsure",
        Level.SUSPECT,
        _start_unsure,
        "Execute the session from a machine that is nearer to the clients: their clocks are read"
        " over SSH, and are known to half of the time that this takes.",
    ),
)
