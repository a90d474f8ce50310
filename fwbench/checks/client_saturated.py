"""A thread of the load generator used more than 70 % of a CPU (`load_thread_cores`).

Evidence: The number of threads, and the highest usage.

Why: From about 50 % on, h2load measures a p99 that is too long. At 70 %, it is 20 % too long. The
mean latency is right up to 95 %. Near 100 %, the run measures the load generator. Once this finding
disappears, the target is the limit.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import counted, percent, threshold_percent
from fwbench.model.verdict import Effect, Level

LOAD_THREAD_CORES = Threshold(
    "load_thread_cores",
    0.7,
    "share of one CPU; at 0.7, h2load's p99 is 20 % too long; its mean is right up to 0.95",
)


def _evaluate(context: CheckContext) -> Outcome:
    threshold = context.threshold(LOAD_THREAD_CORES)

    def evaluate(client: ClientContext) -> Outcome:
        threads = client.observation.usage.threads if client.observation.usage else ()
        if not threads:
            return Status.NOT_OBSERVED
        busiest = max(thread.cores for thread in threads)
        if busiest <= threshold:
            return Status.PASSED
        saturated = sum(thread.cores > threshold for thread in threads)
        return (
            f"{counted(saturated, 'thread')} of {client.load.generator} used up to"
            f" {percent(busiest)} of a CPU ({threshold_percent(threshold)}), so it reads answers"
            " late"
        )

    return on_each_client(context, evaluate)


def _excess(context: CheckContext) -> float:
    """Return the busiest thread's usage, divided by the threshold (at least 0.01 of a CPU)."""
    usages = (client.observation.usage for client in context.clients)
    busiest = max(thread.cores for usage in usages if usage for thread in usage.threads)
    return busiest / max(context.threshold(LOAD_THREAD_CORES), 0.01)


CHECK = Check(
    "client-saturated",
    Level.INVALID,
    order=810,
    evaluate=_evaluate,
    advice="Raise threads in the load if the client has unused CPUs, or add a client to the rig:"
    " a host with the same fwbench_rig takes a share of the load. In this run, the load"
    " generator was too busy to read answers in time, so latencies are too long.",
    thresholds=(LOAD_THREAD_CORES,),
    needs="the CPU usage of the load generator's threads",
    effect=Effect.CLIENT_LIMITED,
    excess=_excess,
)
