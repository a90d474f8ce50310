"""The highest rate that keeps the 99th percentile under a bound: which to try, what was found."""

import math
from collections.abc import Iterable, Sequence

from fwbench.analyse.estimate import Interval, estimate
from fwbench.model.base import Frozen
from fwbench.model.load import Search
from fwbench.model.record import Record
from fwbench.model.verdict import Level

# What makes a run invalid just because its rate was too high: of a search, that is an answer.
OVERLOADED = frozenset({"rate-not-reached", "loadgen-timeout"})


class Bracket(Frozen):
    """What one block found: the highest rate that held, and the lowest that did not.

    None where every rate tried was too high, or none was.
    """

    held: float | None
    too_high: float | None


class HighestRate(Frozen):
    """The highest rate over the blocks, in requests per second.

    `rate` is the geometric mean of the highest rates that held. The interval goes from the lower
    end of their 95 % interval to the upper end of that of the lowest rates that did not hold: the
    truth of each block lies between the two. None where a block has no such rate.
    """

    n: int
    rate: float | None
    interval: Interval | None
    brackets: tuple[Bracket, ...]
    unknown: int


def held(record: Record, search: Search) -> bool | None:
    """Whether the server kept up with the step's rate and its p99 under the bound.

    The p99 is the one corrected for coordinated omission. None if the run does not tell, because it
    is invalid for another reason than its rate.
    """
    invalid = {f.code for f in record.verdict.findings if f.level is Level.INVALID}
    if invalid:
        return False if invalid <= OVERLOADED else None
    load = record.observation.load
    corrected = None if load is None or load.log is None else load.log.corrected
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
        held=_rounded(low) if True in steps else None,
        too_high=_rounded(high) if False in steps else None,
    )


def highest_rate(search: Search, blocks: Iterable[Sequence[bool | None]]) -> HighestRate:
    """The answer over all blocks, each given by its steps in order."""
    found = [bracket(search, steps) for steps in blocks]
    brackets = tuple(one for one in found if one is not None)
    lower = [one.held for one in brackets if one.held is not None]
    upper = [one.too_high for one in brackets if one.too_high is not None]
    whole = len(lower) == len(upper) == len(brackets)
    below, above = (estimate([math.log(rate) for rate in rates]) for rates in (lower, upper))
    interval = None
    if whole and below and above and below.interval and above.interval:
        interval = Interval(low=math.exp(below.interval.low), high=math.exp(above.interval.high))
    rate = math.exp(below.mean) if below and len(lower) == len(brackets) else None
    return HighestRate(
        n=len(brackets),
        rate=rate,
        interval=interval,
        brackets=brackets,
        unknown=len(found) - len(brackets),
    )


def _left(search: Search, steps: Iterable[bool | None]) -> tuple[float, float]:
    low, high = search.lowest, search.highest
    for step in steps:
        middle = _rounded(math.sqrt(low * high))
        low, high = (middle, high) if step else (low, middle)
    return low, high


def _rounded(rate: float) -> float:
    """To five digits, so that a plan does not depend on the last bit of a square root."""
    return float(f"{rate:.5g}")
