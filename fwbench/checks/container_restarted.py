"""The container was restarted during the run.

Evidence: The engine's restart count, or both start times.

Why: The run measured two servers and a gap between them.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    before, after = context.observation.container_before, context.observation.container_after
    if before is None or after is None:
        return Status.NOT_OBSERVED
    if before.restarts != after.restarts:
        return f"the engine's restart count went from {before.restarts} to {after.restarts}"
    if before.started_at != after.started_at:
        return f"the container started at {before.started_at}, and again at {after.started_at}"
    return Status.PASSED


CHECK = Check(
    "container-restarted",
    Level.INVALID,
    order=210,
    evaluate=_evaluate,
    advice="Read container.log in the run's files, and disable whatever restarts the container.",
    needs="the container's state before and after the load",
)
