"""Processes waited for memory or the disk for over 5 % of the time (`pressure_stall_share`).

On a target with cgroup v2, this is the time in which some process of the contender waited. On other
hosts, it is the time in which all processes of the host that were not idle waited.

Evidence: The host, the resource and the share of the time. A lab host without a value of the
contender shows that of the whole machine.

Why: To serve a small answer, a server waits for neither memory nor the disk. Waiting for a CPU
does not count, because a closed load always makes processes wait for one.
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
