"""Each contender on each size of target: its value, the value per CPU, and the cost."""

import math
import statistics
from collections.abc import Mapping, Sequence
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
from fwbench.stats.outcomes import JudgedSizeRatio, judge_size_ratios
from fwbench.stats.ratios import NoComparison, Replicate
from fwbench.stats.run_result import ResultsByRig
from fwbench.stats.samples import Metric
from fwbench.stats.significance import MIN_VALUES
from fwbench.stats.size_ratios import LogBounds, SizeSample, log_bounds, rig_averages, size_ratio


class CensoredBound(StrEnum):
    """Which bound of a highest rate is known, if it lies outside the range of the search."""

    AT_LEAST = "at least"
    BELOW = "below"


class SizeCell(Frozen):
    """A contender on a hardware group, or on one of its rigs if fewer than three have values.

    `value` is per second, or microseconds for a p99. With three rigs, the rig is the replicate: `n`
    counts rigs, and `value` is the geometric mean over them, with Student's t interval of the
    logarithms. For one rig, the block is the replicate: `n` counts blocks, `value` is the geometric
    mean over them, and holds for that machine only. For a p99 on one rig, it is the median, with
    its interval by order statistics.

    `per_cpu` is `value` divided by the CPUs of the target. `cost_per_million` is the cost of a
    million responses at `value`, by the target's price alone. A p99 has neither. If `bound` is set,
    `value` and `per_cpu` are bounds instead of estimates, and there is no cost.
    """

    contender: str
    size: str = Field(description="name of the hardware group")
    rigs: tuple[str, ...]
    replicate: Replicate
    n: int
    value: ValueWithInterval | None
    bound: CensoredBound | None
    per_cpu: ValueWithInterval | None
    cost_per_million: ValueWithInterval | None


class SizeComparison(Frozen):
    """A contender on one size, compared with itself on the reference size."""

    contender: str
    size: str
    reference_size: str = Field(description="name of the first hardware group")
    result: JudgedSizeRatio | NoComparison


class SizeTable(Frozen):
    """One setting on all sizes. A size is the name of a hardware group."""

    label: str
    setting: Setting
    metric: Metric
    cells: tuple[SizeCell, ...]
    comparisons: tuple[SizeComparison, ...]


_SizeSamples = Mapping[tuple[Setting, str], Sequence[SizeSample]]
"""By setting and contender: one sample for each hardware group."""


def size_tables(
    suite: Suite, groups: Sequence[HardwareGroup], by_rig: ResultsByRig
) -> tuple[SizeTable, ...]:
    """Return a table for each setting, with every contender on every hardware group.

    Each group is compared with the first. A smoke test compares nothing.
    """
    size_samples = _size_samples(suite, groups, by_rig)
    comparisons = [] if suite.preset is Preset.SMOKE else _comparisons(size_samples)
    return tuple(
        SizeTable(
            label=setting.label,
            setting=setting,
            metric=samples.metric(setting.load.kind),
            cells=tuple(
                cell
                for contender in suite.contenders
                for sample in size_samples[setting, contender]
                for cell in size_cells(contender, samples.metric(setting.load.kind), sample)
            ),
            comparisons=tuple(
                comparison for compared, comparison in comparisons if compared == setting
            ),
        )
        for setting in suite.settings
    )


def size_cells(contender: str, metric: Metric, sample: SizeSample) -> tuple[SizeCell, ...]:
    """Return one cell for the hardware group if three rigs have values, else one for each rig."""
    group, by_rig = sample
    if len(by_rig) >= MIN_VALUES:
        bounds = rig_averages(sample, metric)
        return (_cell(contender, metric, group, tuple(by_rig), Replicate.RIG, len(by_rig), bounds),)
    cells = []
    for rig in group.rigs:
        bounds = by_rig.get(rig, LogBounds((), ()))
        n = len(bounds.lower or bounds.upper or ())
        cells.append(_cell(contender, metric, group, (rig,), Replicate.BLOCK, n, bounds))
    return tuple(cells)


def cost_per_million(price_per_hour: float, per_s: ValueWithInterval) -> ValueWithInterval:
    """Return the cost of a million responses: price ÷ 3600 ÷ rate · 1e6, in the price's currency.

    The limits of the interval change places: the higher the rate, the lower the cost.
    """

    def cost(rate: float) -> float:
        return price_per_hour / 3600 / rate * 1e6

    rates = per_s.interval
    return ValueWithInterval(
        value=cost(per_s.value),
        interval=None if rates is None else Interval(low=cost(rates.high), high=cost(rates.low)),
    )


def _size_samples(
    suite: Suite, groups: Sequence[HardwareGroup], by_rig: ResultsByRig
) -> _SizeSamples:
    def sample(setting: Setting, trial_id: str, group: HardwareGroup) -> SizeSample:
        bounds = {rig: log_bounds(by_rig[rig].get(trial_id, ()), setting) for rig in group.rigs}
        return SizeSample(group, {rig: known for rig, known in bounds.items() if known is not None})

    trials = {
        (setting, contender): Trial(contender=contender, **dict(setting)).id
        for setting in suite.settings
        for contender in suite.contenders
    }
    return {
        (setting, contender): [sample(setting, trial_id, group) for group in groups]
        for (setting, contender), trial_id in trials.items()
    }


def _comparisons(size_samples: _SizeSamples) -> list[tuple[Setting, SizeComparison]]:
    """Return every size compared with the first, by setting; Holm's family is all of them."""
    pairs = [
        (setting, contender, size, by_group[0])
        for (setting, contender), by_group in size_samples.items()
        for size in by_group[1:]
    ]
    metrics = [samples.metric(setting.load.kind) for setting, *_ in pairs]
    judged = judge_size_ratios(
        [
            (metric, size_ratio(metric, size, reference))
            for metric, (*_, size, reference) in zip(metrics, pairs, strict=True)
        ]
    )
    return [
        (
            setting,
            SizeComparison(
                contender=contender,
                size=size.group.name,
                reference_size=reference.group.name,
                result=result,
            ),
        )
        for (setting, contender, size, reference), result in zip(pairs, judged, strict=True)
    ]


def _cell(
    contender: str,
    metric: Metric,
    group: HardwareGroup,
    rigs: tuple[str, ...],
    replicate: Replicate,
    n: int,
    bounds: LogBounds,
) -> SizeCell:
    is_p99_of_blocks = metric is Metric.P99 and replicate is Replicate.BLOCK
    value = _median(bounds) if is_p99_of_blocks else _geometric_mean(bounds)
    bound = _censored_bound(bounds)
    per_s = value if metric.higher_is_better else None
    price = group.price_per_hour if bound is None else None
    return SizeCell(
        contender=contender,
        size=group.name,
        rigs=rigs,
        replicate=replicate,
        n=n,
        value=value,
        bound=bound,
        per_cpu=None if per_s is None or group.cpus is None else _divide(per_s, group.cpus),
        cost_per_million=None if per_s is None or price is None else cost_per_million(price, per_s),
    )


def _divide(value: ValueWithInterval, divisor: float) -> ValueWithInterval:
    interval = value.interval
    return ValueWithInterval(
        value=value.value / divisor,
        interval=None
        if interval is None
        else Interval(low=interval.low / divisor, high=interval.high / divisor),
    )


def _censored_bound(bounds: LogBounds) -> CensoredBound | None:
    if (bounds.lower is None) == (bounds.upper is None):
        return None
    return CensoredBound.BELOW if bounds.lower is None else CensoredBound.AT_LEAST


def _median(bounds: LogBounds) -> ValueWithInterval | None:
    values = [math.exp(log) for log in bounds.lower or ()]
    if not values:
        return None
    return ValueWithInterval(value=statistics.median(values), interval=median_interval(values))


def _geometric_mean(bounds: LogBounds) -> ValueWithInterval | None:
    """Return the mean of the lower bounds, or of the upper ones if only these are known.

    If both are known, the interval runs from the lower limit of the lower bounds to the upper limit
    of the upper bounds.
    """
    lower, upper = estimate(bounds.lower or ()), estimate(bounds.upper or ())
    if (mean := lower or upper) is None:
        return None
    interval = None
    if lower and upper and lower.interval and upper.interval:
        interval = Interval(low=math.exp(lower.interval.low), high=math.exp(upper.interval.high))
    return ValueWithInterval(value=math.exp(mean.mean), interval=interval)
