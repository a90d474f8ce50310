"""On the target, an accept queue overflowed, or the kernel dropped connection attempts.

Evidence: Both numbers, for the container's and the host's network together.

Why: The client tries again after 1 s, then 2 s, then 4 s. With a backlog of 8 and 100
connections, connecting took 2.8 s and one request 54 s, while h2load printed `0 failed`.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.wording import counted
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    target = context.observation.target
    if target is None:
        return Status.NOT_OBSERVED
    overflows, drops = target.network.listen_overflows, target.network.listen_drops
    if not overflows and not drops:
        return Status.NOT_OBSERVED if None in (overflows, drops) else Status.PASSED
    return (
        f"the target's accept queue overflowed {counted(overflows or 0, 'time')}, and the kernel"
        f" dropped {counted(drops or 0, 'connection attempt')}"
    )


CHECK = Check(
    "listen-overflow",
    Level.INVALID,
    order=900,
    evaluate=_evaluate,
    advice="Raise the server's backlog and net.core.somaxconn above the number of connections. A"
    " client repeats a dropped connection attempt only after a second or more.",
    needs="the target's counters of its accept queues",
)
