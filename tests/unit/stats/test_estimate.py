import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.stats.estimate import Estimate, Interval, estimate, median_interval


def estimate_of(values: list[float]) -> Estimate:
    result = estimate(values)
    assert result is not None
    return result


def test_interval_is_students_t() -> None:
    """1 to 5: mean 3, deviation 1.5811; t is 2.776 with 4 degrees of freedom (any table)."""
    result = estimate_of([1, 2, 3, 4, 5])
    assert result.interval is not None
    assert result.mean == 3
    assert result.interval.low == pytest.approx(3 - 2.776445 * 1.5811388 / 5**0.5)
    assert result.interval.high == pytest.approx(3 + 2.776445 * 1.5811388 / 5**0.5)


def test_every_value_is_kept() -> None:
    result = estimate_of([5, 1, 100, 2])
    assert (result.n, result.values) == (4, (5, 1, 100, 2))
    assert (result.mean, result.median) == (27, 3.5)


def test_the_variation_is_relative_to_the_mean() -> None:
    assert estimate_of([90, 110]).coefficient_of_variation == pytest.approx(0.1414, abs=1e-4)
    assert estimate_of([-90, -110]).coefficient_of_variation == pytest.approx(0.1414, abs=1e-4)


def test_with_a_mean_of_0_there_is_no_coefficient_of_variation() -> None:
    assert estimate_of([-1, 1]).coefficient_of_variation is None


def test_two_values_have_a_variation_but_no_interval() -> None:
    result = estimate_of([1, 3])
    assert result.interval is None
    assert result.coefficient_of_variation == pytest.approx(2**0.5 / 2)


def test_one_value_has_no_variation() -> None:
    assert estimate_of([7]) == Estimate(
        n=1, values=(7,), mean=7, median=7, interval=None, coefficient_of_variation=None
    )


def test_no_values_have_no_estimate() -> None:
    assert estimate([]) is None


@given(st.lists(st.floats(0.1, 1e6), min_size=3, max_size=20))
def test_the_mean_lies_within_its_interval(values: list[float]) -> None:
    result = estimate_of(values)
    assert result.interval is not None
    assert result.interval.low <= result.mean <= result.interval.high


@pytest.mark.parametrize(
    ("n", "low", "high"), [(6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (20, 6, 15), (50, 18, 33)]
)
def test_median_interval_matches_published_ranks(n: int, low: int, high: int) -> None:
    """The ranks are those in tables of the sign test, two-sided, 95 %."""
    assert median_interval(range(n, 0, -1)) == Interval(low=low, high=high)


@pytest.mark.parametrize("n", range(6))
def test_median_of_fewer_than_six_values_has_no_interval(n: int) -> None:
    assert median_interval([1.0] * n) is None


def test_the_median_of_more_than_1023_values_has_an_interval() -> None:
    """The ranks n/2 ± 1.96 √n / 2 of the normal approximation are exact at these sizes."""
    assert median_interval(range(1, 1025)) == Interval(low=481, high=544)
    assert median_interval(range(1, 12_001)) == Interval(low=5893, high=6108)


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=60))
def test_the_median_lies_within_its_interval(values: list[float]) -> None:
    interval = median_interval(values)
    assert interval is not None
    assert interval.low <= statistics.median(values) <= interval.high
