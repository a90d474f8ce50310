import math

import pytest
from pydantic import ValidationError

from fwbench.stats.estimate import Interval
from fwbench.stats.ratios import NoComparison, RatioEstimate, Replicate
from fwbench.stats.stopping import StoppingTarget, decide, half_width_percent

RULE = StoppingTarget(within_percent=2, at_most=30)
WORDS = "until every 95 % interval is within ±2 %, after 10 blocks at least and 30 at most"


def within(percent: float) -> RatioEstimate:
    """A ratio of 1.5, known so exactly."""
    reach = 1 + percent / 100
    return RatioEstimate(
        ratio=1.5,
        interval=Interval(low=1.5 / reach, high=1.5 * reach),
        n=10,
        unit=Replicate.BLOCK,
        p_value=0.001,
        log_ratios=(math.log(1.5),) * 10,
    )


NARROW, WIDE = within(1.999), within(2.5)


def test_the_width_is_a_share_of_the_ratio_whatever_that_is() -> None:
    assert half_width_percent(WIDE.interval) == pytest.approx(2.5)


def test_it_ends_when_every_interval_is_narrow() -> None:
    decision = decide(RULE, 12, {"b": NARROW, "c": NARROW})
    assert decision.stop
    assert decision.reason == f"every interval was narrow at 12 blocks: {WORDS}"


def test_one_wide_interval_keeps_it_going() -> None:
    decision = decide(RULE, 12, {"b": NARROW, "c": WIDE})
    assert not decision.stop
    assert decision.reason == f"12 blocks (c is within ±2.5 %): {WORDS}"


def test_it_does_not_look_before_the_tenth_block() -> None:
    assert not decide(RULE, 9, {"b": NARROW}).stop
    assert decide(RULE, 10, {"b": NARROW}).stop


def test_it_ends_at_the_most_and_says_what_is_still_wide() -> None:
    assert not decide(RULE, 29, {"b": WIDE}).stop
    decision = decide(RULE, 30, {"b": WIDE, "c": NARROW})
    assert decision.stop
    assert decision.reason == f"30 blocks are the most (b is within ±2.5 %): {WORDS}"


def test_what_cannot_be_compared_is_not_narrow() -> None:
    none = NoComparison(reason="2 blocks with values of both, 3 are needed")
    assert not decide(RULE, 12, {"b": none, "c": NARROW}).stop
    assert f"b can be no claim: {none.reason}" in decide(RULE, 30, {"b": none}).reason


def test_with_nothing_to_compare_only_the_most_ends_it() -> None:
    assert not decide(RULE, 29, {}).stop
    assert decide(RULE, 30, {}).stop


def test_a_rule_that_looks_too_early_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 10"):
        StoppingTarget(within_percent=2, at_least=9, at_most=30)


def test_a_rule_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"at_most \(9\) is below at_least \(10\)"):
        StoppingTarget(within_percent=2, at_most=9)


def test_a_rule_that_is_never_met_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        StoppingTarget(within_percent=0, at_most=30)
