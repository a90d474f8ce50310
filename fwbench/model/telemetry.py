"""Telemetry of the hosts during a load. A value that a host does not provide is None, never 0."""

from typing import Annotated

from pydantic import Field

from fwbench.model.base import Frozen

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class CpuShares(Frozen):
    """CPU time by state, as shares of all CPUs' time. A lab host shows the whole machine."""

    user: Amount
    nice: Amount
    system: Amount
    idle: Amount
    iowait: Amount
    irq: Amount
    softirq: Amount
    steal: Amount = Field(description="withheld by the hypervisor")


class BusyProcess(Frozen):
    """The process outside the benchmark that used most CPU."""

    command: str
    cores: Amount


class LoadThread(Frozen):
    """A thread of the load generator."""

    tid: int
    command: str
    cores: Amount = Field(description="1 is one CPU all the time")
    wait_share: Amount = Field(
        description="share of the time in which it was ready to run, but had no CPU"
    )


class ContainerUsage(Frozen):
    """Usage of the contender's cgroup.

    `memory_peak_bytes`, `memory_limit_hits` and `oom_kills` also cover the time before the window.
    """

    cores: Amount | None = None
    quota_periods: Count | None = Field(
        default=None, description="periods of the CPU quota within the window"
    )
    throttled_periods: Count | None = Field(
        default=None, description="periods in which the quota was used up"
    )
    throttled_s: Amount | None = Field(default=None, description="seconds, summed over CPUs")
    memory_bytes: Count | None = Field(default=None, description="at the window's end")
    memory_peak_bytes: Count | None = None
    memory_limit_hits: Count | None = Field(
        default=None, description="how often it reached its memory limit"
    )
    oom_kills: Count | None = None


class NetworkUsage(Frozen):
    """TCP and network devices, from shortly before the load until shortly after it.

    On a target, TCP counters are the sum of the host's and the container's, except
    `connections_opened`.
    """

    listen_overflows: Count | None = None
    listen_drops: Count | None = None
    retransmits: Count | None = None
    segments_sent: Count | None = None
    connections_opened: Count | None = Field(
        default=None, description="by the host, to any address"
    )
    time_wait: Count | None = Field(
        default=None, description="sockets in state TIME_WAIT at the end"
    )
    received_bytes: Count | None = None
    sent_bytes: Count | None = None
    packets: Count | None = None
    errors: Count | None = None
    drops: Count | None = None


class PressureStalls(Frozen):
    """Pressure stall information: shares of the time in which processes waited for a resource.

    For memory and I/O, this is the time in which some process of the container waited; without
    such counters, the time in which all processes of the host that were not idle waited.
    """

    cpu: Amount | None = Field(default=None, description="some process of the host waited")
    memory: Amount | None = None
    io: Amount | None = None


class Frequency(Frozen):
    """Clock frequency of the fastest CPU, since idle CPUs may clock down."""

    min_mhz: Amount
    mean_mhz: Amount
    max_mhz: Amount
    governors: tuple[str, ...]


class HostUsage(Frozen):
    """Telemetry of a host while the load was measured."""

    window_s: Amount
    samples: int = Field(ge=2)
    cpus: int | None = Field(default=None, ge=1)
    steal_share: Amount | None = Field(
        default=None,
        description="share of the CPU time that busy CPUs needed, withheld by the hypervisor",
    )
    cpu: CpuShares | None = None
    background_cores: Amount | None = Field(
        default=None,
        description="outside contender, load generator, docker-proxy and fwbench's sampler",
    )
    busiest_background_process: BusyProcess | None = None
    docker_proxy_cores: Amount | None = None
    sampler_cores: Amount | None = None
    threads: tuple[LoadThread, ...] = ()
    container: ContainerUsage | None = None
    network: NetworkUsage = NetworkUsage()
    stalls: PressureStalls = PressureStalls()
    frequency: Frequency | None = None


class ClockOffset(Frozen):
    """Offset of the client's clock from the target's, and its uncertainty, in seconds."""

    client_minus_target_s: float = Field(allow_inf_nan=False)
    uncertainty_s: Amount
