"""At the end, more requests were unanswered than there are connections.

Evidence: The number of unanswered requests, and how many can be under way at the end.

Why: Each connection has at most one request under way. The others were lost without being
counted.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    """At the end, each connection may have one request under way; any more are lost."""

    def evaluate(client: ClientContext) -> Outcome:
        summary, connections = client.summary, client.load.connections
        if summary is None:
            return Status.NOT_OBSERVED
        if summary.requests_started is None:
            return Status.NOT_APPLICABLE
        unanswered = summary.requests_started - summary.requests_done
        if unanswered <= connections:
            return Status.PASSED
        return (
            f"{unanswered} of {summary.requests_started} requests that were sent got no answer; at"
            f" most {connections} can be under way at the end, one per connection"
        )

    return on_each_client(context, evaluate)


CHECK = Check(
    "requests-lost",
    Level.INVALID,
    order=440,
    evaluate=_evaluate,
    advice="Find out whether the server, or a device between the hosts, cuts connections.",
    needs="the output of the load generator",
)
