"""The format of the telemetry file that a host's sampler writes."""

from typing import Annotated

from pydantic import Field

from fwbench.model.base import Frozen

Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Tcp = dict[str, Count | None]


class NetworkCounters(Frozen):
    """TCP counters of the host and of a container with its own network; counters of devices."""

    host: Tcp
    container: Tcp | None
    devices: dict[str, tuple[Count, Count, Count, Count, Count, Count, Count, Count]]


class Counters(Frozen):
    """Counters that are read only at the start and at the end."""

    monotonic_s: Number
    cpu_ticks: dict[str, list[Count]]
    network: NetworkCounters
    memory_peak_bytes: Count | None
    memory_limit_hits: Count | None
    oom_kills: Count | None


class BackgroundProcess(Frozen):
    """A process outside the benchmark, and its CPU time."""

    pid: int
    command: str
    cpu_s: Number


class ProcessUsage(Frozen):
    """CPU time of processes between start and end."""

    background_s: Number | None
    kernel_s: Number
    docker_proxy_s: Number
    busiest: list[BackgroundProcess]


class ThreadSeries(Frozen):
    """A thread of the load generator, from the sample `first_sample` on until it ended."""

    tid: int
    command: str
    first_sample: int = Field(ge=0)
    cpu_ns: list[Count]
    wait_ns: list[Count]


class TelemetryFile(Frozen):
    """The whole file; each list of `series` has an entry for each sample."""

    interval_s: Number
    ticks_per_s: int = Field(ge=1)
    cpu_accounting: str
    governors: list[str]
    before: Counters
    after: Counters
    processes: ProcessUsage
    series: dict[str, list[Number | None]]
    threads: list[ThreadSeries]
