"""There is no telemetry of a host during the load.

If only a single counter is missing, because the kernel does not have it, this is no finding.

Evidence: The host.

Why: A saturated client, a busy neighbour or an overflowing queue would go unnoticed.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    observation = context.observation
    if observation.failure is not None or observation.load is None:
        return Status.NOT_APPLICABLE
    missing = [name for name, usage in context.hosts if usage is None]
    return f"there is no telemetry of {' and '.join(missing)}" if missing else Status.PASSED


CHECK = Check(
    "telemetry-missing",
    Level.SUSPECT,
    order=800,
    evaluate=_evaluate,
    advice="Find out why the sampler left no file on that host, for example because the disk is"
    " full. Without telemetry, other load on the host goes unnoticed.",
)
