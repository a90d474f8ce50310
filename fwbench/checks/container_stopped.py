"""The container was not running before or after the load.

Evidence: Whether this was before or after the load, and the exit code (137: killed).

Why: For part of the load, there was no server.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    moments = (
        ("before", context.observation.container_before),
        ("after", context.observation.container_after),
    )
    for moment, state in moments:
        if state is not None and not state.running:
            code = "unknown" if state.exit_code is None else str(state.exit_code)
            return f"the container was not running {moment} the load (exit code: {code})"
    observed = all(state is not None for _, state in moments)
    return Status.PASSED if observed else Status.NOT_OBSERVED


CHECK = Check(
    "container-stopped",
    Level.INVALID,
    order=200,
    evaluate=_evaluate,
    advice="Read container.log in the run's files for the reason why the application ended.",
    needs="the container's state before and after the load",
)
