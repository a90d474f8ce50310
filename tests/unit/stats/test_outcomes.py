import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from ratio_builders import SAMPLES, around, on_one_rig, pair_of

from fwbench.stats.outcomes import Comparison, Outcome, judge_family
from fwbench.stats.ratios import NoComparison, RatioEstimate
from fwbench.stats.significance import detectable


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
