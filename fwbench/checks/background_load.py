"""Processes outside the benchmark used more than 0.05 of a CPU (`background_cores`).

They also used more than 0.1 s of CPU time in total (`background_s`). The contender, the load
generator, docker-proxy and fwbench's sampler do not count.

Evidence: The host, the CPU usage, and the busiest of these processes. It is not named if it used
less than half: then several processes, or short-lived ones, used the CPU.

Why: They may all run on the one CPU to which a contender is pinned. The threshold is therefore a
share of one CPU, however many the host has. An idle host shows about 0.001.

fwbench subtracts the CPU time of the benchmark's control groups from the total. Kernel threads do
not count, since they work mostly for the load. On hosts without these counters, fwbench adds up
processes, and misses short-lived ones.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_host
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.model.telemetry import HostUsage
from fwbench.model.verdict import Level

BACKGROUND_CORES = Threshold(
    "background_cores",
    0.05,
    "of one CPU, to which a contender may be pinned; 0.001 on an idle host",
)
BACKGROUND_S = Threshold(
    "background_s", 0.1, "seconds of CPU time; starting and ending a run takes a few hundredths"
)


def _evaluate(context: CheckContext) -> Outcome:
    threshold = context.threshold(BACKGROUND_CORES)

    def evaluate(usage: HostUsage) -> Outcome:
        if usage.background_cores is None:
            return Status.NOT_OBSERVED
        used_s = usage.background_cores * usage.window_s
        if usage.background_cores <= threshold or used_s <= context.threshold(BACKGROUND_S):
            return Status.PASSED
        used = (
            f"processes outside the benchmark used {usage.background_cores:.2f} of a CPU"
            f" (threshold: {threshold:g})"
        )
        busiest = usage.busiest_background_process
        if busiest is None:
            return used
        if busiest.cores < usage.background_cores / 2:
            return f"{used}, most of it by several or short-lived processes"
        return f"{used}, most of it by {busiest.command!r:.60} ({busiest.cores:.2f})"

    return on_each_host(context, evaluate)


CHECK = Check(
    "background-load",
    Level.INVALID,
    order=830,
    evaluate=_evaluate,
    advice="Stop the processes, or wait until they end. Updates, backups and monitoring are"
    " common causes. If it is dockerd, make the contender log less.",
    thresholds=(BACKGROUND_CORES, BACKGROUND_S),
    needs="the CPU usage of other processes",
)
