"""The hosts' clocks differ by more than 0.1 s (`clock_offset_s`).

fwbench measures the offset over SSH, and first subtracts the uncertainty of that measurement.

Evidence: The offset and its uncertainty.

Why: The clocks decide which of the target's samples belong to the load. fwbench corrects the
offset, but clocks that are not synchronized drift.
"""

from fwbench.checks.support.check import Check, Outcome, Status, combine
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.model.verdict import Level

CLOCK_OFFSET_S = Threshold(
    "clock_offset_s", 0.1, "seconds, beyond the uncertainty of the measurement"
)


def _evaluate(context: CheckContext) -> Outcome:
    return combine(_of_client(context, client) for client in context.clients)


def _of_client(context: CheckContext, client: ClientContext) -> Outcome:
    clock, threshold_s = client.observation.clock, context.threshold(CLOCK_OFFSET_S)
    if clock is None:
        return Status.NOT_OBSERVED
    offset_s = abs(clock.client_minus_target_s)
    if offset_s - clock.uncertainty_s <= threshold_s:
        return Status.PASSED
    direction = "ahead of" if clock.client_minus_target_s > 0 else "behind"
    return (
        f"{client.name}'s clock is {offset_s:.2f} s {direction} the target's"
        f" (± {clock.uncertainty_s:.2f} s; threshold: {threshold_s:g} s)"
    )


CHECK = Check(
    "clock-offset",
    Level.SUSPECT,
    order=950,
    evaluate=_evaluate,
    advice="Synchronize the clocks of both hosts with chrony or systemd-timesyncd.",
    thresholds=(CLOCK_OFFSET_S,),
    needs="the offset of the hosts' clocks",
)
