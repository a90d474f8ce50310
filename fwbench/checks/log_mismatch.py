"""The load generator's log does not have exactly one row per answered request.

Evidence: Both numbers, and the number of truncated rows.

Why: Two records of the same run contradict each other, so at least one is wrong.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.wording import counted
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    def evaluate(client: ClientContext) -> Outcome:
        summary, log = client.summary, client.result.log if client.result else None
        if summary is None:
            return Status.NOT_OBSERVED
        if log is None:
            return (
                f"{client.load.generator} left no log" if summary.requests_done else Status.PASSED
            )
        rows = log.rows + log.rows_outside_window
        if rows == summary.requests_done and not log.truncated_rows:
            return Status.PASSED
        truncated = (
            f" and {counted(log.truncated_rows, 'truncated row')}" if log.truncated_rows else ""
        )
        answered = counted(summary.requests_done, "answered request")
        logged = f"{counted(rows, 'row')}{truncated}"
        return f"{client.load.generator} counts {answered}; its log has {logged}"

    return on_each_client(context, evaluate)


CHECK = Check(
    "log-mismatch",
    Level.INVALID,
    order=430,
    evaluate=_evaluate,
    advice="Check that the client's disk is not full, and that nothing else writes to the run's"
    " files.",
    needs="the output of the load generator",
    reads_log=True,
)
