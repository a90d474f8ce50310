"""The load generator exited with a status other than 0, was killed, or wrote to standard error.

If fwbench killed it because it did not end, the finding is `loadgen-timeout`.

Evidence: The exit status and standard error.

Why: h2load does this only for invalid arguments, names that do not resolve, and crashes. Whatever a
server does, h2load exits with 0 and writes nothing to standard error. wrk also fails if it cannot
connect.
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
        stderr = result.stderr.strip()
        wrote = f"; standard error: {stderr[:200]!r}" if stderr else ""
        if result.exit_status is None:
            return f"{client.load.generator} was killed{wrote}"
        if result.exit_status != 0 or wrote:
            return f"{client.load.generator} exited with status {result.exit_status}{wrote}"
        return Status.PASSED

    return on_each_client(context, evaluate)


CHECK = Check(
    "loadgen-failed",
    Level.INVALID,
    order=300,
    evaluate=_evaluate,
    advice="Read loadgen.err in the run's files, and run the load generator's command"
    " (in commands.json) by hand on the client.",
    needs="how the load generator ended",
)
