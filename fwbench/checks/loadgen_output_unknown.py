"""fwbench could not parse the load generator's output.

The output is unlike that of every version that fwbench knows.

Evidence: What is missing or malformed.

Why: A figure that is guessed from an unknown format cannot be trusted.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    def evaluate(client: ClientContext) -> Outcome:
        result = client.result
        if result is None:
            return Status.NOT_OBSERVED
        if result.timed_out:
            return Status.NOT_APPLICABLE
        if result.summary is not None:
            return Status.PASSED
        reason = result.parse_error or "it printed nothing"
        return f"{client.load.generator}'s output could not be parsed: {reason}"

    return on_each_client(context, evaluate)


CHECK = Check(
    "loadgen-output-unknown",
    Level.INVALID,
    order=320,
    evaluate=_evaluate,
    advice="Read loadgen.out in the run's files. If the output is complete, open an issue with"
    " the file: this version prints something that fwbench cannot parse yet.",
    needs="the output of the load generator",
)
