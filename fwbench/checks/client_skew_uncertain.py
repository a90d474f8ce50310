"""fwbench cannot tell whether the clients began more than 0.05 s apart (`client_skew_s`).

Together, the measured skew and its uncertainty exceed that time. If the skew alone exceeds it,
the finding is `client-skew`.

Evidence: The measured skew and its uncertainty.

Why: The clients start by their clocks, and fwbench aligns their logs by these clocks. It reads each
host's clock three times over SSH, and uses the reading with the shortest round trip.
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
    if overlap.skew_s > threshold_s:
        return Status.NOT_APPLICABLE  # `client-skew`
    if overlap.uncertainty_s is None:
        return "how far apart the clients began is unknown: the offset of their clocks is unknown"
    if overlap.skew_s + overlap.uncertainty_s <= threshold_s:
        return Status.PASSED
    return (
        f"the clients began {milliseconds(overlap.skew_s)} apart"
        f" (± {milliseconds(overlap.uncertainty_s)}), which may exceed the threshold of"
        f" {milliseconds(threshold_s)}"
    )


CHECK = Check(
    "client-skew-uncertain",
    Level.SUSPECT,
    order=520,
    evaluate=_evaluate,
    advice="Start fwbench on a machine that is nearer to the clients. It reads their clocks over"
    " SSH, and the error is up to half of the round-trip time.",
    thresholds=(CLIENT_SKEW_S,),
    needs="when each client began",
)
