import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ratio_builders import VALUE_PAIRS, on_one_rig, ratio_estimate, ratio_in_blocks
from scipy import stats  # type: ignore[import-untyped]

from fwbench.stats.ratios import (
    BlockValues,
    NoComparison,
    Replicate,
    Strata,
    StratifiedBounds,
    UnpairedRatio,
    paired_ratio,
    unpaired_ratio,
)

LOGS = st.lists(st.floats(-5, 5), min_size=3, max_size=12).filter(lambda v: np.std(v) > 1e-3)


# Paired within blocks


def test_the_ratio_is_the_geometric_mean_over_blocks() -> None:
    ratio = ratio_estimate(on_one_rig(1000, 2000, 4000), on_one_rig(1000, 1000, 1000))
    assert ratio.ratio == pytest.approx(2)
    # Logs 0, ln 2, 2 ln 2: deviation ln 2; t is 4.302653 with 2 degrees of freedom (any table).
    half = 4.302653 * math.log(2) / 3**0.5
    assert ratio.interval.low == pytest.approx(math.exp(math.log(2) - half))
    assert ratio.interval.high == pytest.approx(math.exp(math.log(2) + half))
    assert (ratio.n, ratio.replicate) == (3, Replicate.BLOCK)
    assert ratio.log_ratios == pytest.approx((0, math.log(2), 2 * math.log(2)))
    # t = √3, and with 2 degrees of freedom p = 1 − t / √(t² + 2).
    assert ratio.p_value == pytest.approx(1 - (3 / 5) ** 0.5)


def test_blocks_are_paired_by_number() -> None:
    contender = {"one": {4: 8.0, 3: 6.0, 2: 4.0, 1: 2.0}}
    ratio = ratio_estimate(contender, {"one": {1: 1.0, 3: 3.0, 4: 4.0, 5: 9.0}})
    assert ratio.log_ratios == pytest.approx([math.log(2)] * 3)


def test_drift_that_affects_both_does_not_widen_the_interval() -> None:
    ratio = ratio_estimate(on_one_rig(2000, 1500, 1000), on_one_rig(1000, 750, 500))
    assert ratio.interval.high - ratio.interval.low < 1e-9


def test_rigs_have_equal_weight_whatever_their_block_counts() -> None:
    contender = {"a": {1: 2.0}, "b": {1: 2.0, 2: 8.0}, "c": {1: 16.0, 2: 8.0, 3: 4.0}}
    baseline = {"a": {1: 1.0}, "b": {1: 1.0, 2: 1.0}, "c": {1: 1.0, 2: 1.0, 3: 1.0}}
    ratio = ratio_estimate(contender, baseline)
    assert (ratio.n, ratio.replicate) == (3, Replicate.RIG)
    assert ratio.log_ratios == pytest.approx([math.log(2), math.log(4), math.log(8)])


@pytest.mark.parametrize(
    ("contender", "reason"),
    [
        ({"one": {1: 2.0, 2: 2.0, 4: 2.0}}, "only 2 blocks have values of both, and 3 are needed"),
        ({"one": {1: 2.0}}, "only 1 block has values of both, and 3 are needed"),
        ({}, "no block has values of both, and 3 are needed"),
    ],
)
def test_three_blocks_are_needed(contender: BlockValues, reason: str) -> None:
    assert paired_ratio(contender, on_one_rig(1, 1, 1)) == NoComparison(reason=reason)


@pytest.mark.parametrize("third", [{}, {"c": {}}])
def test_two_rigs_are_not_pooled(third: BlockValues) -> None:
    many = {rig: dict(enumerate([1.0] * 10)) for rig in "ab"}
    assert paired_ratio({**many, **third}, many) == NoComparison(
        reason="only 2 rigs have values of both, and 3 are needed; see the comparison on each rig"
    )


def test_rig_stays_the_replicate_if_one_rig_fails() -> None:
    baseline = {rig: dict(enumerate([1.0] * 10)) for rig in "ab"}
    ratio = paired_ratio({"a": baseline["a"]}, baseline)
    assert isinstance(ratio, NoComparison)
    assert ratio.reason.startswith("only 1 rig has values of both")


def test_a_value_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match=r"math domain error|positive"):
        paired_ratio(on_one_rig(1, 0, 1), on_one_rig(1, 1, 1))


def test_without_variation_the_p_value_is_0_or_1() -> None:
    assert ratio_in_blocks(2, 2, 2).p_value == 0
    assert ratio_in_blocks(1, 1, 1).p_value == 1


@given(VALUE_PAIRS)
def test_swapping_contender_and_baseline_inverts_the_ratio(
    values: list[tuple[float, float]],
) -> None:
    contender, baseline = (on_one_rig(*side) for side in zip(*values, strict=True))
    ratio, inverse = ratio_estimate(contender, baseline), ratio_estimate(baseline, contender)
    assert ratio.ratio * inverse.ratio == pytest.approx(1)
    assert ratio.interval.low * inverse.interval.high == pytest.approx(1)
    assert ratio.p_value == pytest.approx(inverse.p_value)


@given(VALUE_PAIRS, st.floats(0.001, 1000))
def test_the_unit_of_measurement_does_not_matter(
    values: list[tuple[float, float]], factor: float
) -> None:
    contender, baseline = zip(*values, strict=True)
    ratio = ratio_estimate(on_one_rig(*contender), on_one_rig(*baseline))
    scaled = ratio_estimate(
        on_one_rig(*[factor * value for value in contender]),
        on_one_rig(*[factor * value for value in baseline]),
    )
    assert scaled.log_ratios == pytest.approx(ratio.log_ratios, abs=1e-9)


@given(VALUE_PAIRS)
def test_interval_excludes_1_exactly_if_p_is_below_5_percent(
    values: list[tuple[float, float]],
) -> None:
    contender, baseline = (on_one_rig(*side) for side in zip(*values, strict=True))
    ratio = ratio_estimate(contender, baseline)
    assert ratio.interval.low <= ratio.ratio <= ratio.interval.high
    if abs(ratio.p_value - 0.05) > 1e-6:
        assert (ratio.p_value < 0.05) is not (ratio.interval.low <= 1 <= ratio.interval.high)


# Unpaired


def ratio_of_exact(numerator: Strata, denominator: Strata) -> UnpairedRatio:
    """Return the ratio of samples with exact values: the lower and upper bounds are equal."""
    return unpaired_ratio(
        StratifiedBounds(numerator, numerator), StratifiedBounds(denominator, denominator)
    )


@given(numerator=LOGS, denominator=LOGS)
def test_ratio_of_single_strata_is_welchs_t_test(
    numerator: list[float], denominator: list[float]
) -> None:
    ratio = ratio_of_exact([numerator], [denominator])
    expected = stats.ttest_ind(numerator, denominator, equal_var=False)
    interval = expected.confidence_interval(0.95)
    difference = np.mean(numerator) - np.mean(denominator)
    assert math.log(ratio.ratio) == pytest.approx(difference, abs=1e-9)
    assert math.log(ratio.interval.low) == pytest.approx(interval.low, rel=1e-6, abs=1e-9)
    assert math.log(ratio.interval.high) == pytest.approx(interval.high, rel=1e-6, abs=1e-9)
    assert ratio.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-9)


@given(numerator=LOGS, denominator=LOGS)
def test_swapping_numerator_and_denominator_inverts_the_ratio(
    numerator: list[float], denominator: list[float]
) -> None:
    ratio, inverse = (
        ratio_of_exact([numerator], [denominator]),
        ratio_of_exact([denominator], [numerator]),
    )
    assert inverse.ratio == pytest.approx(1 / ratio.ratio)
    assert inverse.interval.low == pytest.approx(1 / ratio.interval.high)
    assert inverse.p_value == pytest.approx(ratio.p_value)


def test_strata_have_equal_weight_whatever_their_sizes() -> None:
    numerator = [[1.0, 1.1, 0.9], [3.0, 3.1, 2.9] * 5]
    denominator = [[0.0, 0.1, -0.1]]
    assert math.log(ratio_of_exact(numerator, denominator).ratio) == pytest.approx(2)


def test_variation_between_strata_does_not_widen_the_interval() -> None:
    alike = [[1.0, 1.1, 0.9], [1.0, 1.1, 0.9]]
    different = [[0.0, 0.1, -0.1], [2.0, 2.1, 1.9]]
    denominator = [[0.0, 0.1, -0.1]]
    narrow, wide = (ratio_of_exact(strata, denominator).interval for strata in (alike, different))
    assert wide.high / wide.low == pytest.approx(narrow.high / narrow.low)


def test_degrees_of_freedom_are_satterthwaites() -> None:
    """The standard error of a mean of two strata, compared with one stratum."""
    blocks = [1.0, 1.1, 0.9]
    variance = np.var(blocks, ddof=1) / 3
    total = variance / 4 + variance / 4 + variance
    degrees_of_freedom = total**2 / (2 * (variance / 4) ** 2 / 2 + variance**2 / 2)
    half_width = stats.t.ppf(0.975, degrees_of_freedom) * total**0.5
    ratio = ratio_of_exact([blocks, blocks], [blocks])
    assert math.log(ratio.interval.high) == pytest.approx(half_width)
    assert math.log(ratio.interval.low) == pytest.approx(-half_width)


def test_a_difference_within_the_bounds_is_not_significant() -> None:
    """Both searches found the same passing and the same failing rate in every block."""
    reference = StratifiedBounds(lower=[[5.0, 5.0, 5.0]], upper=[[5.2, 5.2, 5.2]])
    same = unpaired_ratio(reference, reference)
    assert same.ratio == 1
    assert same.interval.low == pytest.approx(math.exp(-0.2))
    assert same.interval.high == pytest.approx(math.exp(0.2))
    assert same.p_value == 1
    higher = StratifiedBounds(lower=[[5.4, 5.4, 5.4]], upper=[[5.6, 5.6, 5.6]])
    assert unpaired_ratio(higher, reference).p_value == 0
    assert unpaired_ratio(reference, higher).p_value == 0
    assert unpaired_ratio(higher, reference).interval.low == pytest.approx(math.exp(0.2))
