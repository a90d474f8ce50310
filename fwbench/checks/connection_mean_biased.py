"""Connections × h2load's mean `req/s` per connection differs from the throughput.

The difference is more than 2 % (`connection_mean_bias`). Checked for loads with a number of
requests.

Evidence: Both values, and their ratio.

Why: Every connection sends the same number of requests. Fast connections end early, and count as
much in the mean as slow ones. In repetitions of the published experiment, the mean was 24 to 50 %
too high for Flask.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.connection_rate import connection_rate_ratio
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import counted, threshold_percent
from fwbench.model.verdict import Level

CONNECTION_MEAN_BIAS = Threshold("connection_mean_bias", 0.02, "share of the throughput")


def _evaluate(context: CheckContext) -> Outcome:
    """With a number of requests, fast connections end early and raise the mean over connections."""
    threshold = context.threshold(CONNECTION_MEAN_BIAS)

    def evaluate(client: ClientContext) -> Outcome:
        summary, load = client.summary, client.load
        if load.requests is None:
            return Status.NOT_APPLICABLE
        if summary is None:
            return Status.NOT_OBSERVED
        if summary.rate_per_connection is None:
            return Status.NOT_APPLICABLE
        ratio = connection_rate_ratio(summary, load.connections)
        if ratio is None or abs(ratio - 1) <= threshold:
            return Status.PASSED
        return (
            f"{counted(load.connections, 'connection')} × {summary.rate_per_connection.mean:.2f}"
            f" req/s per connection is {ratio:.2f} times the throughput of"
            f" {summary.rate_per_s:.0f} req/s ({threshold_percent(threshold)})"
        )

    return on_each_client(context, evaluate)


CHECK = Check(
    "connection-mean-biased",
    Level.NOTE,
    order=480,
    evaluate=_evaluate,
    advice="Use the throughput instead of h2load's `req/s` per connection. Fast connections end"
    " early and raise that mean.",
    thresholds=(CONNECTION_MEAN_BIAS,),
    needs="the output of the load generator",
)
