"""The server answered with redirects or errors.

By default, one such response is enough for this finding (`failed_requests`).

Evidence: The number of responses by class of status.

Why: h2load's `req/s` of the load, and its times, include them.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import FAILED_REQUESTS
from fwbench.checks.support.wording import counted
from fwbench.model.figures import LoadSummary
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    def evaluate(client: ClientContext) -> Outcome:
        summary = client.summary
        if summary is None:
            return Status.NOT_OBSERVED
        by_class = _by_class(summary)
        not_2xx = sum(by_class.values())
        if not_2xx <= context.threshold(FAILED_REQUESTS) * summary.requests_done:
            return Status.PASSED
        each = ", ".join(f"{name}: {number}" for name, number in by_class.items() if number)
        return (
            f"{not_2xx} of {counted(summary.requests_done, 'response')} did not have a 2xx status"
            f" ({each})"
        )

    return on_each_client(context, evaluate)


def _by_class(summary: LoadSummary) -> dict[str, int]:
    """Return the numbers of responses other than 2xx; wrk only counts those above 399."""
    classes = {"3xx": summary.status_3xx, "4xx": summary.status_4xx, "5xx": summary.status_5xx}
    known = {name: number for name, number in classes.items() if number is not None}
    return known or {"4xx or 5xx": summary.requests_done - summary.requests_succeeded}


CHECK = Check(
    "responses-not-2xx",
    Level.INVALID,
    order=420,
    evaluate=_evaluate,
    advice="Read container.log in the run's files. h2load counts errors and redirects as"
    " answers, and they are often faster.",
    thresholds=(FAILED_REQUESTS,),
    needs="the output of the load generator",
)
