"""The hypervisor withheld over 1 % of the CPU time that the host's busy CPUs needed (`steal`).

It also withheld more than 0.02 s of one CPU (`steal_s`). A CPU is busy if it is needed more than
half of the time. If no CPU was busy, the check is not applicable.

Evidence: The host and the share. A lab host shows the steal of the whole machine.

Why: Another virtual machine slows the server down.

Idle CPUs do not count, because the kernel counts the time for waking an idle CPU as steal too. On
an almost idle machine, this was up to a fifth of the CPU time needed, while busy CPUs lost nothing.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_host
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import percent, threshold_percent
from fwbench.model.telemetry import HostUsage
from fwbench.model.verdict import Level

STEAL = Threshold("steal", 0.01, "share of the CPU time that busy CPUs needed")
STEAL_S = Threshold("steal_s", 0.02, "seconds of one CPU; the kernel counts in hundredths")


def _evaluate(context: CheckContext) -> Outcome:
    threshold = context.threshold(STEAL)

    def evaluate(usage: HostUsage) -> Outcome:
        stolen = usage.steal_share
        if stolen is None:  # also if no CPU was busy
            return Status.NOT_OBSERVED if usage.cpu is None else Status.NOT_APPLICABLE
        if stolen <= threshold or stolen * usage.window_s <= context.threshold(STEAL_S):
            return Status.PASSED
        return (
            f"the hypervisor withheld {percent(stolen, 1)} of the CPU time that busy CPUs needed"
            f" (steal; {threshold_percent(threshold)})"
        )

    return on_each_host(context, evaluate)


CHECK = Check(
    "steal",
    Level.INVALID,
    order=840,
    evaluate=_evaluate,
    advice="Repeat the run at another time, or use an instance type with dedicated CPUs."
    " Clouds withhold CPU time from burstable and shared instances.",
    thresholds=(STEAL, STEAL_S),
    needs="the CPU time that the hypervisor withheld",
)
