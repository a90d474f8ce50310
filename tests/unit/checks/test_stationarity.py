"""False-alarm and detection rates of the checks for stationarity."""

from collections.abc import Callable
from itertools import accumulate

import numpy as np
import pytest
from builders import FLASK, load_result, log, observation, run
from numpy.typing import NDArray

from fwbench.checks.evaluate import evaluate_run
from fwbench.checks.support.changepoint import find_step, find_trend
from fwbench.model.load import Load

MakeSeries = Callable[[np.random.Generator, int], NDArray[np.float64]]
SERIES_COUNT = 300


def stationarity_findings(
    counts: NDArray[np.float64], warm_up_s: int = 1, **changes: object
) -> dict[str, str]:
    """Return the evidence by code for a window with these completions per 0.1 s."""
    tenths = tuple(int(count) for count in np.maximum(counts, 0).round())
    request_log = log(
        last_end_us=len(tenths) * 100_000 + 50_000, completions_per_100ms=(*tenths, 1), **changes
    )
    load = Load(connections=10, warm_up_s=warm_up_s, duration_s=-(-len(tenths) // 10))
    verdict = evaluate_run(run(load=load), FLASK, observation(load=load_result(log=request_log)))
    codes = ("slow-warm-up", "drift", "stall")
    return {finding.code: finding.evidence for finding in verdict.findings if finding.code in codes}


def noise(rho: float, cv: float, mean: float = 300) -> MakeSeries:
    """Return a maker of AR(1) series with autocorrelation `rho` and variation `cv`."""

    def make(random: np.random.Generator, tenths: int) -> NDArray[np.float64]:
        innovations = random.normal(0, cv, tenths + 50) * np.sqrt(1 - rho**2)
        values = accumulate(innovations.tolist(), lambda previous, new: rho * previous + new)
        return mean * (1 + np.array(list(values)[50:]))

    return make


def quota(random: np.random.Generator, tenths: int) -> NDArray[np.float64]:
    """Return completions of a server that a CPU quota stops for half of each period.

    A period lasts about 0.1 s, so it drifts against the intervals of the clock.
    """
    edges = (np.arange(tenths + 1) + random.uniform()) * random.uniform(0.995, 1.005)
    work = random.normal(300, 10, tenths + 20)
    cumulative = np.concatenate([[0], np.cumsum(work)])
    period = edges.astype(int)
    return np.diff(cumulative[period] + work[period] * np.minimum(1, 2 * (edges - period)))


def few(random: np.random.Generator, tenths: int) -> NDArray[np.float64]:
    """Return a Poisson series with a mean of three completions per 0.1 s."""
    return random.poisson(3, tenths).astype(float)


def detection_rate(code: str, windows: list[NDArray[np.float64]]) -> float:
    return sum(code in stationarity_findings(window) for window in windows) / len(windows)


STEADY = {
    "quiet": noise(0, 0.02),
    "usual": noise(0.3, 0.05),
    "lasting": noise(0.5, 0.05),
    "wild": noise(0.5, 0.1),
    "quota": quota,
    "few": few,
}


@pytest.mark.parametrize("tenths", [20, 60, 300])
@pytest.mark.parametrize("kind", STEADY)
def test_steady_windows_rarely_give_false_alarms(kind: str, tenths: int) -> None:
    random = np.random.default_rng(tenths)
    alarms = [stationarity_findings(STEADY[kind](random, tenths)) for _ in range(SERIES_COUNT)]
    # At a false-alarm rate of 1 %, more than 8 of 300 windows fire with probability 1/250.
    for code in ("slow-warm-up", "drift", "stall"):
        assert sum(code in alarm for alarm in alarms) <= 8


@pytest.mark.parametrize(
    ("kind", "tenths", "min_rate"),
    [("quiet", 20, 0.85), ("quiet", 100, 0.98), ("usual", 100, 0.9), ("wild", 300, 0.6)],
)
def test_start_slower_by_30_percent_is_detected(kind: str, tenths: int, min_rate: float) -> None:
    random = np.random.default_rng(1)
    slow = np.where(np.arange(tenths) < tenths / 5, 0.7, 1)
    windows = [slow * STEADY[kind](random, tenths) for _ in range(100)]
    assert detection_rate("slow-warm-up", windows) >= min_rate


@pytest.mark.parametrize(
    ("kind", "tenths", "min_rate"), [("quiet", 20, 0.7), ("quiet", 100, 0.9), ("usual", 300, 0.55)]
)
def test_drift_of_10_percent_is_detected(kind: str, tenths: int, min_rate: float) -> None:
    random = np.random.default_rng(2)
    windows = [np.linspace(1.05, 0.95, tenths) * STEADY[kind](random, tenths) for _ in range(100)]
    assert detection_rate("drift", windows) >= min_rate
    assert detection_rate("slow-warm-up", windows) <= 0.05


@pytest.mark.parametrize("kind", ["quiet", "usual", "lasting", "wild"])
def test_stall_of_300_ms_is_detected(kind: str) -> None:
    random = np.random.default_rng(3)
    windows = []
    for _ in range(100):
        window = STEADY[kind](random, 60)
        start = random.integers(5, 50)
        cut = random.uniform()
        window[start] *= 1 - cut
        window[start + 1 : start + 3] = 0
        window[start + 3] *= cut
        windows.append(window)
    assert detection_rate("stall", windows) == 1


def test_slow_start_is_reported_with_a_sufficient_warm_up() -> None:
    counts = np.where(np.arange(100) < 22, 70.0, 100.0)
    assert stationarity_findings(counts, warm_up_s=2) == {
        "slow-warm-up": "for the first 2.2 s of the window, the throughput was 30 % lower than"
        " afterwards; a warm_up_s of 5 instead of 2 would exclude them"
    }


def test_fast_start_is_reported_as_slow_warm_up() -> None:
    assert (
        "35 % higher"
        in stationarity_findings(np.where(np.arange(100) < 22, 135.0, 100.0))["slow-warm-up"]
    )


def test_drift_is_reported_with_its_size() -> None:
    assert stationarity_findings(np.linspace(110, 90, 100)) == {
        "drift": "the throughput fell by 20 % from 0.1 s to 10.0 s of the window, more than its"
        " random variation explains (p = 5e-14)"
    }


def test_stall_is_reported_with_its_length() -> None:
    counts = np.full(60, 100.0)
    counts[30:33] = 0
    assert stationarity_findings(counts, longest_gap_us=345_678) == {
        "stall": "almost no request was answered for 0.35 s"
    }
    counts[40:42] = 3
    assert "longest of 2 pauses" in stationarity_findings(counts, longest_gap_us=345_678)["stall"]


def test_pause_shorter_than_the_latency_is_no_stall() -> None:
    counts = np.full(60, 100.0)
    counts[30:33] = 0
    latency = log().latency.model_copy(update={"p50_us": 200_000, "p99_us": 300_000})
    assert "stall" not in stationarity_findings(counts, latency=latency)


def test_no_answers_at_the_start_are_normal_at_high_latency() -> None:
    latency = log().latency.model_copy(update={"p50_us": 400_000, "p99_us": 700_000})
    counts = np.full(60, 100.0)
    counts[:7] = 0
    assert stationarity_findings(counts, latency=latency) == {}


@pytest.mark.parametrize("tenths", [1, 10, 14])
def test_short_window_gives_no_finding(tenths: int) -> None:
    assert stationarity_findings(np.linspace(0, 100, tenths)) == {}


def test_window_without_answers_gives_no_finding() -> None:
    assert stationarity_findings(np.zeros(60)) == {}


def test_constant_series_has_neither_step_nor_trend() -> None:
    values = [7.0] * 20
    assert (find_step(values) or find_trend(values)).p == 1
    assert find_trend(values).p == 1
