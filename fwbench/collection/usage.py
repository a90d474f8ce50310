"""What the chosen samples and the counters around them mean."""

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


def host_usage(chosen: SampleWindow) -> HostUsage:
    """The summary of what a host did."""
    raw = chosen.raw
    cpus = len([name for name in raw.after.cpu_ticks if name != "cpu"])
    busiest = max(raw.processes.busiest, key=lambda process: process.cpu_s, default=None)
    return HostUsage(
        window_s=chosen.seconds,
        samples=chosen.samples,
        cpus=cpus or None,
        steal_share=_steal_of_busy(raw.before.cpu_ticks, raw.after.cpu_ticks),
        cpu=_cpu(chosen),
        background_cores=_background(chosen),
        busiest_background_process=None
        if busiest is None or chosen.period_s <= 0
        else BusyProcess(command=busiest.command[:60], cores=busiest.cpu_s / chosen.period_s),
        docker_proxy_cores=chosen.cores("docker_proxy_ticks", raw.ticks_per_s),
        sampler_cores=chosen.cores("own_cpu_ns", 1e9),
        threads=_threads(chosen),
        container=_container(chosen),
        network=_network(raw.before.network, raw.after.network),
        stalls=PressureStalls(
            cpu=chosen.cores("cpu_stalled_us", 1e6),
            memory=chosen.cores("memory_stalled_us", 1e6),
            io=chosen.cores("io_stalled_us", 1e6),
        ),
        frequency=_frequency(chosen),
    )


def _cpu(chosen: SampleWindow) -> CpuShares | None:
    grown = {state: chosen.delta(f"{state}_ticks") for state in CpuShares.model_fields}
    # Iowait may go back by a tick; what the kernel counts there is a guess anyway.
    known = {state: ticks or 0.0 for state, ticks in grown.items()}
    total = sum(known.values())
    if not total or grown["user"] is None:
        return None
    return CpuShares(**{state: ticks / total for state, ticks in known.items()})


def _steal_of_busy(
    before: Mapping[str, Sequence[int]], after: Mapping[str, Sequence[int]]
) -> float | None:
    """Of CPUs that were wanted half of the time or more; None if there was none.

    A virtual CPU that sleeps and is woken counts the time until the hypervisor runs it as stolen:
    one in five wanted ticks was, on an idle machine whose busy CPUs lost nothing.
    """
    stolen = wanted = 0
    for name in (before.keys() & after.keys()) - {"cpu"}:
        grown = [last - first for first, last in zip(before[name], after[name], strict=False)]
        grown += [0] * (len(CpuShares.model_fields) - len(grown))
        ticks = dict(zip(CpuShares.model_fields, grown, strict=False))
        idle = ticks["idle"] + ticks["iowait"]
        if (busy := sum(ticks.values()) - idle) > idle:
            wanted += busy
            stolen += ticks["steal"]
    return stolen / wanted if wanted else None


def _background(chosen: SampleWindow) -> float | None:
    """What is left of the host's CPU time; where its groups do not tell, a sum over processes.

    The control group that everything is in holds the kernel's threads too. What they do, they do
    mostly for the load; it is taken off.
    """
    raw = chosen.raw
    if raw.cpu_accounting == "none":
        others_s = raw.processes.background_s
        return None if others_s is None or chosen.period_s <= 0 else others_s / chosen.period_s
    whole = chosen.cores("host_cpu_ns", 1e9)
    if whole is None:
        return None
    own = [chosen.cores(name, 1e9) for name in ("own_cpu_ns", "load_cpu_ns")]
    ours = [*own, chosen.cores("docker_proxy_ticks", raw.ticks_per_s)]
    if chosen.at_end("container_cpu_ns") is not None:
        ours.append(chosen.cores("container_cpu_ns", 1e9))
    if any(cores is None for cores in ours):
        return None
    if raw.cpu_accounting == "group" and chosen.period_s > 0:
        ours.append(raw.processes.kernel_s / chosen.period_s)
    return max(0.0, whole - sum(cores or 0.0 for cores in ours))


def _threads(chosen: SampleWindow) -> tuple[LoadThread, ...]:
    """The threads that were seen twice within the samples that count."""
    seconds = chosen.raw.series["monotonic_s"]
    found = []
    for thread in chosen.raw.threads:
        end = thread.first + min(len(thread.cpu_ns), len(thread.wait_ns)) - 1
        first, last = max(chosen.first, thread.first), min(chosen.last, end, len(seconds) - 1)
        if last <= first:
            continue
        began, ended = seconds[first], seconds[last]
        if began is None or ended is None or ended <= began:
            continue
        cpu, wait = (
            max(0, counted[last - thread.first] - counted[first - thread.first]) / 1e9
            for counted in (thread.cpu_ns, thread.wait_ns)
        )
        spent = ended - began
        found.append(
            LoadThread(
                tid=thread.tid, command=thread.command, cores=cpu / spent, wait_share=wait / spent
            )
        )
    return tuple(found)


def _container(chosen: SampleWindow) -> ContainerUsage | None:
    """None for a host that had none to be sampled."""
    if not any(value is not None for value in chosen.raw.series.get("container_cpu_ns", [])):
        return None
    throttled_ns = chosen.delta("throttled_ns")
    before, after = chosen.raw.before, chosen.raw.after
    return ContainerUsage(
        cores=chosen.cores("container_cpu_ns", 1e9),
        quota_periods=_whole(chosen.delta("periods")),
        throttled_periods=_whole(chosen.delta("throttled_periods")),
        throttled_s=None if throttled_ns is None else throttled_ns / 1e9,
        memory_bytes=_whole(chosen.at_end("container_memory_bytes")),
        memory_peak_bytes=after.memory_peak_bytes,
        memory_limit_hits=_delta(before.memory_limit_hits, after.memory_limit_hits),
        oom_kills=_delta(before.oom_kills, after.oom_kills),
    )


def _network(before: NetworkCounters, after: NetworkCounters) -> NetworkUsage:
    """What grew; of devices that were there all the while."""
    tcp = {}
    for name in ("listen_overflows", "listen_drops", "retransmits", "segments_sent"):
        grown = [_delta(before.host.get(name), after.host.get(name))]
        if before.container is not None:
            there = after.container or {}
            grown.append(_delta(before.container.get(name), there.get(name)))
        tcp[name] = _sum(grown)
    waiting = [after.host.get("time_wait")]
    if after.container is not None:
        waiting.append(after.container.get("time_wait"))
    both = before.devices.keys() & after.devices.keys()
    kinds = [
        _sum([_delta(before.devices[name][at], after.devices[name][at]) for name in both])
        if both
        else None
        for at in range(8)
    ]
    opened = (side.host.get("connections_opened") for side in (before, after))
    return NetworkUsage(
        **tcp,
        connections_opened=_delta(*opened),
        time_wait=_sum(waiting),
        received_bytes=kinds[0],
        sent_bytes=kinds[4],
        packets=_sum([kinds[1], kinds[5]]),
        errors=_sum([kinds[2], kinds[6]]),
        drops=_sum([kinds[3], kinds[7]]),
    )


def _frequency(chosen: SampleWindow) -> Frequency | None:
    column = chosen.raw.series.get("fastest_mhz", [])[chosen.first : chosen.last + 1]
    known = [mhz for mhz in column if mhz is not None]
    if not known:
        return None
    return Frequency(
        min_mhz=min(known),
        mean_mhz=sum(known) / len(known),
        max_mhz=max(known),
        governors=tuple(chosen.raw.governors),
    )


def _delta(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None or after < before else after - before


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)
