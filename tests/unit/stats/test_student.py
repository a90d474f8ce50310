import math

import pytest

from fwbench.stats.student import noncentrality, p_value, quantile


@pytest.mark.parametrize(("freedom", "t"), [(2, 4.302653), (9, 2.262157), (29, 2.045230)])
def test_the_quantile_is_that_of_the_tables_and_has_their_p_value(freedom: int, t: float) -> None:
    assert quantile(freedom, 0.975) == pytest.approx(t)
    assert p_value(t, freedom) == pytest.approx(0.05)
    assert p_value(-t, freedom) == pytest.approx(0.05)


def test_nothing_is_as_probable_as_can_be() -> None:
    assert p_value(0, 9) == 1
    assert p_value(math.inf, 9) == 0


def test_with_many_values_it_is_the_normal_distributions() -> None:
    """1.9600 + 0.8416, the sum that every introduction to power has."""
    assert noncentrality(100_000, quantile(100_000, 0.975), 0.8) == pytest.approx(2.8016, abs=1e-3)
