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
    """Return a step of the search with the given corrected p99 and findings."""
    base = log()
    corrected = base.latency.model_copy(update={"p99_us": p99_us})
    load = load_result(log=base.model_copy(update={"corrected_latency": corrected}))
    return Record(
        run=run(load=Load(connections=10, duration_s=3, search=SEARCH)),
        observation=observation(load=load, offered_rate=800),
        verdict=Verdict(findings=tuple(finding(code, level) for code in codes)),
    )


def search_for(capacity: float, search: Search = SEARCH) -> list[bool | None]:
    """Return the results of a block's steps if the server passes every rate up to `capacity`."""
    steps: list[bool | None] = []
    for _ in range(search.steps):
        steps.append(next_rate(search, steps) <= capacity)
    return steps


def test_a_p99_at_the_limit_passes_and_one_above_it_fails() -> None:
    assert passed(step(50_000), SEARCH) is True
    assert passed(step(50_001), SEARCH) is False


@pytest.mark.parametrize("code", ["rate-not-reached", "loadgen-timeout"])
def test_a_rate_that_was_not_reached_fails(code: str) -> None:
    assert passed(step(10, code), SEARCH) is False


def test_step_invalid_for_another_reason_has_no_result() -> None:
    assert passed(step(10, "oom-kill"), SEARCH) is None
    assert passed(step(10, "rate-not-reached", "client-saturated"), SEARCH) is None
    assert passed(step(None), SEARCH) is None


def test_suspect_step_has_a_result() -> None:
    assert passed(step(10, "retransmits", level=Level.SUSPECT), SEARCH) is True


def test_the_first_rate_is_the_geometric_mean_of_the_range() -> None:
    assert next_rate(SEARCH, []) == 800
    assert next_rate(SEARCH, [True]) == pytest.approx(math.sqrt(800 * 6400), rel=1e-4)
    assert next_rate(SEARCH, [False]) == pytest.approx(math.sqrt(800 * 100), rel=1e-4)


@given(truth=st.floats(101, 6399), steps=st.integers(1, 12))
def test_a_block_brackets_the_true_rate(truth: float, steps: int) -> None:
    search = SEARCH.model_copy(update={"steps": steps})
    result = bracket(search, search_for(truth, search))
    assert result is not None
    low, high = result.passed or search.lowest, result.failed or search.highest
    assert low <= truth * 1.0001
    assert truth <= high * 1.0001
    assert high / low == pytest.approx(64 ** (1 / 2**steps), rel=1e-3)


def test_rate_outside_the_range_has_only_one_bound() -> None:
    result = bracket(SEARCH, search_for(50))
    assert result is not None
    assert result.passed is None
    result = bracket(SEARCH, search_for(10_000))
    assert result is not None
    assert result.failed is None


def test_block_with_a_missing_or_undetermined_step_has_no_result() -> None:
    steps = search_for(1000)
    assert bracket(SEARCH, steps[:-1]) is None
    assert bracket(SEARCH, [*steps[:-1], None]) is None


@given(truths=st.lists(st.floats(200, 5000), min_size=3, max_size=20))
def test_the_interval_contains_the_mean_of_the_true_rates(truths: list[float]) -> None:
    estimate = highest_rate(SEARCH, [search_for(truth) for truth in truths])
    mean = math.exp(sum(map(math.log, truths)) / len(truths))
    assert estimate.n == len(truths)
    assert estimate.rate is not None
    assert estimate.interval is not None
    assert estimate.interval.low * 0.999 <= estimate.rate <= mean * 1.001
    assert mean <= estimate.interval.high * 1.001


@given(truths=st.lists(st.floats(10, 60_000), min_size=1, max_size=20))
def test_bounds_hold_if_rates_lie_outside_the_range(
    truths: list[float],
) -> None:
    estimate = highest_rate(SEARCH, [search_for(truth) for truth in truths])
    mean = math.exp(sum(map(math.log, truths)) / len(truths))
    censored = censored_message(estimate.brackets)
    assert estimate.n == len(truths)
    assert (estimate.rate is None) == (censored is not None)
    assert estimate.rate is not None or estimate.interval is None
    assert estimate.at_least is None or estimate.at_least <= mean * 1.001
    assert estimate.below is None or mean <= estimate.below * 1.001
    assert (estimate.rate, estimate.at_least, estimate.below).count(None) >= 2


def test_censored_blocks_are_counted_with_advice() -> None:
    estimate = highest_rate(SEARCH, [search_for(truth) for truth in (10, 1000, 60_000, 60_000)])
    assert censored_message(estimate.brackets) == (
        "passed every rate tried in 2 of 4 blocks: raise `highest` of the search"
        " and failed every rate tried in 1 of 4 blocks: lower `lowest` of the search"
    )
    assert censored_message(estimate.brackets[1:2]) is None


def test_blocks_without_a_result_are_counted() -> None:
    estimate = highest_rate(SEARCH, [search_for(900), [None] * 6, search_for(900)])
    assert (estimate.n, estimate.undetermined_blocks, estimate.interval) == (2, 1, None)
