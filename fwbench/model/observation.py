"""Observations: everything that a run left."""

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.figures import LoadSummary, RequestLogSummary
from fwbench.model.telemetry import ClockOffset, HostUsage


class Answer(Frozen):
    """The answer to a single request, or the error that prevented one."""

    status: int | None = None
    content_type: str | None = None
    body: str | None = Field(default=None, description="decoded; at most the first 64 KiB")
    error: str | None = None


class Process(Frozen):
    """A process of the container. The kernel reuses pids, but not with the same start time."""

    pid: int
    started_ticks: int
    command: str


class ContainerState(Frozen):
    """The state of the contender's container, from the engine and the kernel.

    Counters are None if the kernel no longer has them: an ended container has no cgroup.
    """

    running: bool
    exit_code: int | None
    started_at: str
    restarts: int
    oom_killed: bool = Field(description="the engine's flag, which is about the first process only")
    cgroup_version: int | None
    oom_kills: int | None = Field(
        description="the kernel's count, over all processes of the container"
    )
    memory_peak_bytes: int | None
    memory_limit_bytes: int | None
    processes: tuple[Process, ...]
    idle_wait_s: float | None = Field(
        default=None, description="seconds from the application's start until it was idle"
    )
    reached_idle: bool | None = None


class LoadResult(Frozen):
    """How the load generator ended, its figures and its log."""

    exit_status: int | None = Field(description="None if it was killed")
    timed_out: bool
    stderr: str
    summary: LoadSummary | None
    parse_error: str | None = Field(default=None, description="why there is no summary or log")
    log: RequestLogSummary | None


class ClientObservation(Frozen):
    """What one client of a rig left; `load` is the result of its share of the load.

    If the rig has only one client, `load` is None, and `Observation.load` has the result. The log
    of a share covers the time in which all clients loaded.
    """

    host: str
    answer_before: Answer | None = None
    answer_after: Answer | None = None
    load: LoadResult | None = None
    usage: HostUsage | None = None
    clock: ClockOffset | None = Field(default=None, description="offset from the target's clock")
    began_s: float | None = Field(
        default=None,
        description="first logged request, in epoch seconds by the first client's clock",
    )
    ended_s: float | None = Field(default=None, description="last answer, by the same clock")


class ClientOverlap(Frozen):
    """How well the loads of a rig's clients overlapped."""

    skew_s: float | None = Field(
        ge=0, description="seconds from the first client's start of the load to the last client's"
    )
    uncertainty_s: float | None = Field(
        ge=0, description="uncertainty of the skew, from reading the clocks"
    )
    overlap_s: float | None = Field(ge=0, description="seconds in which all clients loaded")


class Phases(Frozen):
    """Durations of the parts of a run; None for parts that it did not reach."""

    start_s: float | None = None
    ready_s: float | None = None
    load_s: float | None = None
    total_s: float

    @property
    def overhead_s(self) -> float | None:
        """Return the time that is neither the application's start nor its load."""
        if self.ready_s is None or self.load_s is None:
            return None
        return self.total_s - self.ready_s - self.load_s


class Observation(Frozen):
    """Everything that is known about a run. A failed run has no figures."""

    started_at: str
    offered_rate: float | None = Field(
        default=None, description="requests per second; None for a closed load"
    )
    phases: Phases
    container_before: ContainerState | None = None
    container_after: ContainerState | None = None
    load: LoadResult | None = Field(default=None, description="merged over all clients")
    target: HostUsage | None = None
    clients: tuple[ClientObservation, ...] = ()
    overlap: ClientOverlap | None = Field(default=None, description="None for one client")
    failure: str | None = Field(default=None, description="why the run ended early")
    infrastructure_failure: bool = Field(
        default=False,
        description="the cause is outside the measurement: a connection or the controller",
    )

    @property
    def overlap_s(self) -> float | None:
        """Return how long all clients loaded; None for one client."""
        return None if self.overlap is None else self.overlap.overlap_s
