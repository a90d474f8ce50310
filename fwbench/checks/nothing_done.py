"""No request was answered.

Evidence: That no request was answered, or that no load was executed.

Why: If the port is closed, h2load prints `0 total, 0 failed, 0 errored` and exits with 0. It does
the same if the server dies during the warm-up.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    if context.observation.load is None and context.observation.failure is None:
        return "no load was executed"

    def evaluate(client: ClientContext) -> Outcome:
        if client.summary is None:
            return Status.NOT_OBSERVED
        return Status.PASSED if client.summary.requests_done else "no request was answered"

    return on_each_client(context, evaluate)


CHECK = Check(
    "nothing-done",
    Level.INVALID,
    order=400,
    evaluate=_evaluate,
    advice="Check that the client can reach the target's load address and port. A firewall or a"
    " wrong fwbench_load_address has this effect.",
    needs="the output of the load generator",
)
