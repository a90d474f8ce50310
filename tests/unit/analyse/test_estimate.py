import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.analyse.estimate import Estimate, estimate


def test_the_interval_is_students() -> None:
    """1 to 5: mean 3, deviation 1.5811; t is 2.776 with 4 degrees of freedom (any table)."""
    found = estimate([1, 2, 3, 4, 5])
    assert found is not None
    assert found.interval is not None
    assert found.mean == 3
    assert found.interval.low == pytest.approx(3 - 2.776445 * 1.5811388 / 5**0.5)
    assert found.interval.high == pytest.approx(3 + 2.776445 * 1.5811388 / 5**0.5)


def test_two_values_have_a_mean_and_no_interval() -> None:
    assert estimate([1, 3]) == Estimate(n=2, mean=2, interval=None)


def test_no_values_have_no_estimate() -> None:
    assert estimate([]) is None


@given(st.lists(st.floats(0.1, 1e6), min_size=3, max_size=20))
def test_the_mean_lies_within_its_interval(values: list[float]) -> None:
    found = estimate(values)
    assert found is not None
    assert found.interval is not None
    assert found.interval.low <= found.mean <= found.interval.high
