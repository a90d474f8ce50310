"""Contender × size: how much, for each CPU, and at what cost, setting by setting."""

import math
import statistics
from collections.abc import Sequence
from enum import StrEnum

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.preset import Preset
from fwbench.model.run import Trial
from fwbench.model.setting import Setting
from fwbench.model.suite import Suite
from fwbench.stats import samples
from fwbench.stats.estimate import Interval, ValueWithInterval, estimate, median_interval
from fwbench.stats.hardware_groups import HardwareGroup
from fwbench.stats.outcomes import JudgedSizeRatio, judge_sizes
from fwbench.stats.ratios import NoComparison, Replicate
from fwbench.stats.run_result import ResultsByRig
from fwbench.stats.samples import Metric
from fwbench.stats.significance import MIN_VALUES
from fwbench.stats.size_ratios import RigValues, Told, rig_medians, rig_values, size_ratio


class CensoredBound(StrEnum):
    """What a figure of a search is where a rate is not known: its blocks lie beyond the range."""

    AT_LEAST = "at least"
    BELOW = "below"


class SizeCell(Frozen):
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
    unit: Replicate
    n: int
    value: ValueWithInterval | None
    bound: CensoredBound | None
    per_cpu: ValueWithInterval | None
    per_million: ValueWithInterval | None


class SizeComparison(Frozen):
    """A contender on one size beside itself on the first."""

    contender: str
    size: str
    beside: str
    result: JudgedSizeRatio | NoComparison


class SizeTable(Frozen):
    """One setting on all sizes, which are the kinds of rigs by name."""

    label: str
    setting: Setting
    metric: Metric
    cells: tuple[SizeCell, ...]
    comparisons: tuple[SizeComparison, ...]


def size_tables(
    suite: Suite, kinds: Sequence[HardwareGroup], by_rig: ResultsByRig
) -> tuple[SizeTable, ...]:
    """Every contender on every kind of rig, in each setting; a smoke test compares nothing."""

    def told(setting: Setting, contender: str, kind: HardwareGroup) -> Told:
        trial = Trial(contender=contender, **dict(setting)).id
        found = ((rig, rig_values(by_rig[rig].get(trial, ()), setting)) for rig in kind.rigs)
        return {rig: one for rig, one in found if one is not None}

    sides = {
        (setting, contender): [(kind, told(setting, contender, kind)) for kind in kinds]
        for setting in suite.settings
        for contender in suite.contenders
    }
    found = judge_sizes(
        {
            (setting, contender, side[0].name): (metric, size_ratio(metric, side, all_sides[0]))
            for (setting, contender), all_sides in sides.items()
            for metric in [samples.metric(setting.load.kind)]
            for side in all_sides[1:]
            if suite.preset is not Preset.SMOKE
        }
    )
    return tuple(
        SizeTable(
            label=setting.label,
            setting=setting,
            metric=samples.metric(setting.load.kind),
            cells=tuple(
                cell
                for contender in suite.contenders
                for kind, side in sides[setting, contender]
                for cell in size_cells(contender, kind, samples.metric(setting.load.kind), side)
            ),
            comparisons=tuple(
                SizeComparison(contender=contender, size=size, beside=kinds[0].name, result=result)
                for (of, contender, size), result in found.items()
                if of == setting
            ),
        )
        for setting in suite.settings
    )


def size_cells(
    contender: str, kind: HardwareGroup, metric: Metric, told: Told
) -> tuple[SizeCell, ...]:
    """One for the kind if three of its rigs tell, else one for each of its rigs."""
    if len(told) >= MIN_VALUES:
        over = rig_medians(told, metric)
        value, bound = _by_student(over), _bound(over)
        return (
            _cell(contender, kind, metric, tuple(told), Replicate.RIG, len(told), value, bound),
        )
    found = []
    for rig in kind.rigs:
        own = told.get(rig, RigValues((), ()))
        n, value = len(own.lower or own.upper or ()), _alone(own, metric)
        found.append(_cell(contender, kind, metric, (rig,), Replicate.BLOCK, n, value, _bound(own)))
    return tuple(found)


def cost_per_million(price_per_hour: float, per_s: ValueWithInterval) -> ValueWithInterval:
    """What a million answers cost, in the price's currency: price ÷ 3600 ÷ rate · 1e6.

    The ends of the rate's interval are turned round: the quicker, the cheaper.
    """

    def at(rate: float) -> float:
        return price_per_hour / 3600 / rate * 1e6

    ends = per_s.interval
    return ValueWithInterval(
        value=at(per_s.value),
        interval=None if ends is None else Interval(low=at(ends.high), high=at(ends.low)),
    )


def _cell(
    contender: str,
    kind: HardwareGroup,
    metric: Metric,
    rigs: tuple[str, ...],
    unit: Replicate,
    n: int,
    value: ValueWithInterval | None,
    bound: CensoredBound | None,
) -> SizeCell:
    per_s = value if metric.higher_is_better else None
    price = kind.price_per_hour if bound is None else None
    return SizeCell(
        contender=contender,
        size=kind.name,
        rigs=rigs,
        unit=unit,
        n=n,
        value=value,
        bound=bound,
        per_cpu=None if per_s is None or kind.cpus is None else _divided(per_s, kind.cpus),
        per_million=None if per_s is None or price is None else cost_per_million(price, per_s),
    )


def _divided(figure: ValueWithInterval, by: float) -> ValueWithInterval:
    ends = figure.interval
    return ValueWithInterval(
        value=figure.value / by,
        interval=None if ends is None else Interval(low=ends.low / by, high=ends.high / by),
    )


def _bound(units: RigValues) -> CensoredBound | None:
    if (units.lower is None) == (units.upper is None):
        return None
    return CensoredBound.BELOW if units.lower is None else CensoredBound.AT_LEAST


def _alone(own: RigValues, metric: Metric) -> ValueWithInterval | None:
    return _by_order(own.lower or ()) if metric is Metric.P99 else _by_student(own)


def _by_order(logs: Sequence[float]) -> ValueWithInterval | None:
    values = [math.exp(log) for log in logs]
    if not values:
        return None
    return ValueWithInterval(value=statistics.median(values), interval=median_interval(values))


def _by_student(units: RigValues) -> ValueWithInterval | None:
    """From the lower end of what held to the upper end of what was too high, if both are known."""
    below, above = estimate(units.lower or ()), estimate(units.upper or ())
    if (middle := below or above) is None:
        return None
    interval = None
    if below and above and below.interval and above.interval:
        interval = Interval(low=math.exp(below.interval.low), high=math.exp(above.interval.high))
    return ValueWithInterval(value=math.exp(middle.mean), interval=interval)
