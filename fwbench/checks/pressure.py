"""Processes waited for memory or the disk.

They waited for more than 5 % of the time (`pressure_stall_share`). On a target with cgroup v2,
these are the contender's processes. On other hosts, only times count in which every process that
was not idle waited.

Evidence: The host, the resource and the share of the time. If the value is not the contender's, a
lab host shows that of the whole machine.

Why: Serving a small answer needs neither. Waiting for a CPU does not count, since a closed load
always does.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_host
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import percent, threshold_percent
from fwbench.model.telemetry import HostUsage
from fwbench.model.verdict import Level

PRESSURE_STALL_SHARE = Threshold(
    "pressure_stall_share", 0.05, "share of the time, for memory or the disk"
)


def _evaluate(context: CheckContext) -> Outcome:
    threshold = context.threshold(PRESSURE_STALL_SHARE)

    def evaluate(usage: HostUsage) -> Outcome:
        stalls = (("memory", usage.stalls.memory), ("the disk", usage.stalls.io))
        waits = [
            f"for {resource} for {percent(share)} of the time"
            for resource, share in stalls
            if share is not None and share > threshold
        ]
        if waits:
            return f"processes waited {' and '.join(waits)} ({threshold_percent(threshold)})"
        observed = all(share is not None for _, share in stalls)
        return Status.PASSED if observed else Status.NOT_OBSERVED

    return on_each_host(context, evaluate)


CHECK = Check(
    "pressure",
    Level.SUSPECT,
    order=860,
    evaluate=_evaluate,
    advice="Look for what reads or writes on that host, including swap, and check whether it has"
    " enough memory.",
    thresholds=(PRESSURE_STALL_SHARE,),
    needs="the time in which processes waited for memory and the disk",
)
