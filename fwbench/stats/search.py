"""The highest rate that keeps the 99th percentile under a bound: which to try, what was found."""

import math
from collections.abc import Iterable, Sequence

from fwbench.model.base import Frozen
from fwbench.model.load import Search
from fwbench.model.record import Record
from fwbench.model.verdict import Level
from fwbench.stats.estimate import Estimate, Interval, estimate

# What makes a run invalid just because its rate was too high: of a search, that is an answer.
OVERLOADED = frozenset({"rate-not-reached", "loadgen-timeout"})


class Bracket(Frozen):
    """What one block found: the highest rate that held, and the lowest that did not.

    None where every rate tried was too high, or none was.
    """

    passed: float | None
    failed: float | None


class HighestRate(Frozen):
    """The highest rate over the blocks, in requests per second.

    `rate` is the geometric mean of the highest rates that held. The interval goes from the lower
    end of their 95 % interval to the upper end of that of the lowest rates that did not hold: the
    truth of each block lies between the two. None where a block is censored: its truth lies beyond
    the range that was searched. Then the mean is known to be `at_least` so much, where blocks held
    every rate tried, or `below` so much, where blocks held none; neither where both occurred.
    """

    n: int
    rate: float | None
    interval: Interval | None
    at_least: float | None
    below: float | None
    brackets: tuple[Bracket, ...]
    undetermined_blocks: int


def passed(record: Record, search: Search) -> bool | None:
    """Whether the server kept up with the step's rate and its p99 under the bound.

    The p99 is the one corrected for coordinated omission. None if the run does not tell, because it
    is invalid for another reason than its rate.
    """
    invalid = {f.code for f in record.verdict.findings if f.level is Level.INVALID}
    if invalid:
        return False if invalid <= OVERLOADED else None
    load = record.observation.load
    corrected = None if load is None or load.log is None else load.log.corrected_latency
    if corrected is None or corrected.p99_us is None:
        return None
    return corrected.p99_us <= search.p99_ms * 1e3


def next_rate(search: Search, steps: Iterable[bool | None]) -> float:
    """The rate to try after `steps` in a block: the geometric middle of what is left.

    A step that does not tell counts as too high here, and its block has no answer.
    """
    low, high = _left(search, steps)
    return _rounded(math.sqrt(low * high))


def bracket(search: Search, steps: Sequence[bool | None]) -> Bracket | None:
    """What a block found; None if one of its steps is missing or does not tell."""
    if len(steps) < search.steps or None in steps:
        return None
    low, high = _left(search, steps)
    return Bracket(
        passed=_rounded(low) if True in steps else None,
        failed=_rounded(high) if False in steps else None,
    )


def highest_rate(search: Search, blocks: Iterable[Sequence[bool | None]]) -> HighestRate:
    """The answer over all blocks, each given by its steps in order."""
    found = [bracket(search, steps) for steps in blocks]
    brackets = tuple(one for one in found if one is not None)
    lower = _mean_of_logs([one.passed for one in brackets])
    upper = _mean_of_logs([one.failed for one in brackets])
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
        undetermined_blocks=len(found) - len(brackets),
    )


def censored_message(brackets: Sequence[Bracket]) -> str | None:
    """Which blocks lie beyond the range, in words with what to do; None if none does.

    They are in no comparison, and neither are the others then: those that are left would be chosen
    by their result.
    """
    said = []
    for rates, held, remedy in (
        ([one.failed for one in brackets], "every rate tried", "raise `highest`"),
        ([one.passed for one in brackets], "none of the rates tried", "lower `lowest`"),
    ):
        if number := rates.count(None):
            said.append(f"held {held} in {number} of {len(rates)} blocks: {remedy}")
    return " and ".join(said) or None


def _mean_of_logs(rates: Sequence[float | None]) -> Estimate | None:
    """That of all rates; None where one is not known."""
    logs = [math.log(rate) for rate in rates if rate is not None]
    return estimate(logs) if len(logs) == len(rates) else None


def _left(search: Search, steps: Iterable[bool | None]) -> tuple[float, float]:
    low, high = search.lowest, search.highest
    for step in steps:
        middle = _rounded(math.sqrt(low * high))
        low, high = (middle, high) if step else (low, middle)
    return low, high


def _rounded(rate: float) -> float:
    """To five digits, so that a plan does not depend on the last bit of a square root."""
    return float(f"{rate:.5g}")
