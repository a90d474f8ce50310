"""fwbench's sampler used more than 1 % of a CPU (`sampler_cores`).

About 0.2 % is typical.

Evidence: The host and the usage.

Why: The sampler takes CPU time from the contender or the load generator.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_host
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import percent, threshold_percent
from fwbench.model.telemetry import HostUsage
from fwbench.model.verdict import Level

SAMPLER_CORES = Threshold("sampler_cores", 0.01, "of one CPU; 0.002 is typical")


def _evaluate(context: CheckContext) -> Outcome:
    threshold = context.threshold(SAMPLER_CORES)

    def evaluate(usage: HostUsage) -> Outcome:
        cores = usage.sampler_cores
        if cores is None:
            return Status.NOT_OBSERVED
        if cores <= threshold:
            return Status.PASSED
        return (
            f"fwbench's sampler used {percent(cores, 1)} of a CPU ({threshold_percent(threshold)})"
        )

    return on_each_host(context, evaluate)


CHECK = Check(
    "sampler-overhead",
    Level.NOTE,
    order=890,
    evaluate=_evaluate,
    advice="Open an issue with the host's kernel version and CPU count.",
    thresholds=(SAMPLER_CORES,),
    needs="the sampler's CPU usage",
)
