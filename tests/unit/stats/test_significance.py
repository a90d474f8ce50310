import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.stats.significance import (
    detectable_ratio,
    expected_detectable_ratio,
    holm,
    noncentrality,
    t_p_value,
    t_quantile,
)

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=6)


# Student's t


@pytest.mark.parametrize(
    ("degrees_of_freedom", "t"), [(2, 4.302653), (9, 2.262157), (29, 2.045230)]
)
def test_quantiles_and_p_values_match_published_tables(degrees_of_freedom: int, t: float) -> None:
    assert t_quantile(degrees_of_freedom, 0.975) == pytest.approx(t)
    assert t_p_value(t, degrees_of_freedom) == pytest.approx(0.05)
    assert t_p_value(-t, degrees_of_freedom) == pytest.approx(0.05)


def test_p_value_of_t_0_is_1_and_of_infinity_is_0() -> None:
    assert t_p_value(0, 9) == 1
    assert t_p_value(math.inf, 9) == 0


def test_noncentrality_approaches_the_normal_distribution() -> None:
    """1.9600 + 0.8416: the sum of two normal quantiles in introductions to power."""
    assert noncentrality(100_000, t_quantile(100_000, 0.975), 0.8) == pytest.approx(
        2.8016, abs=1e-3
    )


# Holm's correction


def adjust_by_closure(p_values: list[float]) -> list[float]:
    """Adjust p-values by the definition that Holm's procedure is a shortcut for.

    A claim must be significant in every subset of the family that contains it. Each subset is
    tested with Bonferroni's correction.
    """
    indices = range(len(p_values))
    subsets = [subset for size in indices for subset in combinations(indices, size + 1)]
    return [
        max(
            min(1.0, len(subset) * min(p_values[member] for member in subset))
            for subset in subsets
            if index in subset
        )
        for index in indices
    ]


def test_holm_matches_the_example_of_r() -> None:
    """The example of R's p.adjust: 0.01, 0.02, 0.03, 0.04 become 0.04, 0.06, 0.06, 0.06."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx((0.06, 0.04, 0.06, 0.06))


def test_a_single_p_value_is_not_adjusted() -> None:
    assert holm([0.03]) == (0.03,)


def test_an_empty_family_has_no_p_values() -> None:
    assert holm([]) == ()


@given(PROBABILITIES)
def test_holm_is_the_closure_of_bonferronis_tests(p_values: list[float]) -> None:
    assert list(holm(p_values)) == pytest.approx(adjust_by_closure(p_values))


@given(PROBABILITIES)
def test_holm_keeps_the_order_and_never_lowers_a_p_value(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    by_p = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert by_p == sorted(adjusted)


# Power


@pytest.mark.parametrize(("effect", "replicates"), [(0.5, 34), (0.8, 15)])
def test_number_of_replicates_matches_published_tables(effect: float, replicates: int) -> None:
    """For one sample's t test, 5 % two-sided, power 80 %: G*Power 3.1 gives 34 and 15."""
    enough, too_few = (detectable_ratio(1, n) for n in (replicates, replicates - 1))
    assert math.log(enough) <= effect < math.log(too_few)


@pytest.mark.parametrize(("sd", "percent"), [(0.02, 2.0), (0.05, 5.1)])
def test_ten_blocks_detect_about_the_variation_of_a_block(sd: float, percent: float) -> None:
    expected = expected_detectable_ratio(sd, 10)
    assert expected is not None
    assert 100 * (expected - 1) == pytest.approx(percent, abs=0.05)


def test_two_blocks_detect_nothing() -> None:
    assert expected_detectable_ratio(0.02, 2) is None
    assert expected_detectable_ratio(0.02, 3) == detectable_ratio(0.02, 3)


@given(st.floats(0.001, 0.2), st.integers(3, 40), st.integers(1, 20))
def test_more_noise_fewer_blocks_and_more_comparisons_detect_less(
    sd: float, replicates: int, comparisons: int
) -> None:
    detectable = detectable_ratio(sd, replicates, comparisons)
    assert 1 < detectable < detectable_ratio(sd * 1.1, replicates, comparisons)
    assert detectable_ratio(sd, replicates + 1, comparisons) < detectable
    assert detectable < detectable_ratio(sd, replicates, comparisons + 1)
