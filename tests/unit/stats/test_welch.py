import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from fwbench.stats.welch import unpaired_ratio

SIDE = st.lists(st.floats(-5, 5), min_size=3, max_size=12).filter(lambda v: np.std(v) > 1e-3)


@given(one=SIDE, other=SIDE)
def test_one_stratum_a_side_is_welchs_t(one: list[float], other: list[float]) -> None:
    pair = unpaired_ratio(([one], [other]), ([one], [other]))
    expected = stats.ttest_ind(one, other, equal_var=False)
    ends = expected.confidence_interval(0.95)
    assert math.log(pair.ratio) == pytest.approx(np.mean(one) - np.mean(other), abs=1e-9)
    assert math.log(pair.interval.low) == pytest.approx(ends.low, rel=1e-6, abs=1e-9)
    assert math.log(pair.interval.high) == pytest.approx(ends.high, rel=1e-6, abs=1e-9)
    assert pair.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-9)


@given(one=SIDE, other=SIDE)
def test_either_side_may_go_first(one: list[float], other: list[float]) -> None:
    pair = unpaired_ratio(([one], [other]), ([one], [other]))
    turned = unpaired_ratio(([other], [one]), ([other], [one]))
    assert turned.ratio == pytest.approx(1 / pair.ratio)
    assert turned.interval.low == pytest.approx(1 / pair.interval.high)
    assert turned.p_value == pytest.approx(pair.p_value)


def test_each_machine_counts_the_same_however_many_blocks_it_has() -> None:
    one = [[1.0, 1.1, 0.9], [3.0, 3.1, 2.9] * 5]
    other = [[0.0, 0.1, -0.1]]
    assert math.log(unpaired_ratio((one, other), (one, other)).ratio) == pytest.approx(2)


def test_machines_that_differ_widen_nothing_where_they_stand_for_themselves() -> None:
    near = [[1.0, 1.1, 0.9], [1.0, 1.1, 0.9]]
    far = [[0.0, 0.1, -0.1], [2.0, 2.1, 1.9]]
    other = [[0.0, 0.1, -0.1]]
    widths = [
        math.log(pair.interval.high / pair.interval.low)
        for side in (near, far)
        for pair in [unpaired_ratio((side, other), (side, other))]
    ]
    assert widths[0] == pytest.approx(widths[1])


def test_two_machines_that_stand_for_themselves_say_more_than_one() -> None:
    """The error of a mean of two machines, with Satterthwaite's freedom over all three."""
    blocks = [1.0, 1.1, 0.9]
    part = np.var(blocks, ddof=1) / 3
    squared = part / 4 + part / 4 + part
    freedom = squared**2 / (2 * (part / 4) ** 2 / 2 + part**2 / 2)
    half = stats.t.ppf(0.975, freedom) * squared**0.5
    pair = unpaired_ratio(([blocks, blocks], [blocks]), ([blocks, blocks], [blocks]))
    assert math.log(pair.interval.high) == pytest.approx(half)
    assert math.log(pair.interval.low) == pytest.approx(-half)


def test_bounds_that_overlap_show_nothing() -> None:
    """Both searches found the same rate held and the same one too high, block after block."""
    held, too_high = [[5.0, 5.0, 5.0]], [[5.2, 5.2, 5.2]]
    pair = unpaired_ratio((held, held), (too_high, too_high))
    assert pair.ratio == 1
    assert pair.interval.low == pytest.approx(math.exp(-0.2))
    assert pair.interval.high == pytest.approx(math.exp(0.2))
    assert pair.p_value == 1
    higher = [[5.4, 5.4, 5.4]]
    apart = unpaired_ratio((higher, held), ([[5.6, 5.6, 5.6]], too_high))
    assert apart.p_value == 0
    assert apart.interval.low == pytest.approx(math.exp(0.2))
