"""A process of the container ended during the load.

Not checked if the container stopped or was restarted, which are findings of their own.

Evidence: The number of processes that ended, and the first of them. A process is identified by
its id and its start time, since the kernel reuses ids.

Why: A worker that ends closes its connections, and starting its successor costs CPU time.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    if context.same_container is None:
        states = (context.observation.container_before, context.observation.container_after)
        return Status.NOT_OBSERVED if None in states else Status.NOT_APPLICABLE
    before, after = context.same_container
    still_there = {(process.pid, process.started_ticks) for process in after.processes}
    gone = [
        process
        for process in before.processes
        if (process.pid, process.started_ticks) not in still_there
    ]
    if not gone:
        return Status.PASSED
    return (
        f"{len(gone)} of the container's {len(before.processes)} processes ended during the load"
        f" (first: pid {gone[0].pid}, {gone[0].command!r:.60})"
    )


CHECK = Check(
    "worker-replaced",
    Level.INVALID,
    order=230,
    evaluate=_evaluate,
    advice="Read container.log in the run's files for the reason: too little memory, a worker"
    " timeout, or a maximum number of requests per worker.",
    needs="the container's processes before and after the load",
)
