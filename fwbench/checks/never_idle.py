"""The application answered, but did not become idle before the load.

Processes were missing or still busy starting.

Evidence: The expected number of processes, and how long fwbench waited.

Why: Starting a worker takes hundreds of milliseconds of CPU time.
"""

from fwbench.checks.support.answers import answers_before, waited
from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    answers, state = answers_before(context), context.observation.container_before
    if any(answer.error is not None for answer in answers):
        return Status.NOT_APPLICABLE  # `never-ready`
    if not answers or state is None or state.reached_idle is None:
        return Status.NOT_OBSERVED
    if state.reached_idle:
        return Status.PASSED
    return (
        f"the application answered, but its {context.contender.processes} processes did not become"
        f" idle{waited(state.idle_wait_s, 'within')}; fwbench started the load anyway"
    )


CHECK = Check(
    "never-idle",
    Level.SUSPECT,
    order=130,
    evaluate=_evaluate,
    advice="Raise start_timeout_s in the suite: the load may have measured workers that were"
    " still starting. If the application never becomes idle, read container.log in the run's files"
    " to find out what it does.",
    needs="whether the container's processes became idle",
)
