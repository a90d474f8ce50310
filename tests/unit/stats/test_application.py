import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.stats.application import (
    FrameworkPart,
    FrameworkShare,
    FrameworkTime,
    parse_framework_share,
    request_saving,
    request_speedup,
)
from fwbench.stats.estimate import Interval

AROUND_3 = Interval(low=2, high=4)
RATIOS = st.floats(0.1, 10)


def test_claimed_15_percent_is_a_speedup_not_the_time_saved() -> None:
    effect = request_speedup(FrameworkShare(share=0.2), 3, AROUND_3)
    assert effect.speedup == pytest.approx(1.1538, abs=1e-4)
    assert effect.less_time_percent == pytest.approx(13.33, abs=0.01)


def test_interval_limits_follow_from_the_same_formula() -> None:
    effect = request_speedup(FrameworkShare(share=0.2), 3, AROUND_3)
    assert effect.speedup_interval.low == pytest.approx(1 / 0.9)
    assert effect.speedup_interval.high == pytest.approx(1 / 0.85)
    assert effect.less_time_interval.low == pytest.approx(10)
    assert effect.less_time_interval.high == pytest.approx(15)


def test_speedup_with_a_framework_share_of_1_is_the_ratio() -> None:
    effect = request_speedup(FrameworkShare(share=1), 3, AROUND_3)
    assert (effect.speedup, effect.speedup_interval) == (pytest.approx(3), AROUND_3)


def test_request_saving_is_in_milliseconds() -> None:
    effect = request_saving(FrameworkTime(ms=12), 3, AROUND_3)
    assert effect.ms == pytest.approx(8)
    assert effect.interval == Interval(low=6, high=9)


@given(st.floats(0.01, 1), st.lists(RATIOS, min_size=3, max_size=3))
def test_faster_framework_saves_time_and_slower_one_costs_time(
    share: float, ratios: list[float]
) -> None:
    low, ratio, high = sorted(ratios)
    effect = request_speedup(FrameworkShare(share=share), ratio, Interval(low=low, high=high))
    saved = request_saving(FrameworkTime(ms=1), ratio, Interval(low=low, high=high))
    assert effect.speedup_interval.low <= effect.speedup <= effect.speedup_interval.high
    assert (
        effect.less_time_interval.low <= effect.less_time_percent <= effect.less_time_interval.high
    )
    assert saved.interval.low <= saved.ms <= saved.interval.high
    assert effect.speedup <= max(1, 1 / (1 - share) if share < 1 else ratio) * (1 + 1e-9)
    if ratio > 1.001:
        assert effect.less_time_percent > 0
        assert saved.ms > 0
    if ratio < 0.999:
        assert effect.speedup < 1
        assert saved.ms < 0


@pytest.mark.parametrize(
    ("text", "framework_share"),
    [
        ("20%", FrameworkShare(share=0.2)),
        (" 20 % ", FrameworkShare(share=0.2)),
        ("0.2", FrameworkShare(share=0.2)),
        (".2", FrameworkShare(share=0.2)),
        ("100%", FrameworkShare(share=1)),
        ("1", FrameworkShare(share=1)),
        ("0.5%", FrameworkShare(share=0.005)),
        ("10ms", FrameworkTime(ms=10)),
        ("2.5 ms", FrameworkTime(ms=2.5)),
    ],
)
def test_common_spellings_of_shares_and_times_are_parsed(
    text: str, framework_share: FrameworkPart
) -> None:
    assert parse_framework_share(text) == framework_share


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("20", "'20' is more than the whole request: write 20%, 0.2 or 10ms"),
        ("120%", "'120%' is more than the whole request: write 20%, 0.2 or 10ms"),
        ("0", "'0' is no time at all: write more than 0, as in 20%, 0.2 or 10ms"),
        ("0ms", "'0ms' is no time at all: write more than 0, as in 20%, 0.2 or 10ms"),
        ("-20%", "'-20%' is neither a share nor a time: write 20%, 0.2 or 10ms"),
        ("10s", "'10s' is neither a share nor a time: write 20%, 0.2 or 10ms"),
        ("nan", "'nan' is neither a share nor a time: write 20%, 0.2 or 10ms"),
        ("9" * 400 + "ms", f"{'9' * 20}… is too large: write 20%, 0.2 or 10ms"),
        ("", "'' is neither a share nor a time: write 20%, 0.2 or 10ms"),
    ],
)
def test_other_text_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_framework_share(text)
