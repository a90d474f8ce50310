"""During the load, the container reached its memory limit.

Not applicable without a memory limit.

Evidence: How often (`memory.failcnt`, or `max` in `memory.events`).

Why: Before it kills a process, the kernel reclaims memory: it drops pages that the application
will read again. Meanwhile, the process that asked for memory waits.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.wording import counted
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    used = context.container
    if used is not None and used.memory_limit_hits:
        return (
            f"the container reached its memory limit {counted(used.memory_limit_hits, 'time')}, and"
            " the kernel had to reclaim memory"
        )
    if context.run.trial.limits.memory is None:
        return Status.NOT_APPLICABLE
    observed = used is not None and used.memory_limit_hits is not None
    return Status.PASSED if observed else Status.NOT_OBSERVED


CHECK = Check(
    "memory-limit-hit",
    Level.SUSPECT,
    order=850,
    evaluate=_evaluate,
    advice="Raise the memory limit in the suite. Near the limit, the kernel reclaims memory, which"
    " takes time, and an OOM kill may follow.",
    needs="how often the container reached its memory limit",
)
