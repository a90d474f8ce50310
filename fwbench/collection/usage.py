"""Computes a host's usage from the samples of a window and the counters around it."""

from collections.abc import Mapping, Sequence

from fwbench.collection.sample_window import SampleWindow
from fwbench.collection.telemetry_file import NetworkCounters
from fwbench.model.telemetry import (
    BusyProcess,
    ContainerUsage,
    CpuShares,
    Frequency,
    HostUsage,
    LoadThread,
    NetworkUsage,
    PressureStalls,
)


def host_usage(window: SampleWindow) -> HostUsage:
    """Return the usage of a host in the window."""
    raw = window.raw
    cpus = len([name for name in raw.after.cpu_ticks if name != "cpu"])
    busiest = max(raw.processes.busiest, key=lambda process: process.cpu_s, default=None)
    return HostUsage(
        window_s=window.seconds,
        samples=window.samples,
        cpus=cpus or None,
        steal_share=_steal_of_busy(raw.before.cpu_ticks, raw.after.cpu_ticks),
        cpu=_cpu(window),
        background_cores=_background(window),
        busiest_background_process=None
        if busiest is None or window.period_s <= 0
        else BusyProcess(command=busiest.command[:60], cores=busiest.cpu_s / window.period_s),
        docker_proxy_cores=window.cores("docker_proxy_ticks", raw.ticks_per_s),
        sampler_cores=window.cores("own_cpu_ns", 1e9),
        threads=_threads(window),
        container=_container(window),
        network=_network(raw.before.network, raw.after.network),
        stalls=PressureStalls(
            cpu=window.cores("cpu_stalled_us", 1e6),
            memory=window.cores("memory_stalled_us", 1e6),
            io=window.cores("io_stalled_us", 1e6),
        ),
        frequency=_frequency(window),
    )


def _cpu(window: SampleWindow) -> CpuShares | None:
    deltas = {state: window.delta(f"{state}_ticks") for state in CpuShares.model_fields}
    # The kernel only estimates iowait, which may decrease by a tick.
    known = {state: ticks or 0.0 for state, ticks in deltas.items()}
    total = sum(known.values())
    if not total or deltas["user"] is None:
        return None
    return CpuShares(**{state: ticks / total for state, ticks in known.items()})


def _steal_of_busy(
    before: Mapping[str, Sequence[int]], after: Mapping[str, Sequence[int]]
) -> float | None:
    """Return the stolen share of the time that busy CPUs needed; None if no CPU was busy.

    A CPU is busy if it was needed more than half of the time. A sleeping virtual CPU that is woken
    counts the time until the hypervisor runs it as stolen. On an almost idle machine, this was one
    in five needed ticks, while busy CPUs lost nothing.
    """
    stolen = needed = 0
    for name in (before.keys() & after.keys()) - {"cpu"}:
        deltas = [last - first for first, last in zip(before[name], after[name], strict=False)]
        deltas += [0] * (len(CpuShares.model_fields) - len(deltas))
        ticks = dict(zip(CpuShares.model_fields, deltas, strict=False))
        idle = ticks["idle"] + ticks["iowait"]
        if (busy := sum(ticks.values()) - idle) > idle:
            needed += busy
            stolen += ticks["steal"]
    return stolen / needed if needed else None


def _background(window: SampleWindow) -> float | None:
    """Return the host's CPU usage outside the benchmark.

    Without accounting by cgroup, it is a sum over processes. The root cgroup includes kernel
    threads, which work mostly for the load, so they are subtracted.
    """
    raw = window.raw
    if raw.cpu_accounting == "none":
        background_s = raw.processes.background_s
        if background_s is None or window.period_s <= 0:
            return None
        return background_s / window.period_s
    total = window.cores("host_cpu_ns", 1e9)
    if total is None:
        return None
    benchmark = [window.cores(name, 1e9) for name in ("own_cpu_ns", "load_cpu_ns")]
    benchmark.append(window.cores("docker_proxy_ticks", raw.ticks_per_s))
    if window.at_end("container_cpu_ns") is not None:
        benchmark.append(window.cores("container_cpu_ns", 1e9))
    if any(cores is None for cores in benchmark):
        return None
    if raw.cpu_accounting == "group" and window.period_s > 0:
        benchmark.append(raw.processes.kernel_s / window.period_s)
    return max(0.0, total - sum(cores or 0.0 for cores in benchmark))


def _threads(window: SampleWindow) -> tuple[LoadThread, ...]:
    """Return the threads with at least two samples in the window."""
    seconds = window.raw.series["monotonic_s"]
    threads = []
    for thread in window.raw.threads:
        end = thread.first_sample + min(len(thread.cpu_ns), len(thread.wait_ns)) - 1
        first, last = (
            max(window.first, thread.first_sample),
            min(window.last, end, len(seconds) - 1),
        )
        if last <= first:
            continue
        began, ended = seconds[first], seconds[last]
        if began is None or ended is None or ended <= began:
            continue
        cpu, wait = (
            max(0, column[last - thread.first_sample] - column[first - thread.first_sample]) / 1e9
            for column in (thread.cpu_ns, thread.wait_ns)
        )
        duration = ended - began
        threads.append(
            LoadThread(
                tid=thread.tid,
                command=thread.command,
                cores=cpu / duration,
                wait_share=min(1.0, wait / duration),  # times by two clocks
            )
        )
    return tuple(threads)


def _container(window: SampleWindow) -> ContainerUsage | None:
    """Return the usage of the container; None for a host without one."""
    if not any(value is not None for value in window.raw.series.get("container_cpu_ns", [])):
        return None
    throttled_ns = window.delta("throttled_ns")
    before, after = window.raw.before, window.raw.after
    return ContainerUsage(
        cores=window.cores("container_cpu_ns", 1e9),
        quota_periods=_rounded(window.delta("periods")),
        throttled_periods=_rounded(window.delta("throttled_periods")),
        throttled_s=None if throttled_ns is None else throttled_ns / 1e9,
        memory_bytes=_rounded(window.at_end("container_memory_bytes")),
        memory_peak_bytes=after.memory_peak_bytes,
        memory_limit_hits=_delta(before.memory_limit_hits, after.memory_limit_hits),
        oom_kills=_delta(before.oom_kills, after.oom_kills),
    )


def _network(before: NetworkCounters, after: NetworkCounters) -> NetworkUsage:
    """Return the changes of the counters; only of devices that existed before and after."""
    tcp = {}
    for name in ("listen_overflows", "listen_drops", "retransmits", "segments_sent"):
        deltas = [_delta(before.host.get(name), after.host.get(name))]
        if before.container is not None:
            container = after.container or {}
            deltas.append(_delta(before.container.get(name), container.get(name)))
        tcp[name] = _sum(deltas)
    time_wait = [after.host.get("time_wait")]
    if after.container is not None:
        time_wait.append(after.container.get("time_wait"))
    devices = before.devices.keys() & after.devices.keys()
    columns = [
        _sum(
            [_delta(before.devices[name][column], after.devices[name][column]) for name in devices]
        )
        if devices
        else None
        for column in range(8)
    ]
    opened = (counters.host.get("connections_opened") for counters in (before, after))
    return NetworkUsage(
        **tcp,
        connections_opened=_delta(*opened),
        time_wait=_sum(time_wait),
        received_bytes=columns[0],
        sent_bytes=columns[4],
        packets=_sum([columns[1], columns[5]]),
        errors=_sum([columns[2], columns[6]]),
        drops=_sum([columns[3], columns[7]]),
    )


def _frequency(window: SampleWindow) -> Frequency | None:
    column = window.raw.series.get("fastest_mhz", [])[window.first : window.last + 1]
    known = [mhz for mhz in column if mhz is not None]
    if not known:
        return None
    return Frequency(
        min_mhz=min(known),
        mean_mhz=sum(known) / len(known),
        max_mhz=max(known),
        governors=tuple(window.raw.governors),
    )


def _delta(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None or after < before else after - before


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _rounded(number: float | None) -> int | None:
    return None if number is None else round(number)
