"""The container used up its CPU quota in more than 5 % of its periods (`throttled_periods`).

Not applicable without a quota.

Evidence: The number of periods, and the time in which its CPUs were stopped.

Why: The container then stops for the rest of the period of 0.1 s, and its requests wait. This is
only a note, because a closed load uses up any quota that a suite sets.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import counted, threshold_percent
from fwbench.model.setting import CpuMode
from fwbench.model.verdict import Level

THROTTLED_PERIODS = Threshold("throttled_periods", 0.05, "share of the quota's periods")


def _evaluate(context: CheckContext) -> Outcome:
    """A closed load uses up any quota. If the suite asks for one, this is no reason for doubt."""
    used, threshold = context.container, context.threshold(THROTTLED_PERIODS)
    if used is None or not used.quota_periods or used.throttled_periods is None:
        has_quota = context.run.trial.limits.cpu_mode is CpuMode.QUOTA
        return Status.NOT_OBSERVED if has_quota else Status.NOT_APPLICABLE
    if used.throttled_periods / used.quota_periods <= threshold:
        return Status.PASSED
    total = "" if used.throttled_s is None else f", {used.throttled_s:.2f} s in total"
    return (
        f"the container used up its CPU quota in {used.throttled_periods} of"
        f" {counted(used.quota_periods, 'period')} ({threshold_percent(threshold)}) and was stopped"
        f" for the rest of each{total}"
    )


CHECK = Check(
    "cpu-throttled",
    Level.NOTE,
    order=880,
    evaluate=_evaluate,
    advice="Set cpu_mode: pinned in the suite to measure the server without a quota. Under a"
    " quota, a request can wait up to 0.1 s, and the high percentiles show that.",
    thresholds=(THROTTLED_PERIODS,),
    needs="the periods of the CPU quota",
)
