from pydantic import Field

from fwbench.model.base import Frozen


class Thresholds(Frozen):
    """Where a figure begins to count as a reason for doubt; a suite may set each."""

    failed_requests: float = Field(
        default=0.0, ge=0, le=1, description="share that may fail or be answered by another status"
    )
    too_short_s: float = Field(default=1.0, description="CPython's throughput is flat after it")
    completion_gap_s: float = Field(default=1.0, description="a time in which nothing was answered")
    connections_over_headline: float = Field(
        default=1.02, description="1.000 in sound runs, 2.0 in one whose server was killed half-way"
    )
    connection_mean_off: float = Field(default=0.02, description="as a share of the throughput")
    achieved_rate: float = Field(default=0.99, description="as a share of the offered rate")
    slow_start: float = Field(default=0.1, description="as a share of the later throughput")
    drift: float = Field(default=0.05, description="over the window, as a share of the throughput")
    stationarity_p: float = Field(
        default=0.01, description="with it, one steady window in a hundred is called unsteady"
    )
    stall_s: float = Field(default=0.2, description="twice the period of a CPU quota")
    stall_share: float = Field(default=0.1, description="of the usual throughput")
    load_thread_cores: float = Field(
        default=0.7, description="h2load's p99 is 20 % too long there, its mean right to 95 %"
    )
    load_thread_wait_share: float = Field(
        default=0.1, description="share of the time, so of the answers; 0.01 to 0.08 in a lab"
    )
    background_cores: float = Field(
        default=0.05, description="of one CPU, the one that a contender is pinned to; 0.001 at rest"
    )
    background_s: float = Field(
        default=0.1, description="CPU time in all: what begins and ends a run takes some hundredths"
    )
    steal: float = Field(default=0.01, description="share of what busy CPUs were wanted for")
    steal_s: float = Field(
        default=0.02, description="of one CPU's time: the kernel counts in hundredths of a second"
    )
    throttled_periods: float = Field(default=0.05, description="share of the quota's periods")
    pressure_stall_share: float = Field(
        default=0.05, description="share of the time, for memory or the disk"
    )
    frequency_drop: float = Field(default=0.1, description="share of the fastest CPU's highest")
    sampler_cores: float = Field(default=0.01, description="of one CPU; 0.002 is usual")
    retransmits: float = Field(
        default=0.005, description="share of the segments sent; 0.0012 in a lab that lost nothing"
    )
    connections_opened: float = Field(
        default=2.0, description="for each connection of the load, when ten are left out"
    )
    nic_drop_share: float = Field(default=0.001, description="share of the packets")
    docker_proxy_cores: float = Field(default=0.05, description="of one CPU")
    client_skew_s: float = Field(
        default=0.05, description="from the first client's start of a load to the last one's"
    )
    overlap_share: float = Field(
        default=0.9, description="in which all clients loaded, as a share of the load's duration"
    )
    clock_offset_s: float = Field(default=0.1, description="beyond what the reading is unsure of")
