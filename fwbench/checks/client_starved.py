"""A thread of h2load waited for a CPU for more than 10 % of the time (`load_thread_wait_share`).

It was ready to run during that time.

Evidence: The share of the time for the thread that waited longest.

Why: Answers that arrive meanwhile wait with the thread, so their latency is too long. At 10 %,
that is one answer in ten. In a lab on a machine with two fully used CPUs, up to 8 % are normal.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_client
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import percent, threshold_percent
from fwbench.model.verdict import Level

LOAD_THREAD_WAIT_SHARE = Threshold(
    "load_thread_wait_share", 0.1, "share of the time; 0.01 to 0.08 in a lab"
)


def _evaluate(context: CheckContext) -> Outcome:
    threshold = context.threshold(LOAD_THREAD_WAIT_SHARE)

    def evaluate(client: ClientContext) -> Outcome:
        threads = client.observation.usage.threads if client.observation.usage else ()
        if not threads:
            return Status.NOT_OBSERVED
        longest = max(thread.wait_share for thread in threads)
        if longest <= threshold:
            return Status.PASSED
        return (
            f"a thread of {context.load.generator} was ready to run but waited for a CPU"
            f" for {percent(longest)} of the time ({threshold_percent(threshold)}), and its"
            " answers waited with it"
        )

    return on_each_client(context, evaluate)


CHECK = Check(
    "client-starved",
    Level.INVALID,
    order=820,
    evaluate=_evaluate,
    advice="Stop other processes on the client, or set threads to at most its number of CPUs.",
    thresholds=(LOAD_THREAD_WAIT_SHARE,),
    needs="the CPU usage of the load generator's threads",
)
