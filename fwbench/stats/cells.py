"""A contender on one size: how much, for each CPU, and at what cost."""

import math
import statistics
from collections.abc import Sequence
from enum import StrEnum

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.stats.compare import Unit
from fwbench.stats.estimate import FEWEST, Interval, estimate, median_interval
from fwbench.stats.hardware_groups import Kind
from fwbench.stats.rig_values import OfRig, Told, middles
from fwbench.stats.samples import Metric


class Figure(Frozen):
    """A value with its 95 % interval; None where units are too few for one."""

    value: float
    interval: Interval | None


class Bound(StrEnum):
    """What a figure of a search is where a rate is not known: its blocks lie beyond the range."""

    AT_LEAST = "at least"
    BELOW = "below"


class Cell(Frozen):
    """A contender on one kind of rig; where fewer than three rigs tell, on each of them.

    `value` is the metric's: per second, or microseconds of a p99. With three rigs, `n` counts rigs
    and it is the geometric mean of theirs, with Student's t interval of the logarithms. Of one rig,
    `n` counts blocks, it is their geometric mean likewise, and holds for that machine alone; of a
    p99 it is the median, with its interval by order statistics.

    `per_cpu` is it divided by the CPUs of the target. `per_million` is what a million answers cost
    at that throughput, or at the highest rate, by the target's price alone. Neither is said of a
    p99. Where `bound` is set, `value` and `per_cpu` are no estimates but bounds, and there is no
    cost.
    """

    contender: str
    size: str = Field(description="name of the kind of rig")
    rigs: tuple[str, ...]
    unit: Unit
    n: int
    value: Figure | None
    bound: Bound | None
    per_cpu: Figure | None
    per_million: Figure | None


def cells(contender: str, kind: Kind, metric: Metric, told: Told) -> tuple[Cell, ...]:
    """One for the kind if three of its rigs tell, else one for each of its rigs."""
    if len(told) >= FEWEST:
        over = middles(told, metric)
        value, bound = _by_student(over), _bound(over)
        return (_cell(contender, kind, metric, tuple(told), Unit.RIG, len(told), value, bound),)
    found = []
    for rig in kind.rigs:
        own = told.get(rig, OfRig((), ()))
        n, value = len(own.lower or own.upper or ()), _alone(own, metric)
        found.append(_cell(contender, kind, metric, (rig,), Unit.BLOCK, n, value, _bound(own)))
    return tuple(found)


def cost_of_a_million(price_per_hour: float, per_s: Figure) -> Figure:
    """What a million answers cost, in the price's currency: price ÷ 3600 ÷ rate · 1e6.

    The ends of the rate's interval are turned round: the quicker, the cheaper.
    """

    def at(rate: float) -> float:
        return price_per_hour / 3600 / rate * 1e6

    ends = per_s.interval
    return Figure(
        value=at(per_s.value),
        interval=None if ends is None else Interval(low=at(ends.high), high=at(ends.low)),
    )


def _cell(
    contender: str,
    kind: Kind,
    metric: Metric,
    rigs: tuple[str, ...],
    unit: Unit,
    n: int,
    value: Figure | None,
    bound: Bound | None,
) -> Cell:
    per_s = value if metric.higher_is_better else None
    price = kind.price_per_hour if bound is None else None
    return Cell(
        contender=contender,
        size=kind.name,
        rigs=rigs,
        unit=unit,
        n=n,
        value=value,
        bound=bound,
        per_cpu=None if per_s is None or kind.cpus is None else _divided(per_s, kind.cpus),
        per_million=None if per_s is None or price is None else cost_of_a_million(price, per_s),
    )


def _divided(figure: Figure, by: float) -> Figure:
    ends = figure.interval
    return Figure(
        value=figure.value / by,
        interval=None if ends is None else Interval(low=ends.low / by, high=ends.high / by),
    )


def _bound(units: OfRig) -> Bound | None:
    if (units.lower is None) == (units.upper is None):
        return None
    return Bound.BELOW if units.lower is None else Bound.AT_LEAST


def _alone(own: OfRig, metric: Metric) -> Figure | None:
    return _by_order(own.lower or ()) if metric is Metric.P99 else _by_student(own)


def _by_order(logs: Sequence[float]) -> Figure | None:
    values = [math.exp(log) for log in logs]
    if not values:
        return None
    return Figure(value=statistics.median(values), interval=median_interval(values))


def _by_student(units: OfRig) -> Figure | None:
    """From the lower end of what held to the upper end of what was too high, if both are known."""
    below, above = estimate(units.lower or ()), estimate(units.upper or ())
    if (middle := below or above) is None:
        return None
    interval = None
    if below and above and below.interval and above.interval:
        interval = Interval(low=math.exp(below.interval.low), high=math.exp(above.interval.high))
    return Figure(value=math.exp(middle.mean), interval=interval)
