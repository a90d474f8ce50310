"""Thresholds, and those that several checks use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Threshold:
    """A value beyond which a check reports a finding; a suite may set another one by its name."""

    name: str
    default: float
    description: str
    at_least: float | None = None
    at_most: float | None = None


CLIENT_SKEW_S = Threshold(
    "client_skew_s", 0.05, "seconds between the first and the last client's start"
)
COMPLETION_GAP_S = Threshold("completion_gap_s", 1.0, "seconds without an answer")
FAILED_REQUESTS = Threshold(
    "failed_requests",
    0.0,
    "share of requests that may fail or get a status other than 2xx",
    at_least=0,
    at_most=1,
)
SLOW_START = Threshold("slow_start", 0.1, "share of the later throughput")
STATIONARITY_P = Threshold(
    "stationarity_p",
    0.01,
    "p-value; at 0.01, a run with constant throughput has a 1 % chance of this finding",
)
