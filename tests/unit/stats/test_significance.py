import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.stats.significance import (
    detectable,
    expected_detectable,
    holm,
    noncentrality,
    t_p_value,
    t_quantile,
)

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=6)


# Student's t


@pytest.mark.parametrize(("freedom", "t"), [(2, 4.302653), (9, 2.262157), (29, 2.045230)])
def test_the_quantile_is_that_of_the_tables_and_has_their_p_value(freedom: int, t: float) -> None:
    assert t_quantile(freedom, 0.975) == pytest.approx(t)
    assert t_p_value(t, freedom) == pytest.approx(0.05)
    assert t_p_value(-t, freedom) == pytest.approx(0.05)


def test_nothing_is_as_probable_as_can_be() -> None:
    assert t_p_value(0, 9) == 1
    assert t_p_value(math.inf, 9) == 0


def test_with_many_values_it_is_the_normal_distributions() -> None:
    """1.9600 + 0.8416, the sum that every introduction to power has."""
    assert noncentrality(100_000, t_quantile(100_000, 0.975), 0.8) == pytest.approx(
        2.8016, abs=1e-3
    )


# Holm's correction


def by_closure(p_values: list[float]) -> list[float]:
    """The definition that Holm's steps are a short cut of: a claim has to hold in every subset of
    the family that it is in, each tested with Bonferroni's correction.
    """
    places = range(len(p_values))
    subsets = [one for size in places for one in combinations(places, size + 1)]
    return [
        max(
            min(1.0, len(subset) * min(p_values[other] for other in subset))
            for subset in subsets
            if place in subset
        )
        for place in places
    ]


def test_the_smallest_counts_most() -> None:
    """The example of R's p.adjust: 0.01, 0.02, 0.03, 0.04 become 0.04, 0.06, 0.06, 0.06."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx((0.06, 0.04, 0.06, 0.06))


def test_alone_a_p_value_stays_as_it_is() -> None:
    assert holm([0.03]) == (0.03,)


def test_no_family_has_no_p_values() -> None:
    assert holm([]) == ()


@given(PROBABILITIES)
def test_it_is_the_closure_of_bonferronis_tests(p_values: list[float]) -> None:
    assert list(holm(p_values)) == pytest.approx(by_closure(p_values))


@given(PROBABILITIES)
def test_it_keeps_the_order_and_only_raises(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    by_p = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert by_p == sorted(adjusted)


# Power


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
