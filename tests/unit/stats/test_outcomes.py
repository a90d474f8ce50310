import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from ratio_builders import VALUE_PAIRS, on_one_rig, ratio_around, ratio_estimate

from fwbench.stats.outcomes import Comparison, Outcome, judge_family
from fwbench.stats.ratios import NoComparison, RatioEstimate
from fwbench.stats.significance import detectable_ratio


def judge(
    ratios: Sequence[RatioEstimate],
    margin: float = 0.02,
    noise_floor: float | None = None,
    higher_is_better: bool = True,
) -> list[Comparison]:
    family = dict(enumerate(ratios))
    judged = judge_family(
        family,
        margin=margin,
        noise_floors={} if noise_floor is None else dict.fromkeys(family, noise_floor),
        higher_is_better=dict.fromkeys(family, higher_is_better),
    )
    assert list(judged) == list(family)
    return [result for result in judged.values() if isinstance(result, Comparison)]


@pytest.mark.parametrize(
    ("ratio", "higher_is_better", "outcome"),
    [
        (ratio_around(1.5, 0.1), True, Outcome.FASTER),
        (ratio_around(0.5, 0.1), True, Outcome.SLOWER),
        (ratio_around(1.5, 0.1), False, Outcome.SLOWER),
        (ratio_around(0.5, 0.1), False, Outcome.FASTER),
        (ratio_around(1.0, 0.01), True, Outcome.EQUIVALENT),
        (ratio_around(1.0, 0.1), True, Outcome.INCONCLUSIVE),
    ],
)
def test_outcome_follows_from_ratio_and_direction(
    ratio: RatioEstimate, higher_is_better: bool, outcome: Outcome
) -> None:
    [result] = judge([ratio], higher_is_better=higher_is_better)
    assert result.outcome == outcome


def test_significant_difference_within_the_margin_is_equivalent() -> None:
    small = ratio_around(1.01, 0.001)
    assert small.p_value < 0.001
    assert judge([small], margin=0.02)[0].outcome == Outcome.EQUIVALENT
    assert judge([small], margin=0.005)[0].outcome == Outcome.FASTER


def test_equivalent_requires_the_whole_interval_within_the_margin() -> None:
    [result] = judge([ratio_around(1.0, 0.02)], margin=0.02)
    assert result.interval.high == pytest.approx(1.0151, abs=1e-4)
    assert result.outcome == Outcome.EQUIVALENT
    assert judge([ratio_around(1.0, 0.02)], margin=0.0150)[0].outcome == Outcome.INCONCLUSIVE
    assert judge([ratio_around(1.01, 0.02)], margin=0.02)[0].outcome == Outcome.INCONCLUSIVE
    assert judge([ratio_around(1 / 1.01, 0.02)], margin=0.02)[0].outcome == Outcome.INCONCLUSIVE


def test_difference_not_significant_after_holm_is_not_claimed() -> None:
    borderline = ratio_around(1.02, 0.025)
    assert 0.025 < borderline.p_value < 0.05
    assert judge([borderline], margin=0)[0].outcome == Outcome.FASTER
    [in_family, _] = judge([borderline, ratio_around(1.0, 0.1)], margin=0)
    assert in_family.p_adjusted == pytest.approx(2 * borderline.p_value)
    assert in_family.outcome == Outcome.INCONCLUSIVE


def test_missing_ratio_does_not_count_for_holm() -> None:
    missing = NoComparison(reason="no block has values of both, and 3 are needed")
    judged = judge_family(
        {"a": missing, "b": ratio_around(1.5, 0.1)},
        margin=0.02,
        noise_floors={},
        higher_is_better={"a": True, "b": True},
    )
    assert judged["a"] == missing
    assert isinstance(judged["b"], Comparison)
    assert judged["b"].p_adjusted == judged["b"].p_value


@pytest.mark.parametrize("noise_floor", [1.06, 1 / 1.06])
def test_nothing_is_claimed_below_the_noise_floor(noise_floor: float) -> None:
    below, above = judge(
        [ratio_around(1.05, 0.01), ratio_around(1.07, 0.01)], noise_floor=noise_floor
    )
    assert (below.outcome, below.below_noise_floor) == (Outcome.INCONCLUSIVE, True)
    assert (above.outcome, above.below_noise_floor) == (Outcome.FASTER, False)
    assert below.noise_floor == pytest.approx(1.06)


def test_equivalent_requires_a_margin_above_the_noise_floor() -> None:
    [result] = judge([ratio_around(1.0, 0.01)], margin=0.02, noise_floor=1.03)
    assert result.outcome == Outcome.INCONCLUSIVE
    [result] = judge([ratio_around(1.0, 0.01)], margin=0.02, noise_floor=1.01)
    assert result.outcome == Outcome.EQUIVALENT


def test_each_setting_has_its_own_noise_floor_and_direction() -> None:
    judged = judge_family(
        dict.fromkeys(("quiet", "noisy", "latency"), ratio_around(1.05, 0.01)),
        margin=0.02,
        noise_floors={"quiet": 1.01, "noisy": 1.06},
        higher_is_better={"quiet": True, "noisy": True, "latency": False},
    )
    outcomes = {
        name: result.outcome for name, result in judged.items() if isinstance(result, Comparison)
    }
    assert outcomes == {
        "quiet": Outcome.FASTER,
        "noisy": Outcome.INCONCLUSIVE,
        "latency": Outcome.SLOWER,
    }


def test_without_an_a_a_control_there_is_no_noise_floor() -> None:
    [result] = judge([ratio_around(1.0, 0.1)])
    assert (result.noise_floor, result.below_noise_floor) == (None, False)


def test_the_detectable_ratio_depends_on_the_size_of_the_family() -> None:
    ratio = ratio_around(1.0, 0.1)
    sd = math.log(1.1) * (10 / 9) ** 0.5
    assert judge([ratio])[0].detectable_ratio == pytest.approx(detectable_ratio(sd, 10))
    assert judge([ratio] * 3)[0].detectable_ratio == pytest.approx(detectable_ratio(sd, 10, 3))


@given(VALUE_PAIRS)
def test_the_a_a_control_never_exceeds_its_own_noise_floor(
    values: list[tuple[float, float]],
) -> None:
    contender, baseline = (on_one_rig(*side) for side in zip(*values, strict=True))
    aa_control = ratio_estimate(contender, baseline)
    [result] = judge([aa_control], margin=0, noise_floor=aa_control.ratio)
    assert result.below_noise_floor
    assert result.outcome not in {Outcome.FASTER, Outcome.SLOWER}


@given(VALUE_PAIRS)
def test_swapping_contender_and_baseline_swaps_faster_and_slower(
    values: list[tuple[float, float]],
) -> None:
    contender, baseline = (on_one_rig(*side) for side in zip(*values, strict=True))
    [result] = judge([ratio_estimate(contender, baseline)])
    [swapped] = judge([ratio_estimate(baseline, contender)])
    opposite = {Outcome.FASTER: Outcome.SLOWER, Outcome.SLOWER: Outcome.FASTER}
    assert swapped.outcome == opposite.get(result.outcome, result.outcome)
