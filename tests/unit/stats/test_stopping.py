import math

import pytest
from pydantic import ValidationError

from fwbench.stats.estimate import Interval
from fwbench.stats.ratios import NoComparison, RatioEstimate, Replicate
from fwbench.stats.stopping import StoppingTarget, half_width_percent, reason_to_stop

TARGET = StoppingTarget(within_percent=2, at_most=30)
RULE = "(rule: stop when every 95 % interval is within ±2 %, after 10 to 30 blocks)"


def ratio_within(percent: float) -> RatioEstimate:
    """Return a ratio of 1.5 with an interval of this half width."""
    factor = 1 + percent / 100
    return RatioEstimate(
        ratio=1.5,
        interval=Interval(low=1.5 / factor, high=1.5 * factor),
        n=10,
        replicate=Replicate.BLOCK,
        p_value=0.001,
        log_ratios=(math.log(1.5),) * 10,
    )


NARROW, WIDE = ratio_within(1.999), ratio_within(2.5)


def test_the_half_width_is_relative_to_the_ratio() -> None:
    assert half_width_percent(WIDE.interval) == pytest.approx(2.5)


def test_a_rig_stops_when_every_interval_is_narrow() -> None:
    reason = reason_to_stop(TARGET, 12, {"b": NARROW, "c": NARROW})
    assert reason == f"every interval is narrow enough after 12 blocks {RULE}"


def test_a_rig_continues_while_one_interval_is_wide() -> None:
    assert reason_to_stop(TARGET, 12, {"b": NARROW, "c": WIDE}) is None


def test_the_first_check_is_after_the_tenth_block() -> None:
    assert reason_to_stop(TARGET, 9, {"b": NARROW}) is None
    assert reason_to_stop(TARGET, 10, {"b": NARROW}) is not None


def test_reason_to_stop_at_the_maximum_names_wide_intervals() -> None:
    assert reason_to_stop(TARGET, 29, {"b": WIDE}) is None
    reason = reason_to_stop(TARGET, 30, {"b": WIDE, "c": NARROW})
    assert reason == f"30 blocks are the maximum, and b is only within ±2.5 % {RULE}"


def test_a_missing_ratio_is_not_narrow() -> None:
    missing = NoComparison(reason="no block has values of both, and 3 are needed")
    assert reason_to_stop(TARGET, 12, {"b": missing, "c": NARROW}) is None
    reason = reason_to_stop(TARGET, 30, {"b": missing})
    assert f"b has no outcome: {missing.reason}" in str(reason)


def test_without_comparisons_a_rig_stops_at_the_maximum_only() -> None:
    assert reason_to_stop(TARGET, 29, {}) is None
    assert "there is no comparison" in str(reason_to_stop(TARGET, 30, {}))


def test_a_first_check_before_the_tenth_block_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 10"):
        StoppingTarget(within_percent=2, at_least=9, at_most=30)


def test_a_maximum_below_the_minimum_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"at_most \(9\) is below at_least \(10\)"):
        StoppingTarget(within_percent=2, at_most=9)


def test_a_width_of_0_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        StoppingTarget(within_percent=0, at_most=30)
