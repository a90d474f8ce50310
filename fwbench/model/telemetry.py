"""What the hosts did during a load. What a host does not tell is None, never 0."""

from typing import Annotated

from pydantic import Field

from fwbench.model.base import Frozen

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class CpuShares(Frozen):
    """What all CPUs of a host did, as shares of their time; a lab host tells of its machine."""

    user: Amount
    nice: Amount
    system: Amount
    idle: Amount
    iowait: Amount
    irq: Amount
    softirq: Amount
    steal: Amount = Field(description="the hypervisor ran something else")


class BusyProcess(Frozen):
    """The process that used most CPU of those that are not measured."""

    command: str
    cores: Amount


class LoadThread(Frozen):
    """A thread of the load generator."""

    tid: int
    command: str
    cores: Amount = Field(description="1: it had a CPU all the time")
    wait_share: Amount = Field(description="share of the time in which it was ready and had no CPU")


class ContainerUsage(Frozen):
    """What the contender's control group used; the last five count from before the window."""

    cores: Amount | None = None
    quota_periods: Count | None = Field(
        default=None, description="of the CPU quota, within the window"
    )
    throttled_periods: Count | None = Field(default=None, description="the quota was used up")
    throttled_s: Amount | None = Field(default=None, description="over all its CPUs")
    memory_bytes: Count | None = Field(default=None, description="at the window's end")
    memory_peak_bytes: Count | None = None
    memory_limit_hits: Count | None = Field(
        default=None, description="it wanted more memory than that"
    )
    oom_kills: Count | None = None


class NetworkUsage(Frozen):
    """TCP and devices, from shortly before the load until shortly after it.

    On a target TCP is the host's and the container's together, but for what was opened.
    """

    listen_overflows: Count | None = None
    listen_drops: Count | None = None
    retransmits: Count | None = None
    segments_sent: Count | None = None
    connections_opened: Count | None = Field(default=None, description="by the host, to anywhere")
    time_wait: Count | None = Field(default=None, description="sockets in that state at the end")
    received_bytes: Count | None = None
    sent_bytes: Count | None = None
    packets: Count | None = None
    errors: Count | None = None
    drops: Count | None = None


class PressureStalls(Frozen):
    """Shares of the time spent waiting.

    For memory and the disk: the time in which some of the container had to, where that is told,
    else the time in which everything on the host had to that was not idle.
    """

    cpu: Amount | None = Field(default=None, description="something on the host had to wait")
    memory: Amount | None = None
    io: Amount | None = None


class Frequency(Frozen):
    """The clock of the fastest CPU; an idle one may go as slowly as it likes."""

    min_mhz: Amount
    mean_mhz: Amount
    max_mhz: Amount
    governors: tuple[str, ...]


class HostUsage(Frozen):
    """What one host did while the load was measured."""

    window_s: Amount
    samples: int = Field(ge=2)
    cpus: int | None = Field(default=None, ge=1)
    steal_share: Amount | None = Field(
        default=None,
        description="share of the time in which its busy CPUs were wanted that the hypervisor took",
    )
    cpu: CpuShares | None = None
    background_cores: Amount | None = Field(
        default=None, description="neither measured, nor docker-proxy, nor fwbench's sampler"
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
    """By how much the client's clock is ahead of the target's."""

    client_minus_target_s: float = Field(allow_inf_nan=False)
    uncertainty_s: Amount
