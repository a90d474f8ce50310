"""Findings about the contender's container: did what was measured live through the run?"""

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
            how = "unknown" if state.exit_code is None else str(state.exit_code)
            return f"the container was not running {moment} the load; its exit code: {how}"
    return None


def _container_restarted(context: CheckContext) -> str | None:
    before, after = context.observation.container_before, context.observation.container_after
    if before is None or after is None:
        return None
    if before.restarts != after.restarts:
        return f"the engine's count of restarts went from {before.restarts} to {after.restarts}"
    if before.started_at != after.started_at:
        return f"the container started at {before.started_at}, and again at {after.started_at}"
    return None


def _oom_kill(context: CheckContext) -> str | None:
    """The kernel's count, which alone knows of workers; the engine's word where that is gone."""
    states = [
        state
        for state in (context.observation.container_before, context.observation.container_after)
        if state is not None
    ]
    kills = max((state.oom_kills for state in states if state.oom_kills is not None), default=0)
    if not kills and not any(state.oom_killed for state in states):
        return None
    killed = counted(kills, "time") if kills else "at least once"
    during = _during_the_load(context)
    return f"the kernel killed a process for lack of memory {killed}{during}{_memory(states)}"


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
        f" (the first: pid {gone[0].pid}, {gone[0].command!r:.60})"
    )


def _during_the_load(context: CheckContext) -> str:
    if context.same_container is None:
        return ""
    before, after = context.same_container
    if before.oom_kills is None or after.oom_kills is None:
        return ""
    return f", {after.oom_kills - before.oom_kills} of these during the load"


def _memory(states: list[ContainerState]) -> str:
    """The last state that knows has the last word: a container that ended has no counters."""
    for state in reversed(states):
        if state.memory_peak_bytes is not None and state.memory_limit_bytes is not None:
            peak, limit = _mebibytes(state.memory_peak_bytes), _mebibytes(state.memory_limit_bytes)
            return f"; memory went up to {peak} of {limit}"
    return ""


def _mebibytes(number: int) -> str:
    return f"{number / 2**20:.1f} MiB"


CHECKS = (
    Check(
        "container-stopped",
        Level.INVALID,
        _container_stopped,
        "Read the container's log among the run's files: it says why the application ended.",
    ),
    Check(
        "container-restarted",
        Level.INVALID,
        _container_restarted,
        "Read the container's log among the run's files, and keep restart policies off it.",
    ),
    Check(
        "oom-kill",
        Level.INVALID,
        _oom_kill,
        "Raise the memory limit in the suite, or start fewer workers. Neither h2load nor"
        " `docker inspect` tells of a killed worker: the rest answers on, and the figures look"
        " whole.",
    ),
    Check(
        "worker-replaced",
        Level.INVALID,
        _worker_replaced,
        "Find out in the container's log why workers end: too little memory, a worker timeout, or"
        " a maximum of requests per worker.",
    ),
)
