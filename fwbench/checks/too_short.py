"""The load took less than a second (`too_short_s`).

Checked for loads with a number of requests.

Evidence: Requests, connections and seconds.

Why: Connecting, and the slow first requests of every worker, are a large part of a short load.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import counted
from fwbench.model.verdict import Level

TOO_SHORT_S = Threshold(
    "too_short_s", 1.0, "seconds; CPython's throughput is constant after the first second"
)


def _evaluate(context: CheckContext) -> Outcome:
    threshold_s = context.threshold(TOO_SHORT_S)

    def evaluate(client: ClientContext) -> Outcome:
        summary, load = client.summary, client.load
        if load.requests is None:
            return Status.NOT_APPLICABLE
        if summary is None:
            return Status.NOT_OBSERVED
        if not summary.requests_done or summary.elapsed_s >= threshold_s:
            return Status.PASSED
        took = f"{summary.elapsed_s:.2f}" if summary.elapsed_s >= 0.01 else "less than 0.01"
        return (
            f"{counted(load.requests, 'request')} over {counted(load.connections, 'connection')}"
            f" took {took} s, start-up effects included (threshold: {threshold_s:g} s)"
        )

    return on_each_client(context, evaluate)


CHECK = Check(
    "too-short",
    Level.NOTE,
    order=470,
    evaluate=_evaluate,
    advice="Set a duration_s of several seconds and a warm_up_s instead of a number of requests.",
    thresholds=(TOO_SHORT_S,),
    needs="the output of the load generator",
)
