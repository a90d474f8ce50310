import math
import random

import pytest
from building import finding, record
from hypothesis import given
from hypothesis import strategies as st

from fwbench.analyse.ratio import NoRatio, Ratio, compare
from fwbench.model.record import Record
from fwbench.model.verdict import Level


def measured(contender: str, *per_s: float | None) -> list[Record]:
    """A record for each block; None is an invalid run."""
    return [
        record(contender, value or 5000, findings=() if value else (finding(),), block=block)
        for block, value in enumerate(per_s, start=1)
    ]


def ratio_of(contender: list[Record], baseline: list[Record]) -> Ratio:
    found = compare(contender, baseline)
    assert isinstance(found, Ratio)
    return found


def no_ratio_of(contender: list[Record], baseline: list[Record]) -> NoRatio:
    found = compare(contender, baseline)
    assert isinstance(found, NoRatio)
    return found


def test_the_ratio_is_the_geometric_mean_over_blocks() -> None:
    found = ratio_of(measured("b", 1000, 2000, 4000), measured("a", 1000, 1000, 1000))
    assert found.ratio == pytest.approx(2)
    # Logs 0, ln 2, 2 ln 2: deviation ln 2; t is 4.302653 with 2 degrees of freedom (any table).
    half = 4.302653 * math.log(2) / 3**0.5
    assert found.interval.low == pytest.approx(math.exp(math.log(2) - half))
    assert found.interval.high == pytest.approx(math.exp(math.log(2) + half))
    assert (found.blocks, found.excluded_runs) == (3, 0)


def test_drift_that_both_share_does_not_widen_the_interval() -> None:
    found = ratio_of(measured("b", 2000, 1500, 1000), measured("a", 1000, 750, 500))
    assert found.interval.high - found.interval.low < 1e-9


def test_blocks_are_matched_by_number_and_not_by_place() -> None:
    baseline = measured("a", 1000, 2000, 3000)
    found = ratio_of(measured("b", 2000, 4000, 6000), baseline[::-1])
    assert found.interval.low == pytest.approx(2)


def test_a_block_with_an_invalid_run_is_left_out_and_counted() -> None:
    found = ratio_of(measured("b", 2000, None, 2000, 2000), measured("a", 1000, 1, 1000, 1000))
    assert found.ratio == pytest.approx(2)
    assert (found.blocks, found.excluded_runs) == (3, 1)


def test_a_suspect_run_counts() -> None:
    suspect = [
        record("b", 2000, findings=(finding(level=Level.SUSPECT),), block=block)
        for block in (1, 2, 3)
    ]
    assert ratio_of(suspect, measured("a", 1000, 1000, 1000)).blocks == 3


def test_three_blocks_are_needed() -> None:
    found = no_ratio_of(measured("b", 2000, 2000, None), measured("a", 1000, 1000, 1000))
    assert found == NoRatio(
        reason="2 blocks with valid runs of both, 3 are needed", excluded_runs=1
    )


@pytest.mark.parametrize(("ours", "theirs", "whose"), [(None, 1000, "b"), (1000, None, "a")])
def test_without_a_valid_run_of_both_there_is_no_ratio(
    ours: float | None, theirs: float | None, whose: str
) -> None:
    found = no_ratio_of(measured("b", *[ours] * 5), measured("a", *[theirs] * 5))
    assert found == NoRatio(reason=f"{whose} has no valid run", excluded_runs=5)


def test_what_was_not_executed_gives_no_ratio() -> None:
    assert no_ratio_of([], measured("a", 1000)).reason == "one of the two was not executed yet"


def test_an_interval_with_1_in_it_shows_no_difference() -> None:
    apart = ratio_of(measured("b", 2000, 2001, 2002), measured("a", 1000, 1000, 1000))
    alike = ratio_of(measured("b", 1100, 900, 1000), measured("a", 1000, 1000, 1000))
    assert apart.shows_difference
    assert not alike.shows_difference


@given(st.lists(st.integers(1, 100_000), min_size=3, max_size=6))
def test_swapping_the_two_inverts_the_ratio(values: list[int]) -> None:
    ours, theirs = measured("b", *values), measured("a", *[1000] * len(values))
    there, back = ratio_of(ours, theirs), ratio_of(theirs, ours)
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.interval.low * back.interval.high == pytest.approx(1)


def test_the_interval_holds_what_it_promises() -> None:
    """Of 400 comparisons of a contender with itself, about 5 % show a difference."""
    noise = random.Random(1)  # noqa: S311 - noise, not a secret
    wrong = 0
    for _ in range(400):
        ours, theirs = ([noise.gauss(5000, 100) for _ in range(5)] for _ in "ab")
        wrong += ratio_of(measured("b", *ours), measured("a", *theirs)).shows_difference
    assert 6 <= wrong <= 36
