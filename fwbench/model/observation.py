from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.figures import LoadSummary, RequestLogSummary
from fwbench.model.telemetry import ClockOffset, HostUsage


class Answer(Frozen):
    """What the client got when it asked once, or why it got nothing."""

    status: int | None = None
    content_type: str | None = None
    body: str | None = Field(default=None, description="decoded; at most 64 KiB are read")
    error: str | None = None


class Process(Frozen):
    """A process of the container; a pid alone may be used twice, with its start it is not."""

    pid: int
    started_ticks: int
    command: str


class ContainerState(Frozen):
    """The contender's container at one moment, as the engine and the kernel see it.

    Counters are None where the kernel no longer has them: a container that ended has no cgroup.
    """

    running: bool
    exit_code: int | None
    started_at: str
    restarts: int
    oom_killed: bool = Field(description="the engine's word: its first process alone")
    cgroup_version: int | None
    oom_kills: int | None = Field(description="the kernel's count: every process of the container")
    memory_peak_bytes: int | None
    memory_limit_bytes: int | None
    processes: tuple[Process, ...]
    idle_wait_s: float | None = Field(
        default=None, description="application's start, until it idled"
    )
    reached_idle: bool | None = None


class LoadResult(Frozen):
    """How the load generator ended and what it left."""

    exit_status: int | None = Field(description="None: it had to be killed")
    timed_out: bool
    stderr: str
    summary: LoadSummary | None
    parse_error: str | None = Field(default=None, description="why there are no figures")
    log: RequestLogSummary | None


class ClientObservation(Frozen):
    """What one client of the rig left; `load` is its share of the whole.

    That of a rig's only client is the observation's own, and None here. The log of a share is that
    of the time in which all clients loaded.
    """

    host: str
    answer_before: Answer | None = None
    answer_after: Answer | None = None
    load: LoadResult | None = None
    usage: HostUsage | None = None
    clock: ClockOffset | None = Field(default=None, description="against the target's")
    began_s: float | None = Field(
        default=None,
        description="its first logged request, in epoch seconds of the first client's clock",
    )
    ended_s: float | None = Field(default=None, description="its last answer, by the same clock")


class ClientOverlap(Frozen):
    """How far the clients of a rig loaded at the same time."""

    skew_s: float | None = Field(
        ge=0, description="from the first client's first request to that of the last one"
    )
    uncertainty_s: float | None = Field(ge=0, description="how far the reading of clocks is off")
    overlap_s: float | None = Field(ge=0, description="the time in which all loaded: the window")


class Phases(Frozen):
    """Seconds that the parts of a run took; None where it did not come to that."""

    start_s: float | None = None
    ready_s: float | None = None
    load_s: float | None = None
    total_s: float

    @property
    def overhead_s(self) -> float | None:
        """What fwbench itself costs: neither the application's start nor warm-up and load."""
        if self.ready_s is None or self.load_s is None:
            return None
        return self.total_s - self.ready_s - self.load_s


class Observation(Frozen):
    """All that a run left. A failure has no figures: it is never a number."""

    started_at: str
    offered_rate: float | None = Field(
        default=None, description="requests per second; None for a closed load"
    )
    phases: Phases
    container_before: ContainerState | None = None
    container_after: ContainerState | None = None
    load: LoadResult | None = Field(default=None, description="of all clients together")
    target: HostUsage | None = None
    clients: tuple[ClientObservation, ...] = ()
    overlap: ClientOverlap | None = Field(
        default=None, description="None where there is one client"
    )
    failure: str | None = Field(default=None, description="why it could not be executed to its end")
    infrastructure_failure: bool = Field(
        default=False,
        description="the failure lies outside the measurement: a connection or the controller",
    )

    @property
    def overlap_s(self) -> float | None:
        """Of several clients, how long all of them loaded; None where there is one."""
        return None if self.overlap is None else self.overlap.overlap_s
