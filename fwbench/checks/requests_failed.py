"""Requests failed, got no answer or timed out.

By default, one such request is enough for this finding (`failed_requests`).

Evidence: How many requests, and how they failed.

Why: The server did less work than the load asked for. That may have made the other requests
faster.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import FAILED_REQUESTS
from fwbench.checks.support.wording import counted
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    def evaluate(client: ClientContext) -> Outcome:
        summary = client.summary
        if summary is None:
            return Status.NOT_OBSERVED
        errored, timed_out = summary.requests_errored, summary.requests_timed_out
        failed = max(summary.requests_failed, errored, timed_out)
        if failed <= context.threshold(FAILED_REQUESTS) * summary.requests_total:
            return Status.PASSED
        return (
            f"{failed} of {counted(summary.requests_total, 'request')} failed"
            f" ({errored} without an answer, {timed_out} timed out)"
        )

    return on_each_client(context, evaluate)


CHECK = Check(
    "requests-failed",
    Level.INVALID,
    order=410,
    evaluate=_evaluate,
    advice="Read container.log in the run's files for the time of the load. The contender may"
    " need fewer connections, more workers or more memory.",
    thresholds=(FAILED_REQUESTS,),
    needs="the output of the load generator",
)
