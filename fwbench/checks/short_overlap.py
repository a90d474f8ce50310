"""All clients sent load at the same time for less than 90 % of its duration (`overlap_share`).

With a number of requests, the duration is the time from the first request to the last answer.
Checked if a rig has several clients.

Evidence: Both times.

Why: fwbench uses only the time in which all clients send load, from the last start to the first
end. If one client ends early, the target gets less than the full load for the rest.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import threshold_percent
from fwbench.model.verdict import Level

OVERLAP_SHARE = Threshold(
    "overlap_share", 0.9, "share of the load's duration in which all clients send load"
)


def _evaluate(context: CheckContext) -> Outcome:
    overlap, clients = context.observation.overlap, context.observation.clients
    if len(clients) == 1:
        return Status.NOT_APPLICABLE
    if overlap is None or overlap.overlap_s is None:
        return Status.NOT_OBSERVED
    planned_s: float | None = context.load.duration_s
    if planned_s is None:
        began = [client.began_s for client in clients if client.began_s is not None]
        ended = [client.ended_s for client in clients if client.ended_s is not None]
        planned_s = max(ended, default=0.0) - min(began, default=0.0)
    threshold = context.threshold(OVERLAP_SHARE)
    if overlap.overlap_s >= threshold * planned_s:
        return Status.PASSED
    return (
        f"all clients loaded at the same time for {overlap.overlap_s:.2f} s of {planned_s:.2f} s"
        f" ({threshold_percent(threshold)})"
    )


CHECK = Check(
    "short-overlap",
    Level.INVALID,
    order=510,
    evaluate=_evaluate,
    advice="Read the findings about the client that ended early. If the load has a number of"
    " requests, set duration_s instead: all clients then end at the same time.",
    thresholds=(OVERLAP_SHARE,),
    needs="when each client began and ended",
)
