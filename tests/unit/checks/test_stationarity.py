"""What the findings about a run's course promise: few false alarms, and what they can see."""

from collections.abc import Callable
from itertools import accumulate

import numpy as np
import pytest
from builders import FLASK, load_result, log, observation, run
from numpy.typing import NDArray

from fwbench.checks.evaluate import evaluate_run
from fwbench.checks.support.changepoint import find_step, find_trend
from fwbench.model.load import Load

Make = Callable[[np.random.Generator, int], NDArray[np.float64]]
SERIES = 300


def found(counts: NDArray[np.float64], warm_up_s: int = 1, **changes: object) -> dict[str, str]:
    """The findings about a window whose tenths had so many completions, by code."""
    tenths = tuple(int(count) for count in np.maximum(counts, 0).round())
    written = log(
        last_end_us=len(tenths) * 100_000 + 50_000, completions_per_100ms=(*tenths, 1), **changes
    )
    load = Load(connections=10, warm_up_s=warm_up_s, duration_s=-(-len(tenths) // 10))
    verdict = evaluate_run(run(load=load), FLASK, observation(load=load_result(log=written)))
    ours = ("slow-warm-up", "drift", "stall")
    return {finding.code: finding.evidence for finding in verdict.findings if finding.code in ours}


def noise(rho: float, cv: float, mean: float = 300) -> Make:
    """A server whose throughput varies by `cv` from tenth to tenth, each like the one before."""

    def make(random: np.random.Generator, tenths: int) -> NDArray[np.float64]:
        fresh = random.normal(0, cv, tenths + 50) * np.sqrt(1 - rho**2)
        values = accumulate(fresh.tolist(), lambda before, new: rho * before + new)
        return mean * (1 + np.array(list(values)[50:]))

    return make


def quota(random: np.random.Generator, tenths: int) -> NDArray[np.float64]:
    """Work in the first half of each period of nearly a tenth, which slips against the clock."""
    edges = (np.arange(tenths + 1) + random.uniform()) * random.uniform(0.995, 1.005)
    work = random.normal(300, 10, tenths + 20)
    done = np.concatenate([[0], np.cumsum(work)])
    period = edges.astype(int)
    return np.diff(done[period] + work[period] * np.minimum(1, 2 * (edges - period)))


def few(random: np.random.Generator, tenths: int) -> NDArray[np.float64]:
    """Three answers in a tenth, by chance."""
    return random.poisson(3, tenths).astype(float)


def share(code: str, windows: list[NDArray[np.float64]]) -> float:
    return sum(code in found(window) for window in windows) / len(windows)


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
def test_a_steady_window_is_called_unsteady_once_in_a_hundred_times(kind: str, tenths: int) -> None:
    random = np.random.default_rng(tenths)
    alarms = [found(STEADY[kind](random, tenths)) for _ in range(SERIES)]
    # Of 300 windows with a false alarm in a hundred, more than 8 have one once in 250 tries.
    for code in ("slow-warm-up", "drift", "stall"):
        assert sum(code in alarm for alarm in alarms) <= 8


@pytest.mark.parametrize(
    ("kind", "tenths", "at_least"),
    [("quiet", 20, 0.85), ("quiet", 100, 0.98), ("usual", 100, 0.9), ("wild", 300, 0.6)],
)
def test_a_start_slower_by_30_percent_for_a_fifth_is_found(
    kind: str, tenths: int, at_least: float
) -> None:
    random = np.random.default_rng(1)
    slow = np.where(np.arange(tenths) < tenths / 5, 0.7, 1)
    windows = [slow * STEADY[kind](random, tenths) for _ in range(100)]
    assert share("slow-warm-up", windows) >= at_least


@pytest.mark.parametrize(
    ("kind", "tenths", "at_least"), [("quiet", 20, 0.7), ("quiet", 100, 0.9), ("usual", 300, 0.55)]
)
def test_a_drift_of_10_percent_is_found(kind: str, tenths: int, at_least: float) -> None:
    random = np.random.default_rng(2)
    windows = [np.linspace(1.05, 0.95, tenths) * STEADY[kind](random, tenths) for _ in range(100)]
    assert share("drift", windows) >= at_least
    assert share("slow-warm-up", windows) <= 0.05


@pytest.mark.parametrize("kind", ["quiet", "usual", "lasting", "wild"])
def test_a_stall_of_three_tenths_is_found(kind: str) -> None:
    random = np.random.default_rng(3)
    windows = []
    for _ in range(100):
        window = STEADY[kind](random, 60)
        at = random.integers(5, 50)
        cut = random.uniform()
        window[at] *= 1 - cut
        window[at + 1 : at + 3] = 0
        window[at + 3] *= cut
        windows.append(window)
    assert share("stall", windows) == 1


def test_a_slow_start_is_told_with_the_warm_up_that_would_do() -> None:
    counts = np.where(np.arange(100) < 22, 70.0, 100.0)
    assert found(counts, warm_up_s=2) == {
        "slow-warm-up": "for the first 2.2 s of the window, the throughput was 30 % lower than"
        " afterwards; a warm_up_s of 5 instead of 2 would exclude them"
    }


def test_a_quick_start_is_one_too() -> None:
    assert "35 % higher" in found(np.where(np.arange(100) < 22, 135.0, 100.0))["slow-warm-up"]


def test_a_drift_is_told_with_its_size() -> None:
    assert found(np.linspace(110, 90, 100)) == {
        "drift": "the throughput fell by 20 % from 0.1 s to 10.0 s of the window, more than its"
        " random variation explains (p = 5e-14)"
    }


def test_a_stall_is_told_with_its_length() -> None:
    counts = np.full(60, 100.0)
    counts[30:33] = 0
    assert found(counts, longest_gap_us=345_678) == {
        "stall": "almost no request was answered for 0.35 s"
    }
    counts[40:42] = 3
    assert "longest of 2 pauses" in found(counts, longest_gap_us=345_678)["stall"]


def test_a_pause_no_longer_than_the_answers_take_is_no_stall() -> None:
    counts = np.full(60, 100.0)
    counts[30:33] = 0
    latency = log().latency.model_copy(update={"p50_us": 200_000, "p99_us": 300_000})
    assert "stall" not in found(counts, latency=latency)


def test_answers_of_before_the_window_are_not_missed_at_its_start() -> None:
    latency = log().latency.model_copy(update={"p50_us": 400_000, "p99_us": 700_000})
    counts = np.full(60, 100.0)
    counts[:7] = 0
    assert found(counts, latency=latency) == {}


@pytest.mark.parametrize("tenths", [1, 10, 14])
def test_of_a_short_window_nothing_is_said(tenths: int) -> None:
    assert found(np.linspace(0, 100, tenths)) == {}


def test_a_window_without_an_answer_is_for_others_to_find() -> None:
    assert found(np.zeros(60)) == {}


def test_a_series_of_equal_values_has_neither_a_step_nor_a_trend() -> None:
    values = [7.0] * 20
    assert (find_step(values) or find_trend(values)).p == 1
    assert find_trend(values).p == 1
