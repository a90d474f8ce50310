"""Connections ended before the load did.

Checked for closed loads with a duration.

Evidence: A ratio: connections × h2load's mean `req/s` per connection, divided by its `req/s` of the
load. It is 1.00 in sound runs. If the server is killed at second 2 of 4, it is 2.0. The
threshold is 1.02 (`connection_rate_ratio`).

Why: h2load divides the requests of a lost connection by the time until it was lost. One such run
reported `63411 req/s, 0 failed`. A lost connection is one that breaks off. If the server ends it
with `Connection: close` instead, h2load opens a new one from 1.64 on: see `connections-reopened`.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.connection_rate import connection_rate_ratio
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.model.verdict import Level

CONNECTION_RATE_RATIO = Threshold(
    "connection_rate_ratio", 1.02, "1.000 in sound runs, 2.0 if the server is killed halfway"
)


def _evaluate(context: CheckContext) -> Outcome:
    """h2load divides a lost connection's requests by the time it lived, not by the load's time."""
    threshold = context.threshold(CONNECTION_RATE_RATIO)

    def evaluate(client: ClientContext) -> Outcome:
        summary, load = client.summary, client.load
        if load.duration_s is None or load.rate is not None:
            return Status.NOT_APPLICABLE
        if summary is None:
            return Status.NOT_OBSERVED
        if summary.rate_per_connection is None:
            return Status.NOT_APPLICABLE
        ratio = connection_rate_ratio(summary, load.connections)
        if ratio is None or ratio <= threshold:
            return Status.PASSED
        return (
            f"{load.connections} × the mean rate of a connection is {ratio:.2f} times the load's"
            f" {summary.rate_per_s:.0f} req/s (threshold: {threshold:g}); if every connection had"
            f" lasted to the end, it would be 1.00"
        )

    return on_each_client(context, evaluate)


CHECK = Check(
    "connections-lost",
    Level.INVALID,
    order=450,
    evaluate=_evaluate,
    advice="Look for connections that broke off during the load. h2load does not reopen these, and"
    " does not count the requests that they could not send.",
    thresholds=(CONNECTION_RATE_RATIO,),
    needs="the output of the load generator",
)
