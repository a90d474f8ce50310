import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.stats.power import detectable, expected_detectable


@pytest.mark.parametrize(("effect", "units"), [(0.5, 34), (0.8, 15)])
def test_it_needs_as_many_as_the_published_tables_say(effect: float, units: int) -> None:
    """For one sample's t test, 5 % two-sided, power 80 %: G*Power 3.1 gives 34 and 15."""
    assert math.log(detectable(1, units)) <= effect < math.log(detectable(1, units - 1))


@pytest.mark.parametrize(("sd", "percent"), [(0.02, 2.0), (0.05, 5.1)])
def test_ten_blocks_show_about_what_blocks_vary_by(sd: float, percent: float) -> None:
    expected = expected_detectable(sd, 10)
    assert expected is not None
    assert 100 * (expected - 1) == pytest.approx(percent, abs=0.05)


def test_two_blocks_show_nothing() -> None:
    assert expected_detectable(0.02, 2) is None
    assert expected_detectable(0.02, 3) == detectable(0.02, 3)


@given(st.floats(0.001, 0.2), st.integers(3, 40), st.integers(1, 20))
def test_more_noise_fewer_blocks_and_more_comparisons_show_less(
    sd: float, units: int, comparisons: int
) -> None:
    found = detectable(sd, units, comparisons)
    assert 1 < found < detectable(sd * 1.1, units, comparisons)
    assert detectable(sd, units + 1, comparisons) < found < detectable(sd, units, comparisons + 1)
