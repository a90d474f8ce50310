"""The run ended early, because of an error.

Evidence: The error.

Why: Part of a run cannot stand for a whole one. A failed run has no throughput, not even zero.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    failure = context.observation.failure
    return Status.PASSED if failure is None else f"the run ended early: {failure}"


CHECK = Check(
    "run-failed",
    Level.INVALID,
    order=100,
    evaluate=_evaluate,
    advice="Fix the error that the evidence names. The run's files contain what the run produced"
    " until then.",
)
