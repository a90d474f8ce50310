"""The load generator did not end, and fwbench killed it.

Evidence: After how many seconds.

Why: With a number of requests, h2load waits forever for a server that hangs. With a duration,
h2load before 1.64 never ends if the server answers `Connection: close`.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.model.verdict import Effect, Level


def _evaluate(context: CheckContext) -> Outcome:
    load_s = context.observation.phases.load_s

    def evaluate(client: ClientContext) -> Outcome:
        if client.result is None:
            return Status.NOT_OBSERVED
        if not client.result.timed_out:
            return Status.PASSED
        return f"{client.load.generator} did not end" + (
            "" if load_s is None else f" within {load_s:.0f} s"
        )

    return on_each_client(context, evaluate)


CHECK = Check(
    "loadgen-timeout",
    Level.INVALID,
    order=310,
    evaluate=_evaluate,
    advice="Find out why the contender left requests unanswered. h2load before 1.64 also never"
    " ends if a server closes its connections.",
    needs="how the load generator ended",
    effect=Effect.OVERLOAD,
)
