"""The file that a host's sampler leaves."""

from typing import Annotated

from pydantic import Field

from fwbench.model.base import Frozen

Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Tcp = dict[str, Count | None]


class NetworkCounters(Frozen):
    """TCP of the host and of the container, unless that shares it; bytes and more of devices."""

    host: Tcp
    container: Tcp | None
    devices: dict[str, tuple[Count, Count, Count, Count, Count, Count, Count, Count]]


class Counters(Frozen):
    """What is read at the start and at the end alone."""

    monotonic_s: Number
    cpu_ticks: dict[str, list[Count]]
    network: NetworkCounters
    memory_peak_bytes: Count | None
    memory_limit_hits: Count | None
    oom_kills: Count | None


class BackgroundProcess(Frozen):
    """A process that is not measured, and the CPU that it used."""

    pid: int
    command: str
    cpu_s: Number


class ProcessUsage(Frozen):
    """The CPU that processes used between start and end."""

    background_s: Number | None
    kernel_s: Number
    docker_proxy_s: Number
    busiest: list[BackgroundProcess]


class ThreadSeries(Frozen):
    """A thread of the load generator, from the sample `first` on until it was gone."""

    tid: int
    command: str
    first: int = Field(ge=0)
    cpu_ns: list[Count]
    wait_ns: list[Count]


class TelemetryFile(Frozen):
    """The file as the agent writes it: each list of the series has an entry for each sample."""

    interval_s: Number
    ticks_per_s: int = Field(ge=1)
    cpu_accounting: str
    governors: list[str]
    before: Counters
    after: Counters
    processes: ProcessUsage
    series: dict[str, list[Number | None]]
    threads: list[ThreadSeries]
