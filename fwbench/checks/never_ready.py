"""The contender did not answer before the load.

It did not answer within the suite's `start_timeout_s`, or its container ended.

Evidence: How long fwbench waited, and the error that the client got.

Why: A load on a server that is not there measures how fast connections are refused. h2load
nevertheless exits with status 0.
"""

from fwbench.checks.support.answers import answers_before, waited
from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    state = context.observation.container_before
    if not answers_before(context):
        if state is None or state.reached_idle is not False:
            return Status.NOT_OBSERVED
        return f"the application neither became idle nor answered{waited(state.idle_wait_s, 'in')}"
    phrase = waited(context.observation.phases.ready_s, "within")

    def evaluate(client: ClientContext) -> Outcome:
        answer = client.observation.answer_before
        if answer is None:
            return Status.NOT_OBSERVED
        if answer.error is None:
            return Status.PASSED
        return f"the application did not answer{phrase} before the load: {answer.error}"

    return on_each_client(context, evaluate)


CHECK = Check(
    "never-ready",
    Level.INVALID,
    order=110,
    evaluate=_evaluate,
    advice="Read container.log in the run's files. If the application only needs more time,"
    " raise start_timeout_s in the suite. If the kernel kills its workers, raise the"
    " memory limit.",
    needs="the answer before the load",
)
