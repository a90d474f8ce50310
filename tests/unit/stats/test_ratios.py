import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ratio_builders import SAMPLES, on_one_rig, pair, pair_of
from scipy import stats  # type: ignore[import-untyped]

from fwbench.stats.ratios import NoComparison, Replicate, Values, paired_ratio, unpaired_ratio

SIDE = st.lists(st.floats(-5, 5), min_size=3, max_size=12).filter(lambda v: np.std(v) > 1e-3)


# Paired: what is one unit


def test_the_ratio_is_the_geometric_mean_over_blocks() -> None:
    found = pair_of(on_one_rig(1000, 2000, 4000), on_one_rig(1000, 1000, 1000))
    assert found.ratio == pytest.approx(2)
    # Logs 0, ln 2, 2 ln 2: deviation ln 2; t is 4.302653 with 2 degrees of freedom (any table).
    half = 4.302653 * math.log(2) / 3**0.5
    assert found.interval.low == pytest.approx(math.exp(math.log(2) - half))
    assert found.interval.high == pytest.approx(math.exp(math.log(2) + half))
    assert (found.n, found.unit) == (3, Replicate.BLOCK)
    assert found.log_ratios == pytest.approx((0, math.log(2), 2 * math.log(2)))
    # t = √3, and with 2 degrees of freedom p = 1 − t / √(t² + 2).
    assert found.p_value == pytest.approx(1 - (3 / 5) ** 0.5)


def test_blocks_are_matched_by_number_and_one_that_lacks_a_side_is_left_out() -> None:
    contender = {"one": {4: 8.0, 3: 6.0, 2: 4.0, 1: 2.0}}
    found = pair_of(contender, {"one": {1: 1.0, 3: 3.0, 4: 4.0, 5: 9.0}})
    assert found.log_ratios == pytest.approx([math.log(2)] * 3)


def test_drift_that_both_share_does_not_widen_the_interval() -> None:
    found = pair_of(on_one_rig(2000, 1500, 1000), on_one_rig(1000, 750, 500))
    assert found.interval.high - found.interval.low < 1e-9


def test_of_three_rigs_each_is_one_unit_however_many_its_blocks() -> None:
    contender = {"a": {1: 2.0}, "b": {1: 2.0, 2: 8.0}, "c": {1: 16.0, 2: 8.0, 3: 4.0}}
    baseline = {"a": {1: 1.0}, "b": {1: 1.0, 2: 1.0}, "c": {1: 1.0, 2: 1.0, 3: 1.0}}
    found = pair_of(contender, baseline)
    assert (found.n, found.unit) == (3, Replicate.RIG)
    assert found.log_ratios == pytest.approx([math.log(2), math.log(4), math.log(8)])


@pytest.mark.parametrize(
    ("contender", "reason"),
    [
        ({"one": {1: 2.0, 2: 2.0, 4: 2.0}}, "2 blocks with values of both, 3 are needed"),
        ({"one": {1: 2.0}}, "1 block with values of both, 3 are needed"),
        ({}, "0 blocks with values of both, 3 are needed"),
    ],
)
def test_three_blocks_are_needed(contender: Values, reason: str) -> None:
    assert paired_ratio(contender, on_one_rig(1, 1, 1)) == NoComparison(reason=reason)


@pytest.mark.parametrize("third", [{}, {"c": {}}])
def test_two_rigs_show_nothing_of_others_and_are_not_pooled(third: Values) -> None:
    many = {rig: dict(enumerate([1.0] * 10)) for rig in "ab"}
    assert paired_ratio({**many, **third}, many) == NoComparison(
        reason="2 rigs with values of both, 3 are needed; one rig alone can be compared on its own"
    )


def test_a_rig_that_failed_does_not_turn_blocks_into_the_unit() -> None:
    baseline = {rig: dict(enumerate([1.0] * 10)) for rig in "ab"}
    found = paired_ratio({"a": baseline["a"]}, baseline)
    assert isinstance(found, NoComparison)
    assert found.reason.startswith("1 rig with values of both")


def test_a_value_of_0_is_no_value() -> None:
    with pytest.raises(ValueError, match=r"math domain error|positive"):
        paired_ratio(on_one_rig(1, 0, 1), on_one_rig(1, 1, 1))


def test_what_never_varies_is_as_sure_as_can_be() -> None:
    assert pair(2, 2, 2).p_value == 0
    assert pair(1, 1, 1).p_value == 1


@given(SAMPLES)
def test_swapping_the_two_inverts_the_ratio(values: list[tuple[float, float]]) -> None:
    ours, theirs = (on_one_rig(*side) for side in zip(*values, strict=True))
    there, back = pair_of(ours, theirs), pair_of(theirs, ours)
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.interval.low * back.interval.high == pytest.approx(1)
    assert there.p_value == pytest.approx(back.p_value)


@given(SAMPLES, st.floats(0.001, 1000))
def test_the_unit_of_measurement_changes_nothing(
    values: list[tuple[float, float]], factor: float
) -> None:
    ours, theirs = zip(*values, strict=True)
    found = pair_of(on_one_rig(*ours), on_one_rig(*theirs))
    scaled = pair_of(
        on_one_rig(*[factor * value for value in ours]),
        on_one_rig(*[factor * value for value in theirs]),
    )
    assert scaled.log_ratios == pytest.approx(found.log_ratios, abs=1e-9)


@given(SAMPLES)
def test_the_interval_contains_the_ratio_and_leaves_out_1_where_p_is_small(
    values: list[tuple[float, float]],
) -> None:
    ours, theirs = (on_one_rig(*side) for side in zip(*values, strict=True))
    found = pair_of(ours, theirs)
    assert found.interval.low <= found.ratio <= found.interval.high
    if abs(found.p_value - 0.05) > 1e-6:
        assert (found.p_value < 0.05) is not (found.interval.low <= 1 <= found.interval.high)


# Unpaired


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
