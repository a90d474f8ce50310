"""The kernel's OOM killer killed a process of the container, because its memory was exhausted.

Evidence: The number of kills in total and during the load, the peak memory and the limit.

Why: The published comparison of Flask and FastAPI was measured in this state: workers were killed
and restarted almost a hundred times. h2load printed `0 failed`. `docker inspect` reported neither
an OOM kill nor a restart, because the container's first process survived. Only the counter of the
container's cgroup shows the kills. Kills before the load count too: the load then measures the
surviving workers.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.wording import counted
from fwbench.model.observation import ContainerState
from fwbench.model.verdict import Level


def _evaluate(context: CheckContext) -> Outcome:
    """Only the kernel counts killed workers; the engine's flag is used where the count is gone."""
    before, after = context.observation.container_before, context.observation.container_after
    states = [state for state in (before, after) if state is not None]
    kills = max((state.oom_kills for state in states if state.oom_kills is not None), default=0)
    if not kills and not any(state.oom_killed for state in states):
        counted_to_the_end = after is not None and after.oom_kills is not None
        return Status.PASSED if counted_to_the_end else Status.NOT_OBSERVED
    times = counted(kills, "time") if kills else "at least once"
    during = _during_the_load(context)
    return f"the kernel's OOM killer killed a process {times}{during}{_memory(states)}"


def _during_the_load(context: CheckContext) -> str:
    if context.same_container is None:
        return ""
    before, after = context.same_container
    if before.oom_kills is None or after.oom_kills is None:
        return ""
    return f", {after.oom_kills - before.oom_kills} of them during the load"


def _memory(states: list[ContainerState]) -> str:
    """Return peak and limit from the last state that has them; an ended container has none."""
    for state in reversed(states):
        if state.memory_peak_bytes is not None and state.memory_limit_bytes is not None:
            peak, limit = _mebibytes(state.memory_peak_bytes), _mebibytes(state.memory_limit_bytes)
            return f"; peak memory {peak}, limit {limit}"
    return ""


def _mebibytes(number: int) -> str:
    return f"{number / 2**20:.1f} MiB"


CHECK = Check(
    "oom-kill",
    Level.INVALID,
    order=220,
    evaluate=_evaluate,
    advice="Raise the memory limit in the suite, or start fewer workers. Neither h2load nor"
    " `docker inspect` reports a killed worker: the other workers keep answering, and the"
    " figures look normal.",
    needs="the kernel's count of OOM kills",
)
