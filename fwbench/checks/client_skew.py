"""The last of several clients began its load over 0.05 s after the first (`client_skew_s`).

Evidence: Both clients, the time between their first logged requests, and its uncertainty. All
times are converted to the first client's clock.

Why: Every client starts at an agreed time of its own clock, corrected by the measured offset.
Until the last client starts, the target gets less than the full load.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import CLIENT_SKEW_S
from fwbench.checks.support.wording import milliseconds
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    overlap, threshold_s = context.observation.overlap, context.threshold(CLIENT_SKEW_S)
    if len(context.observation.clients) == 1:
        return Status.NOT_APPLICABLE
    if overlap is None or overlap.skew_s is None:
        return Status.NOT_OBSERVED
    if overlap.skew_s <= threshold_s:
        return Status.PASSED
    clients = [client for client in context.observation.clients if client.began_s is not None]
    first = min(clients, key=lambda client: client.began_s or 0, default=None)
    last = max(clients, key=lambda client: client.began_s or 0, default=None)
    skew = milliseconds(overlap.skew_s)
    uncertainty = (
        "" if overlap.uncertainty_s is None else f"± {milliseconds(overlap.uncertainty_s)}; "
    )
    limits = f"({uncertainty}threshold: {milliseconds(threshold_s)})"
    if first is None or last is None:
        return f"the clients began {skew} apart {limits}"
    return f"{last.host} began {skew} after {first.host} {limits}"


CHECK = Check(
    "client-skew",
    Level.INVALID,
    order=500,
    evaluate=_evaluate,
    advice="Find out what delayed the last client: a busy host, or an SSH connection that took"
    " longer than fwbench allows for.",
    thresholds=(CLIENT_SKEW_S,),
    needs="when each client began",
)
