"""The search for the highest rate at which the p99 stays under a limit."""

import math
from collections.abc import Iterable, Sequence

from fwbench.model.base import Frozen
from fwbench.model.load import Search
from fwbench.model.record import Record
from fwbench.model.verdict import Effect, Level
from fwbench.stats.estimate import Estimate, Interval, estimate


class Bracket(Frozen):
    """The result of a search in one block, in requests per second.

    `passed` is the highest rate that passed, or None if every rate tried failed. `failed` is the
    lowest rate that failed, or None if every rate tried passed.
    """

    passed: float | None
    failed: float | None


class HighestRate(Frozen):
    """The highest rate over the blocks, in requests per second.

    `rate` is the geometric mean of the highest rates that passed. The interval runs from the lower
    limit of their 95 % interval to the upper limit of the lowest failing rates, because the true
    rate of each block lies between the two. Both are None if a block is censored: its true rate
    lies outside the range of the search. The mean is then `at_least` or `below` a bound. If blocks
    are censored on both sides, there is no bound.

    `n` counts the blocks with a result, `undetermined_blocks` the others.
    """

    n: int
    rate: float | None
    interval: Interval | None
    at_least: float | None
    below: float | None
    brackets: tuple[Bracket, ...]
    undetermined_blocks: int


def passed(record: Record, search: Search) -> bool | None:
    """Return whether the server kept up with the step's rate, with its p99 under the limit.

    The p99 is corrected for coordinated omission. Return None if the step has no answer, because
    its run is invalid for a reason other than its rate.
    """
    invalid = {f.effect for f in record.verdict.findings if f.level is Level.INVALID}
    if invalid:
        return False if invalid == {Effect.OVERLOAD} else None
    load = record.observation.load
    corrected = None if load is None or load.log is None else load.log.corrected_latency
    if corrected is None or corrected.p99_us is None:
        return None
    return corrected.p99_us <= search.p99_ms * 1e3


def next_rate(search: Search, steps: Iterable[bool | None]) -> float:
    """Return the rate to try after `steps` in a block: the geometric mean of the remaining range.

    A step without an answer counts as failed here, and its block has no result.
    """
    low, high = _remaining_range(search, steps)
    return _geometric_mean(low, high)


def bracket(search: Search, steps: Sequence[bool | None]) -> Bracket | None:
    """Return the result of a block; None if one of its steps is missing or has no answer."""
    if len(steps) < search.steps or None in steps:
        return None
    low, high = _remaining_range(search, steps)
    return Bracket(
        passed=low if True in steps else None,
        failed=high if False in steps else None,
    )


def highest_rate(search: Search, blocks: Iterable[Sequence[bool | None]]) -> HighestRate:
    """Return the estimate over all blocks, each given by the answers of its steps in order."""
    results = [bracket(search, steps) for steps in blocks]
    brackets = tuple(result for result in results if result is not None)
    lower = _log_estimate([bracket.passed for bracket in brackets])
    upper = _log_estimate([bracket.failed for bracket in brackets])
    interval = None
    if lower and upper and lower.interval and upper.interval:
        interval = Interval(low=math.exp(lower.interval.low), high=math.exp(upper.interval.high))
    return HighestRate(
        n=len(brackets),
        rate=math.exp(lower.mean) if lower and upper else None,
        interval=interval,
        at_least=math.exp(lower.mean) if lower and not upper else None,
        below=math.exp(upper.mean) if upper and not lower else None,
        brackets=brackets,
        undetermined_blocks=len(results) - len(brackets),
    )


def censored_message(brackets: Sequence[Bracket]) -> str | None:
    """Return how many blocks are censored and what to do about it; None if no block is.

    Do not compare the other blocks either: they would be selected by their result.
    """
    messages = []
    for rates, result, advice in (
        ([bracket.failed for bracket in brackets], "passed", "raise `highest` of the search"),
        ([bracket.passed for bracket in brackets], "failed", "lower `lowest` of the search"),
    ):
        if censored := rates.count(None):
            blocks = f"{censored} of {len(rates)} blocks"
            messages.append(f"{result} every rate tried in {blocks}: {advice}")
    return " and ".join(messages) or None


def _log_estimate(rates: Sequence[float | None]) -> Estimate | None:
    """Return the estimate of the logarithms; None if a rate is unknown."""
    logs = [math.log(rate) for rate in rates if rate is not None]
    return estimate(logs) if len(logs) == len(rates) else None


def _remaining_range(search: Search, steps: Iterable[bool | None]) -> tuple[float, float]:
    low, high = search.lowest, search.highest
    for step in steps:
        rate = _geometric_mean(low, high)
        low, high = (rate, high) if step else (low, rate)
    return low, high


def _geometric_mean(low: float, high: float) -> float:
    """Return it with five digits, so that no rate depends on the last bit of a square root."""
    return float(f"{math.sqrt(low * high):.5g}")
