"""Checks of the hosts: did anything but the contender influence the measurement?"""

from fwbench.checks.context import (
    Check,
    CheckContext,
    ClientContext,
    counted,
    percent,
    threshold_percent,
)
from fwbench.model.telemetry import ContainerUsage, HostUsage
from fwbench.model.verdict import Level


def _container(context: CheckContext) -> ContainerUsage | None:
    return context.observation.target.container if context.observation.target else None


def _telemetry_missing(context: CheckContext) -> str | None:
    observation = context.observation
    if observation.failure is not None or observation.load is None:
        return None
    missing = [name for name, usage in context.hosts if usage is None]
    return f"there is no telemetry of {' and '.join(missing)}" if missing else None


def _client_saturated(context: CheckContext) -> str | None:
    threshold = context.thresholds.load_thread_cores

    def describe(client: ClientContext) -> str | None:
        threads = client.observation.usage.threads if client.observation.usage else ()
        busiest = max((thread.cores for thread in threads), default=0.0)
        if busiest <= threshold:
            return None
        saturated = sum(thread.cores > threshold for thread in threads)
        return (
            f"{counted(saturated, 'thread')} of h2load used up to {percent(busiest)} of a CPU"
            f" ({threshold_percent(threshold)}), so that h2load reads answers late"
        )

    return context.on_each_client(describe)


def _client_starved(context: CheckContext) -> str | None:
    threshold = context.thresholds.load_thread_wait_share

    def describe(client: ClientContext) -> str | None:
        threads = client.observation.usage.threads if client.observation.usage else ()
        longest = max((thread.wait_share for thread in threads), default=0.0)
        if longest <= threshold:
            return None
        return (
            f"a thread of h2load was ready to run but waited for a CPU for {percent(longest)} of"
            f" the time ({threshold_percent(threshold)}), and its answers waited with it"
        )

    return context.on_each_client(describe)


def _background_load(context: CheckContext) -> str | None:
    threshold = context.thresholds.background_cores

    def describe(usage: HostUsage) -> str | None:
        if usage.background_cores is None or usage.background_cores <= threshold:
            return None
        if usage.background_cores * usage.window_s <= context.thresholds.background_s:
            return None
        used = (
            f"processes outside the benchmark used {usage.background_cores:.2f} of a CPU"
            f" (threshold: {threshold:g})"
        )
        busiest = usage.busiest_background_process
        if busiest is None:
            return used
        if busiest.cores < usage.background_cores / 2:
            return f"{used}, most of it by several or short-lived processes"
        return f"{used}, most of it by {busiest.command!r:.60} ({busiest.cores:.2f})"

    return context.on_each_host(describe)


def _steal(context: CheckContext) -> str | None:
    threshold = context.thresholds.steal

    def describe(usage: HostUsage) -> str | None:
        stolen = usage.steal_share
        if stolen is None or stolen <= threshold:
            return None
        if stolen * usage.window_s <= context.thresholds.steal_s:
            return None
        return (
            f"the hypervisor withheld {percent(stolen, 1)} of the CPU time that busy CPUs needed"
            f" (steal; {threshold_percent(threshold)})"
        )

    return context.on_each_host(describe)


def _cpu_throttled(context: CheckContext) -> str | None:
    """A closed load uses up any quota. If the suite asks for one, this is no reason for doubt."""
    used, threshold = _container(context), context.thresholds.throttled_periods
    if used is None or not used.quota_periods or used.throttled_periods is None:
        return None
    if used.throttled_periods / used.quota_periods <= threshold:
        return None
    total = "" if used.throttled_s is None else f", {used.throttled_s:.2f} s in total"
    return (
        f"the container used up its CPU quota in {used.throttled_periods} of"
        f" {counted(used.quota_periods, 'period')} ({threshold_percent(threshold)}) and was stopped"
        f" for the rest of each{total}"
    )


def _memory_limit_hit(context: CheckContext) -> str | None:
    used = _container(context)
    if used is None or not used.memory_limit_hits:
        return None
    return (
        f"the container reached its memory limit {counted(used.memory_limit_hits, 'time')}, and the"
        " kernel had to reclaim memory"
    )


def _pressure(context: CheckContext) -> str | None:
    threshold = context.thresholds.pressure_stall_share

    def describe(usage: HostUsage) -> str | None:
        stalls = (("memory", usage.stalls.memory), ("the disk", usage.stalls.io))
        waits = [
            f"for {resource} for {percent(share)} of the time"
            for resource, share in stalls
            if share is not None and share > threshold
        ]
        if not waits:
            return None
        return f"processes waited {' and '.join(waits)} ({threshold_percent(threshold)})"

    return context.on_each_host(describe)


def _governor(context: CheckContext) -> str | None:
    threshold = context.thresholds.frequency_drop

    def describe(usage: HostUsage) -> str | None:
        clock = usage.frequency
        if clock is None or not clock.max_mhz or set(clock.governors) <= {"performance"}:
            return None
        if 1 - clock.min_mhz / clock.max_mhz <= threshold:
            return None
        return (
            f"the fastest CPU ran at {clock.min_mhz:.0f} to {clock.max_mhz:.0f} MHz"
            f" ({threshold_percent(threshold)} below the highest) under the governor"
            f" {' and '.join(clock.governors)}"
        )

    return context.on_each_host(describe)


def _sampler_overhead(context: CheckContext) -> str | None:
    threshold = context.thresholds.sampler_cores

    def describe(usage: HostUsage) -> str | None:
        cores = usage.sampler_cores
        if cores is None or cores <= threshold:
            return None
        return (
            f"fwbench's sampler used {percent(cores, 1)} of a CPU ({threshold_percent(threshold)})"
        )

    return context.on_each_host(describe)


CHECKS = (
    Check(
        "telemetry-missing",
        Level.SUSPECT,
        _telemetry_missing,
        "Find out why the sampler left no file on that host, for example because the disk is full."
        " Without telemetry, other load on the host goes unnoticed.",
    ),
    Check(
        "client-saturated",
        Level.INVALID,
        _client_saturated,
        "Raise threads in the load if the client has unused CPUs, or add a client to the rig: a"
        " host with the same fwbench_rig takes a share of the load. This run measured the load"
        " generator, not the contender.",
    ),
    Check(
        "client-starved",
        Level.INVALID,
        _client_starved,
        "Stop other processes on the client, or set threads to at most its number of CPUs.",
    ),
    Check(
        "background-load",
        Level.INVALID,
        _background_load,
        "Stop the processes, or wait until they end. Updates, backups and monitoring are common"
        " causes. If it is dockerd, make the contender log less.",
    ),
    Check(
        "steal",
        Level.INVALID,
        _steal,
        "Repeat the run at another time, or use an instance type with dedicated CPUs. Burstable and"
        " shared instances are throttled in this way.",
    ),
    Check(
        "memory-limit-hit",
        Level.SUSPECT,
        _memory_limit_hit,
        "Raise the memory limit in the suite. Reclaiming memory takes time, and an OOM kill may"
        " follow.",
    ),
    Check(
        "pressure",
        Level.SUSPECT,
        _pressure,
        "Look for what reads or writes on that host, including swap, and check whether it has"
        " enough memory.",
    ),
    Check(
        "governor",
        Level.SUSPECT,
        _governor,
        "Set the governor `performance` on that host, for example with"
        " `cpupower frequency-set -g performance`.",
    ),
    Check(
        "cpu-throttled",
        Level.NOTE,
        _cpu_throttled,
        "Set cpu_mode: pinned in the suite to measure the server without a quota. Under a quota,"
        " a request can wait up to 0.1 s, and the high percentiles show that.",
    ),
    Check(
        "sampler-overhead",
        Level.NOTE,
        _sampler_overhead,
        "Open an issue with the host's kernel version and CPU count.",
    ),
)
