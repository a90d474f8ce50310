import math

import pytest
from builders import finding, load_result, log, observation, run
from hypothesis import given
from hypothesis import strategies as st

from fwbench.model.load import Load, Search
from fwbench.model.record import Record
from fwbench.model.verdict import Level, Verdict
from fwbench.stats.search import bracket, censored_message, highest_rate, next_rate, passed

SEARCH = Search(p99_ms=50, lowest=100, highest=6400, steps=6)


def step(p99_us: int | None, *codes: str, level: Level = Level.INVALID) -> Record:
    """A step of the search with this corrected p99."""
    seen = log()
    corrected = seen.latency.model_copy(update={"p99_us": p99_us})
    load = load_result(log=seen.model_copy(update={"corrected_latency": corrected}))
    return Record(
        run=run(load=Load(connections=10, duration_s=3, search=SEARCH)),
        observation=observation(load=load, offered_rate=800),
        verdict=Verdict(findings=tuple(finding(code, level) for code in codes)),
    )


def search_for(truth: float, search: Search = SEARCH) -> list[bool | None]:
    """The steps of a block against a server that holds every rate up to the truth."""
    steps: list[bool | None] = []
    for _ in range(search.steps):
        steps.append(next_rate(search, steps) <= truth)
    return steps


def test_a_p99_at_the_bound_holds_and_one_above_it_does_not() -> None:
    assert passed(step(50_000), SEARCH) is True
    assert passed(step(50_001), SEARCH) is False


@pytest.mark.parametrize("code", ["rate-not-reached", "loadgen-timeout"])
def test_a_rate_that_was_not_reached_does_not_hold(code: str) -> None:
    assert passed(step(10, code), SEARCH) is False


def test_a_step_that_is_invalid_for_another_reason_does_not_tell() -> None:
    assert passed(step(10, "oom-kill"), SEARCH) is None
    assert passed(step(10, "rate-not-reached", "client-saturated"), SEARCH) is None
    assert passed(step(None), SEARCH) is None


def test_a_suspect_step_tells() -> None:
    assert passed(step(10, "retransmits", level=Level.SUSPECT), SEARCH) is True


def test_the_first_rate_is_the_geometric_middle() -> None:
    assert next_rate(SEARCH, []) == 800
    assert next_rate(SEARCH, [True]) == pytest.approx(math.sqrt(800 * 6400), rel=1e-4)
    assert next_rate(SEARCH, [False]) == pytest.approx(math.sqrt(800 * 100), rel=1e-4)


@given(truth=st.floats(101, 6399), steps=st.integers(1, 12))
def test_a_block_brackets_the_truth_as_closely_as_it_says(truth: float, steps: int) -> None:
    search = SEARCH.model_copy(update={"steps": steps})
    found = bracket(search, search_for(truth, search))
    assert found is not None
    low, high = found.passed or search.lowest, found.failed or search.highest
    assert low <= truth * 1.0001
    assert truth <= high * 1.0001
    assert high / low == pytest.approx(64 ** (1 / 2**steps), rel=1e-3)


def test_the_ends_of_the_range_are_not_claimed() -> None:
    found = bracket(SEARCH, search_for(50))
    assert found is not None
    assert found.passed is None
    found = bracket(SEARCH, search_for(10_000))
    assert found is not None
    assert found.failed is None


def test_a_block_with_an_unfinished_search_or_an_unknown_step_has_no_answer() -> None:
    steps = search_for(1000)
    assert bracket(SEARCH, steps[:-1]) is None
    assert bracket(SEARCH, [*steps[:-1], None]) is None


@given(truths=st.lists(st.floats(200, 5000), min_size=3, max_size=20))
def test_the_interval_holds_what_the_blocks_found(truths: list[float]) -> None:
    found = highest_rate(SEARCH, [search_for(truth) for truth in truths])
    mean = math.exp(sum(map(math.log, truths)) / len(truths))
    assert found.n == len(truths)
    assert found.rate is not None
    assert found.interval is not None
    assert found.interval.low * 0.999 <= found.rate <= mean * 1.001
    assert mean <= found.interval.high * 1.001


@given(truths=st.lists(st.floats(10, 60_000), min_size=1, max_size=20))
def test_what_is_said_of_the_mean_is_true_whatever_lies_beyond_the_range(
    truths: list[float],
) -> None:
    found = highest_rate(SEARCH, [search_for(truth) for truth in truths])
    mean = math.exp(sum(map(math.log, truths)) / len(truths))
    beyond = censored_message(found.brackets)
    assert found.n == len(truths)
    assert (found.rate is None) == (beyond is not None)
    assert found.rate is not None or found.interval is None
    assert found.at_least is None or found.at_least <= mean * 1.001
    assert found.below is None or mean <= found.below * 1.001
    assert (found.rate, found.at_least, found.below).count(None) >= 2


def test_censored_blocks_are_counted_with_what_to_do() -> None:
    found = highest_rate(SEARCH, [search_for(truth) for truth in (10, 1000, 60_000, 60_000)])
    assert censored_message(found.brackets) == (
        "held every rate tried in 2 of 4 blocks: raise `highest`"
        " and held none of the rates tried in 1 of 4 blocks: lower `lowest`"
    )
    assert censored_message(found.brackets[1:2]) is None


def test_blocks_that_do_not_tell_are_counted() -> None:
    found = highest_rate(SEARCH, [search_for(900), [None] * 6, search_for(900)])
    assert (found.n, found.undetermined_blocks, found.interval) == (2, 1, None)
