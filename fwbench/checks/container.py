"""Checks of the contender's container: did the same processes serve for the whole run?"""

from fwbench.checks.context import Check, CheckContext, counted
from fwbench.model.observation import ContainerState
from fwbench.model.verdict import Level


def _container_stopped(context: CheckContext) -> str | None:
    moments = (
        ("before", context.observation.container_before),
        ("after", context.observation.container_after),
    )
    for moment, state in moments:
        if state is not None and not state.running:
            code = "unknown" if state.exit_code is None else str(state.exit_code)
            return f"the container was not running {moment} the load (exit code: {code})"
    return None


def _container_restarted(context: CheckContext) -> str | None:
    before, after = context.observation.container_before, context.observation.container_after
    if before is None or after is None:
        return None
    if before.restarts != after.restarts:
        return f"the engine's restart count went from {before.restarts} to {after.restarts}"
    if before.started_at != after.started_at:
        return f"the container started at {before.started_at}, and again at {after.started_at}"
    return None


def _oom_kill(context: CheckContext) -> str | None:
    """Only the kernel counts killed workers; the engine's flag is used where the count is gone."""
    states = [
        state
        for state in (context.observation.container_before, context.observation.container_after)
        if state is not None
    ]
    kills = max((state.oom_kills for state in states if state.oom_kills is not None), default=0)
    if not kills and not any(state.oom_killed for state in states):
        return None
    times = counted(kills, "time") if kills else "at least once"
    during = _during_the_load(context)
    return f"the kernel's OOM killer killed a process {times}{during}{_memory(states)}"


def _worker_replaced(context: CheckContext) -> str | None:
    if context.same_container is None:
        return None
    before, after = context.same_container
    still_there = {(process.pid, process.started_ticks) for process in after.processes}
    gone = [
        process
        for process in before.processes
        if (process.pid, process.started_ticks) not in still_there
    ]
    if not gone:
        return None
    return (
        f"{len(gone)} of the container's {len(before.processes)} processes ended during the load"
        f" (first: pid {gone[0].pid}, {gone[0].command!r:.60})"
    )


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


CHECKS = (
    Check(
        "container-stopped",
        Level.INVALID,
        _container_stopped,
        "Read container.log in the run's files for the reason why the application ended.",
    ),
    Check(
        "container-restarted",
        Level.INVALID,
        _container_restarted,
        "Read container.log in the run's files, and disable whatever restarts the container.",
    ),
    Check(
        "oom-kill",
        Level.INVALID,
        _oom_kill,
        "Raise the memory limit in the suite, or start fewer workers. Neither h2load nor"
        " `docker inspect` reports a killed worker: the other workers keep answering, and the"
        " figures look normal.",
    ),
    Check(
        "worker-replaced",
        Level.INVALID,
        _worker_replaced,
        "Read container.log in the run's files for the reason: too little memory, a worker"
        " timeout, or a maximum number of requests per worker.",
    ),
)
