"""The ratio of a contender's values on two hardware groups, which differ in size."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fwbench.model.setting import Setting
from fwbench.stats import samples
from fwbench.stats.estimate import Interval, ValueWithInterval
from fwbench.stats.hardware_groups import HardwareGroup
from fwbench.stats.ratios import (
    NoComparison,
    Replicate,
    StratifiedBounds,
    UnpairedRatio,
    unpaired_ratio,
)
from fwbench.stats.run_result import RunResult
from fwbench.stats.samples import Metric
from fwbench.stats.significance import MIN_VALUES


class LogBounds(NamedTuple):
    """Logarithms of a lower and an upper bound of each value; the same if the values are known.

    A search knows only bounds: for each block, the highest rate that passed and the lowest that
    failed. `upper` is None if a block passed every rate tried, `lower` if a block failed them all.
    """

    lower: tuple[float, ...] | None
    upper: tuple[float, ...] | None


class SizeSample(NamedTuple):
    """The values of a contender in a setting on a hardware group, by rig; one for each block.

    Rigs with too few usable runs are missing.
    """

    group: HardwareGroup
    by_rig: Mapping[str, LogBounds]


class SizeRatio(UnpairedRatio):
    """A contender's values on one size divided by its values on the reference size.

    If the rig is the replicate, a claim holds for the hardware groups; if the block is, for these
    machines only. `n` and `reference_n` count the replicates, `rigs` and `reference_rigs` the rigs.
    `cost_ratio` is the ratio of the costs of a million responses. It is None for a p99, and if a
    price is unknown.
    """

    replicate: Replicate
    n: int
    reference_n: int
    rigs: int
    reference_rigs: int
    cost_ratio: ValueWithInterval | None


def log_bounds(results: Sequence[RunResult], setting: Setting) -> LogBounds | None:
    """Return the values of one contender in one setting on one rig; None if runs are too few."""
    if setting.load.search is None:
        values = samples.by_block(
            samples.usable_results(results), samples.metric(setting.load.kind)
        )
        logs = tuple(math.log(value) for value in values.values())
        return LogBounds(logs, logs) if logs else None
    brackets = [] if samples.too_few(results) else samples.brackets(results)
    if not brackets:
        return None
    return LogBounds(
        _complete([bracket.passed and math.log(bracket.passed) for bracket in brackets]),
        _complete([bracket.failed and math.log(bracket.failed) for bracket in brackets]),
    )


def rig_averages(sample: SizeSample, metric: Metric) -> LogBounds:
    """Return one value for each rig: the median of its p99s, or the mean of any other metric."""
    average = statistics.median if metric is Metric.P99 else statistics.fmean
    rigs = sample.by_rig.values()
    return LogBounds(
        _complete([None if rig.lower is None else average(rig.lower) for rig in rigs]),
        _complete([None if rig.upper is None else average(rig.upper) for rig in rigs]),
    )


def size_ratio(metric: Metric, size: SizeSample, reference: SizeSample) -> SizeRatio | NoComparison:
    """Return the ratio of a contender's values on two hardware groups, which share no machine.

    If both groups have three rigs with values, the rig is the replicate. Otherwise the block is,
    each rig is a stratum of equal weight, and the ratio holds for these machines only.
    """
    for sample in (reference, size):
        if (reason := _why_not_comparable(sample)) is not None:
            return NoComparison(reason=reason)
    by_rig = min(len(size.by_rig), len(reference.by_rig)) >= MIN_VALUES
    rigs = (*size.by_rig.values(), *reference.by_rig.values())
    fewest = min(len(rig.lower or ()) for rig in rigs)
    if not by_rig and fewest < MIN_VALUES:
        blocks = "1 block" if fewest == 1 else f"{fewest} blocks"
        return NoComparison(
            reason=f"a rig has values of only {blocks}, and {MIN_VALUES} are needed"
        )
    numerator = _strata(size, metric, by_rig=by_rig)
    denominator = _strata(reference, metric, by_rig=by_rig)
    ratio = unpaired_ratio(numerator, denominator)
    return SizeRatio(
        **dict(ratio),
        replicate=Replicate.RIG if by_rig else Replicate.BLOCK,
        n=sum(map(len, numerator.lower)),
        reference_n=sum(map(len, denominator.lower)),
        rigs=len(size.by_rig),
        reference_rigs=len(reference.by_rig),
        cost_ratio=_cost_ratio(ratio, size.group, reference.group)
        if metric.higher_is_better
        else None,
    )


def _why_not_comparable(sample: SizeSample) -> str | None:
    name = sample.group.name
    if not sample.by_rig:
        return f"{name} has no value"
    if any(rig.upper is None for rig in sample.by_rig.values()):
        return f"{name} passed every rate tried in a block: raise `highest` of the search"
    if any(rig.lower is None for rig in sample.by_rig.values()):
        return f"{name} failed every rate tried in a block: lower `lowest` of the search"
    return None


def _strata(sample: SizeSample, metric: Metric, *, by_rig: bool) -> StratifiedBounds:
    strata = [rig_averages(sample, metric)] if by_rig else list(sample.by_rig.values())
    return StratifiedBounds(
        lower=[bounds.lower or () for bounds in strata],
        upper=[bounds.upper or () for bounds in strata],
    )


def _cost_ratio(
    ratio: UnpairedRatio, group: HardwareGroup, reference: HardwareGroup
) -> ValueWithInterval | None:
    """Return the ratio of the prices divided by the ratio of the rates."""
    if group.price_per_hour is None or not reference.price_per_hour:
        return None
    prices = group.price_per_hour / reference.price_per_hour
    return ValueWithInterval(
        value=prices / ratio.ratio,
        interval=Interval(low=prices / ratio.interval.high, high=prices / ratio.interval.low),
    )


def _complete(values: Sequence[float | None]) -> tuple[float, ...] | None:
    """Return all values, or None if one is unknown."""
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else None
