import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.stats.compare import (
    Comparison,
    NoComparison,
    Outcome,
    RatioEstimate,
    Replicate,
    Values,
    judge_family,
    paired_ratio,
)
from fwbench.stats.power import detectable

SAMPLES = st.lists(
    st.tuples(st.floats(100, 10_000), st.floats(100, 10_000)), min_size=3, max_size=8
)


def on_one_rig(*values: float) -> Values:
    return {"one": dict(enumerate(values, start=1))}


def pair_of(contender: Values, baseline: Values) -> RatioEstimate:
    found = paired_ratio(contender, baseline)
    assert isinstance(found, RatioEstimate)
    return found


def pair(*ratios: float) -> RatioEstimate:
    """A contender with such a ratio in each block."""
    return pair_of(on_one_rig(*ratios), on_one_rig(*[1] * len(ratios)))


def around(ratio: float, spread: float) -> RatioEstimate:
    """Ten blocks around a ratio; the interval is ± 0.75 × the spread or so."""
    ends = (ratio * (1 + spread), ratio / (1 + spread))
    return pair(*ends * 5)


def judged(
    pairs: Sequence[RatioEstimate],
    margin: float = 0.02,
    noise_floor: float | None = None,
    higher_is_better: bool = True,
) -> list[Comparison]:
    named = {str(number): one for number, one in enumerate(pairs)}
    found = judge_family(
        named,
        margin=margin,
        noise_floors={} if noise_floor is None else dict.fromkeys(named, noise_floor),
        higher_is_better=dict.fromkeys(named, higher_is_better),
    )
    assert list(found) == list(named)
    return [one for one in found.values() if isinstance(one, Comparison)]


# What is one unit


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


# What may be said


@pytest.mark.parametrize(
    ("one", "higher_is_better", "word"),
    [
        (around(1.5, 0.1), True, Outcome.FASTER),
        (around(0.5, 0.1), True, Outcome.SLOWER),
        (around(1.5, 0.1), False, Outcome.SLOWER),
        (around(0.5, 0.1), False, Outcome.FASTER),
        (around(1.0, 0.01), True, Outcome.EQUIVALENT),
        (around(1.0, 0.1), True, Outcome.INCONCLUSIVE),
    ],
)
def test_each_word_has_its_case(one: RatioEstimate, higher_is_better: bool, word: Outcome) -> None:
    [found] = judged([one], higher_is_better=higher_is_better)
    assert found.outcome == word


def test_a_difference_that_is_shown_but_within_the_margin_is_called_equal() -> None:
    small = around(1.01, 0.001)
    assert small.p_value < 0.001
    assert judged([small], margin=0.02)[0].outcome == Outcome.EQUIVALENT
    assert judged([small], margin=0.005)[0].outcome == Outcome.FASTER


def test_equal_takes_the_whole_interval() -> None:
    [found] = judged([around(1.0, 0.02)], margin=0.02)
    assert found.interval.high == pytest.approx(1.0151, abs=1e-4)
    assert found.outcome == Outcome.EQUIVALENT
    assert judged([around(1.0, 0.02)], margin=0.0150)[0].outcome == Outcome.INCONCLUSIVE
    assert judged([around(1.01, 0.02)], margin=0.02)[0].outcome == Outcome.INCONCLUSIVE
    assert judged([around(1 / 1.01, 0.02)], margin=0.02)[0].outcome == Outcome.INCONCLUSIVE


def test_what_one_of_many_shows_by_luck_is_not_claimed() -> None:
    lucky = around(1.02, 0.025)
    assert 0.025 < lucky.p_value < 0.05
    assert judged([lucky], margin=0)[0].outcome == Outcome.FASTER
    [beside, _] = judged([lucky, around(1.0, 0.1)], margin=0)
    assert beside.p_adjusted == pytest.approx(2 * lucky.p_value)
    assert beside.outcome == Outcome.INCONCLUSIVE


def test_what_cannot_be_compared_stays_so_and_is_no_member_of_the_family() -> None:
    none = NoComparison(reason="2 blocks with values of both, 3 are needed")
    found = judge_family(
        {"a": none, "b": around(1.5, 0.1)},
        margin=0.02,
        noise_floors={},
        higher_is_better={"a": True, "b": True},
    )
    assert found["a"] == none
    assert isinstance(found["b"], Comparison)
    assert found["b"].p_adjusted == found["b"].p_value


@pytest.mark.parametrize("noise_floor", [1.06, 1 / 1.06])
def test_nothing_is_claimed_below_the_noise_floor(noise_floor: float) -> None:
    below, above = judged([around(1.05, 0.01), around(1.07, 0.01)], noise_floor=noise_floor)
    assert (below.outcome, below.below_noise_floor) == (Outcome.INCONCLUSIVE, True)
    assert (above.outcome, above.below_noise_floor) == (Outcome.FASTER, False)
    assert below.noise_floor == pytest.approx(1.06)


def test_nothing_is_called_equal_more_finely_than_the_noise_floor() -> None:
    [found] = judged([around(1.0, 0.01)], margin=0.02, noise_floor=1.03)
    assert found.outcome == Outcome.INCONCLUSIVE
    [found] = judged([around(1.0, 0.01)], margin=0.02, noise_floor=1.01)
    assert found.outcome == Outcome.EQUIVALENT


def test_each_setting_has_its_own_noise_floor_and_direction() -> None:
    found = judge_family(
        {"calm": around(1.05, 0.01), "noisy": around(1.05, 0.01), "latency": around(1.05, 0.01)},
        margin=0.02,
        noise_floors={"calm": 1.01, "noisy": 1.06},
        higher_is_better={"calm": True, "noisy": True, "latency": False},
    )
    words = {name: one.outcome for name, one in found.items() if isinstance(one, Comparison)}
    assert words == {
        "calm": Outcome.FASTER,
        "noisy": Outcome.INCONCLUSIVE,
        "latency": Outcome.SLOWER,
    }


def test_without_an_a_a_pair_there_is_no_noise_floor() -> None:
    [found] = judged([around(1.0, 0.1)])
    assert (found.noise_floor, found.below_noise_floor) == (None, False)


def test_what_could_have_been_seen_is_said_of_the_family() -> None:
    one = around(1.0, 0.1)
    sd = math.log(1.1) * (10 / 9) ** 0.5
    assert judged([one])[0].detectable == pytest.approx(detectable(sd, 10))
    assert judged([one, one, one])[0].detectable == pytest.approx(detectable(sd, 10, 3))


@given(SAMPLES)
def test_the_a_a_pair_never_passes_its_own_noise_floor(values: list[tuple[float, float]]) -> None:
    ours, theirs = (on_one_rig(*side) for side in zip(*values, strict=True))
    aa_control = pair_of(ours, theirs)
    [found] = judged([aa_control], margin=0, noise_floor=aa_control.ratio)
    assert found.below_noise_floor
    assert found.outcome not in {Outcome.FASTER, Outcome.SLOWER}


@given(SAMPLES)
def test_the_other_way_round_the_words_are_turned_round(values: list[tuple[float, float]]) -> None:
    ours, theirs = (on_one_rig(*side) for side in zip(*values, strict=True))
    [there], [back] = judged([pair_of(ours, theirs)]), judged([pair_of(theirs, ours)])
    turned = {Outcome.FASTER: Outcome.SLOWER, Outcome.SLOWER: Outcome.FASTER}
    assert back.outcome == turned.get(there.outcome, there.outcome)
