"""The frequency of the host's fastest CPU varied by more than 10 % (`frequency_drop`).

The governor is not `performance`. Most virtual machines provide neither frequency nor governor.

Evidence: The lowest and highest frequency during the load, and the governor.

Why: The speed of a server then depends on what the host did before.
"""

from fwbench.checks.support.check import Check, Outcome, Status, on_each_host
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import threshold_percent
from fwbench.model.telemetry import HostUsage
from fwbench.model.verdict import Level

FREQUENCY_DROP = Threshold("frequency_drop", 0.1, "share of the fastest CPU's highest frequency")


def _evaluate(context: CheckContext) -> Outcome:
    threshold = context.threshold(FREQUENCY_DROP)

    def evaluate(usage: HostUsage) -> Outcome:
        clock = usage.frequency
        if clock is None or not clock.max_mhz or not clock.governors:
            return Status.NOT_OBSERVED
        if set(clock.governors) == {"performance"}:
            return Status.PASSED
        if 1 - clock.min_mhz / clock.max_mhz <= threshold:
            return Status.PASSED
        return (
            f"the fastest CPU ran at {clock.min_mhz:.0f} to {clock.max_mhz:.0f} MHz"
            f" ({threshold_percent(threshold)} below the highest) under the governor"
            f" {' and '.join(clock.governors)}"
        )

    return on_each_host(context, evaluate)


CHECK = Check(
    "governor",
    Level.SUSPECT,
    order=870,
    evaluate=_evaluate,
    advice="Set the governor `performance` on that host, for example with `cpupower"
    " frequency-set -g performance`.",
    thresholds=(FREQUENCY_DROP,),
    needs="the CPU's frequency",
)
