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

THREE = Interval(low=2, high=4)
RATIOS = st.floats(0.1, 10)


def test_the_published_claim_of_15_percent_is_a_speedup_and_not_time() -> None:
    found = request_speedup(FrameworkShare(share=0.2), 3, THREE)
    assert found.speedup == pytest.approx(1.1538, abs=1e-4)
    assert found.less_time_percent == pytest.approx(13.33, abs=0.01)


def test_the_interval_goes_through_the_same_formula() -> None:
    found = request_speedup(FrameworkShare(share=0.2), 3, THREE)
    assert found.speedup_interval.low == pytest.approx(1 / 0.9)
    assert found.speedup_interval.high == pytest.approx(1 / 0.85)
    assert found.less_time_interval.low == pytest.approx(10)
    assert found.less_time_interval.high == pytest.approx(15)


def test_where_serving_is_everything_the_ratio_is_the_speedup() -> None:
    found = request_speedup(FrameworkShare(share=1), 3, THREE)
    assert (found.speedup, found.speedup_interval) == (pytest.approx(3), THREE)


def test_milliseconds_are_saved() -> None:
    found = request_saving(FrameworkTime(ms=12), 3, THREE)
    assert found.ms == pytest.approx(8)
    assert found.interval == Interval(low=6, high=9)


@given(st.floats(0.01, 1), st.lists(RATIOS, min_size=3, max_size=3))
def test_what_is_faster_saves_and_what_is_slower_costs(share: float, ratios: list[float]) -> None:
    low, ratio, high = sorted(ratios)
    found = request_speedup(FrameworkShare(share=share), ratio, Interval(low=low, high=high))
    saved = request_saving(FrameworkTime(ms=1), ratio, Interval(low=low, high=high))
    assert found.speedup_interval.low <= found.speedup <= found.speedup_interval.high
    assert found.less_time_interval.low <= found.less_time_percent <= found.less_time_interval.high
    assert saved.interval.low <= saved.ms <= saved.interval.high
    assert found.speedup <= max(1, 1 / (1 - share) if share < 1 else ratio) * (1 + 1e-9)
    if ratio > 1.001:
        assert found.less_time_percent > 0
        assert saved.ms > 0
    if ratio < 0.999:
        assert found.speedup < 1
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
def test_a_part_is_read_as_people_write_it(text: str, framework_share: FrameworkPart) -> None:
    assert parse_framework_share(text) == framework_share


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("20", "'20' is more than the whole request: say 20%, 0.2 or 10ms"),
        ("120%", "'120%' is more than the whole request: say 20%, 0.2 or 10ms"),
        ("0", "'0' leaves serving no time: nothing would change"),
        ("0ms", "'0ms' leaves serving no time: nothing would change"),
        ("-20%", "'-20%' is no part of a request: say 20%, 0.2 or 10ms"),
        ("10s", "'10s' is no part of a request: say 20%, 0.2 or 10ms"),
        ("nan", "'nan' is no part of a request: say 20%, 0.2 or 10ms"),
        ("9" * 400 + "ms", f"{'9' * 20}… is too large a number: say 20%, 0.2 or 10ms"),
        ("", "'' is no part of a request: say 20%, 0.2 or 10ms"),
    ],
)
def test_what_is_no_part_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        parse_framework_share(text)
