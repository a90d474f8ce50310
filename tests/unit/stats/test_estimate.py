import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.stats.estimate import Estimate, Interval, estimate, median_interval


def estimate_of(values: list[float]) -> Estimate:
    found = estimate(values)
    assert found is not None
    return found


def test_the_interval_is_students() -> None:
    """1 to 5: mean 3, deviation 1.5811; t is 2.776 with 4 degrees of freedom (any table)."""
    found = estimate_of([1, 2, 3, 4, 5])
    assert found.interval is not None
    assert found.mean == 3
    assert found.interval.low == pytest.approx(3 - 2.776445 * 1.5811388 / 5**0.5)
    assert found.interval.high == pytest.approx(3 + 2.776445 * 1.5811388 / 5**0.5)


def test_every_value_is_kept_as_it_came() -> None:
    found = estimate_of([5, 1, 100, 2])
    assert (found.n, found.values) == (4, (5, 1, 100, 2))
    assert (found.mean, found.median) == (27, 3.5)


def test_the_spread_is_a_share_of_the_mean() -> None:
    assert estimate_of([90, 110]).coefficient_of_variation == pytest.approx(0.1414, abs=1e-4)
    assert estimate_of([-90, -110]).coefficient_of_variation == pytest.approx(0.1414, abs=1e-4)


def test_around_0_there_is_no_share() -> None:
    assert estimate_of([-1, 1]).coefficient_of_variation is None


def test_two_values_have_a_spread_and_no_interval() -> None:
    found = estimate_of([1, 3])
    assert found.interval is None
    assert found.coefficient_of_variation == pytest.approx(2**0.5 / 2)


def test_one_value_has_no_spread() -> None:
    assert estimate_of([7]) == Estimate(
        n=1, values=(7,), mean=7, median=7, interval=None, coefficient_of_variation=None
    )


def test_no_values_have_no_estimate() -> None:
    assert estimate([]) is None


@given(st.lists(st.floats(0.1, 1e6), min_size=3, max_size=20))
def test_the_mean_lies_within_its_interval(values: list[float]) -> None:
    found = estimate_of(values)
    assert found.interval is not None
    assert found.interval.low <= found.mean <= found.interval.high


@pytest.mark.parametrize(
    ("n", "low", "high"), [(6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (20, 6, 15), (50, 18, 33)]
)
def test_the_medians_interval_ends_at_the_values_of_the_tables(n: int, low: int, high: int) -> None:
    """The ranks that every table of the sign test gives for two-sided 95 %."""
    assert median_interval(range(n, 0, -1)) == Interval(low=low, high=high)


@pytest.mark.parametrize("n", range(6))
def test_below_six_values_no_interval_of_the_median_reaches_its_confidence(n: int) -> None:
    assert median_interval([1.0] * n) is None


def test_more_runs_than_a_float_has_powers_of_two_have_an_interval_of_the_median() -> None:
    """Ranks by the normal approximation, n/2 ± 1.96 √n / 2, which is exact at such sizes."""
    assert median_interval(range(1, 1025)) == Interval(low=481, high=544)
    assert median_interval(range(1, 12_001)) == Interval(low=5893, high=6108)


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=60))
def test_the_median_lies_within_its_interval(values: list[float]) -> None:
    found = median_interval(values)
    assert found is not None
    assert found.low <= statistics.median(values) <= found.high
