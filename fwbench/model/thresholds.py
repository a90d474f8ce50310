"""The thresholds of the checks."""

from pydantic import Field

from fwbench.model.base import Frozen


class Thresholds(Frozen):
    """The values beyond which a check reports a finding; a suite may set each of them."""

    failed_requests: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of requests that may fail or get a status other than 2xx",
    )
    too_short_s: float = Field(
        default=1.0, description="seconds; CPython's throughput is constant after the first"
    )
    completion_gap_s: float = Field(default=1.0, description="seconds without an answer")
    connection_rate_ratio: float = Field(
        default=1.02, description="1.000 in sound runs, 2.0 if the server is killed halfway"
    )
    connection_mean_bias: float = Field(default=0.02, description="share of the throughput")
    achieved_rate: float = Field(default=0.99, description="share of the offered rate")
    slow_start: float = Field(default=0.1, description="share of the later throughput")
    drift: float = Field(
        default=0.05, description="change over the window, as a share of the throughput"
    )
    stationarity_p: float = Field(
        default=0.01, description="p-value; 0.01 reports one constant window in a hundred"
    )
    stall_s: float = Field(default=0.2, description="seconds; two periods of a CPU quota")
    stall_share: float = Field(default=0.1, description="share of the typical throughput")
    load_thread_cores: float = Field(
        default=0.7,
        description="of one CPU; h2load's p99 is 20 % too long there, its mean right up to 0.95",
    )
    load_thread_wait_share: float = Field(
        default=0.1, description="share of the time, and so of the answers; 0.01 to 0.08 in a lab"
    )
    background_cores: float = Field(
        default=0.05,
        description="of one CPU, to which a contender may be pinned; 0.001 on an idle host",
    )
    background_s: float = Field(
        default=0.1,
        description="seconds of CPU time; starting and ending a run takes a few hundredths",
    )
    steal: float = Field(default=0.01, description="share of the CPU time that busy CPUs needed")
    steal_s: float = Field(
        default=0.02, description="seconds of one CPU; the kernel counts in hundredths"
    )
    throttled_periods: float = Field(default=0.05, description="share of the quota's periods")
    pressure_stall_share: float = Field(
        default=0.05, description="share of the time, for memory or the disk"
    )
    frequency_drop: float = Field(
        default=0.1, description="share of the fastest CPU's highest frequency"
    )
    sampler_cores: float = Field(default=0.01, description="of one CPU; 0.002 is typical")
    retransmits: float = Field(
        default=0.005, description="share of the segments sent; 0.0012 in a lab without packet loss"
    )
    connections_opened: float = Field(
        default=2.0, description="per connection of the load, plus ten in total"
    )
    nic_drop_share: float = Field(default=0.001, description="share of the packets")
    docker_proxy_cores: float = Field(default=0.05, description="of one CPU")
    client_skew_s: float = Field(
        default=0.05, description="seconds between the first and the last client's start"
    )
    overlap_share: float = Field(
        default=0.9, description="share of the load's duration in which all clients load"
    )
    clock_offset_s: float = Field(
        default=0.1, description="seconds, beyond the uncertainty of the measurement"
    )
