from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.stats.holm import holm

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=6)


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
