"""Findings about the hosts: was anything but the contender measured?"""

from fwbench.checks.context import Check, CheckContext, ClientContext, counted
from fwbench.model.telemetry import ContainerUsage, HostUsage
from fwbench.model.verdict import Level


def _container(context: CheckContext) -> ContainerUsage | None:
    return context.observation.target.container if context.observation.target else None


def _telemetry_missing(context: CheckContext) -> str | None:
    seen = context.observation
    if seen.failure is not None or seen.load is None:
        return None
    missing = [name for name, usage in context.hosts if usage is None]
    return f"there is no telemetry of {' and '.join(missing)}" if missing else None


def _client_saturated(context: CheckContext) -> str | None:
    limit = context.thresholds.load_thread_cores

    def describe(share: ClientContext) -> str | None:
        threads = share.observation.usage.threads if share.observation.usage else ()
        busiest = max((thread.cores for thread in threads), default=0.0)
        if busiest <= limit:
            return None
        saturated = sum(thread.cores > limit for thread in threads)
        return (
            f"{counted(saturated, 'thread')} of h2load had a CPU for up to {busiest:.0%} of the"
            f" time; its times are too long from about {limit:.0%} on"
        )

    return context.on_each_client(describe)


def _client_starved(context: CheckContext) -> str | None:
    def describe(share: ClientContext) -> str | None:
        threads = share.observation.usage.threads if share.observation.usage else ()
        longest = max((thread.wait_share for thread in threads), default=0.0)
        if longest <= context.thresholds.load_thread_wait_share:
            return None
        return (
            f"a thread of h2load was ready and had to wait for a CPU for {longest:.0%} of the time,"
            f" and every answer that came meanwhile with it"
        )

    return context.on_each_client(describe)


def _background_load(context: CheckContext) -> str | None:
    def describe(usage: HostUsage) -> str | None:
        if (
            usage.background_cores is None
            or usage.background_cores <= context.thresholds.background_cores
        ):
            return None
        if usage.background_cores * usage.window_s <= context.thresholds.background_s:
            return None
        said = (
            f"processes that have nothing to do with it used {usage.background_cores:.2f} of a core"
        )
        busiest = usage.busiest_background_process
        if busiest is None:
            return said
        if busiest.cores < usage.background_cores / 2:
            return f"{said}, most of it by several or by some that came and went"
        return f"{said}, most of all {busiest.command!r:.60} ({busiest.cores:.2f})"

    return context.on_each_host(describe)


def _steal(context: CheckContext) -> str | None:
    def describe(usage: HostUsage) -> str | None:
        stolen = usage.steal_share
        if stolen is None or stolen <= context.thresholds.steal:
            return None
        if stolen * usage.window_s <= context.thresholds.steal_s:
            return None
        return (
            f"the hypervisor ran something else for {stolen:.1%} of the time in which busy CPUs"
            " were due"
        )

    return context.on_each_host(describe)


def _cpu_throttled(context: CheckContext) -> str | None:
    """A closed load uses up any quota: asked for, this is the normal state, and no doubt."""
    used = _container(context)
    if used is None or not used.quota_periods or used.throttled_periods is None:
        return None
    share = used.throttled_periods / used.quota_periods
    if share <= context.thresholds.throttled_periods:
        return None
    lost = "" if used.throttled_s is None else f", {used.throttled_s:.2f} s in all"
    return (
        f"the container had used up its CPU quota in {used.throttled_periods} of"
        f" {counted(used.quota_periods, 'period')} and stood still for the rest of each{lost}"
    )


def _memory_limit_hit(context: CheckContext) -> str | None:
    used = _container(context)
    if used is None or not used.memory_limit_hits:
        return None
    return (
        "the container wanted more memory than its limit"
        f" {counted(used.memory_limit_hits, 'time')}, and the kernel had to make room"
    )


def _pressure(context: CheckContext) -> str | None:
    def describe(usage: HostUsage) -> str | None:
        stalls = (("memory", usage.stalls.memory), ("the disk", usage.stalls.io))
        found = [
            f"for {what} {share:.0%} of the time"
            for what, share in stalls
            if share is not None and share > context.thresholds.pressure_stall_share
        ]
        return f"work had to wait {' and '.join(found)}" if found else None

    return context.on_each_host(describe)


def _governor(context: CheckContext) -> str | None:
    def describe(usage: HostUsage) -> str | None:
        clock = usage.frequency
        if clock is None or not clock.max_mhz or set(clock.governors) <= {"performance"}:
            return None
        if 1 - clock.min_mhz / clock.max_mhz <= context.thresholds.frequency_drop:
            return None
        return (
            f"the fastest CPU ran at {clock.min_mhz:.0f} to {clock.max_mhz:.0f} MHz under the"
            f" governor {' and '.join(clock.governors)}"
        )

    return context.on_each_host(describe)


def _sampler_overhead(context: CheckContext) -> str | None:
    def describe(usage: HostUsage) -> str | None:
        cores = usage.sampler_cores
        if cores is None or cores <= context.thresholds.sampler_cores:
            return None
        return f"fwbench's own sampler used {cores:.1%} of a core"

    return context.on_each_host(describe)


CHECKS = (
    Check(
        "telemetry-missing",
        Level.SUSPECT,
        _telemetry_missing,
        "Find out why the sampler left nothing on that host, a full disk for one; until then nobody"
        " knows what else went on there.",
    ),
    Check(
        "client-saturated",
        Level.INVALID,
        _client_saturated,
        "Give the load more threads if the client has CPUs for them, or add a client to the rig: a"
        " host with the same fwbench_rig, which takes its share of the load. What was measured is"
        " the load generator.",
    ),
    Check(
        "client-starved",
        Level.INVALID,
        _client_starved,
        "Stop what else runs on the client, or give the load no more threads than the client has"
        " CPUs.",
    ),
    Check(
        "background-load",
        Level.INVALID,
        _background_load,
        "Stop the process that is named, or what runs there again and again, or wait until it is"
        " done: updates, backups and monitoring are common ones. If it is dockerd, let the"
        " contender log less.",
    ),
    Check(
        "steal",
        Level.INVALID,
        _steal,
        "Repeat the run at another time, or take an instance whose CPUs are its own: burstable and"
        " shared ones are throttled like this.",
    ),
    Check(
        "memory-limit-hit",
        Level.SUSPECT,
        _memory_limit_hit,
        "Raise the memory limit in the suite: making room takes time, and a kill is next.",
    ),
    Check(
        "pressure",
        Level.SUSPECT,
        _pressure,
        "Look for what reads or writes there, swap included, or whether memory is too small.",
    ),
    Check(
        "governor",
        Level.SUSPECT,
        _governor,
        "Set the governor `performance` on that host, for instance with `cpupower frequency-set`.",
    ),
    Check(
        "cpu-throttled",
        Level.NOTE,
        _cpu_throttled,
        "Read the high percentiles as those of a quota, which holds requests for up to a tenth of a"
        " second; pin the container to whole CPUs instead (cpu_mode: pinned) to see the server's.",
    ),
    Check(
        "sampler-overhead",
        Level.NOTE,
        _sampler_overhead,
        "Please report it with the host's kernel and number of CPUs.",
    ),
)
