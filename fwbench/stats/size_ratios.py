"""How sizes compare: a contender on one kind of rig beside itself on another."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fwbench.model.setting import Setting
from fwbench.stats import samples
from fwbench.stats.estimate import Interval, ValueWithInterval
from fwbench.stats.hardware_groups import HardwareGroup
from fwbench.stats.ratios import NoComparison, Replicate, UnpairedRatio, unpaired_ratio
from fwbench.stats.run_result import RunResult
from fwbench.stats.samples import Metric
from fwbench.stats.significance import MIN_VALUES


class RigValues(NamedTuple):
    """One logarithm a block: of what held, and of what was too high.

    But for a search both are the same. `upper` is None where a block held every rate tried, `lower`
    where one held none.
    """

    lower: tuple[float, ...] | None
    upper: tuple[float, ...] | None


Told = Mapping[str, RigValues]
"""By rig, of those that tell."""


class SizeRatio(UnpairedRatio):
    """One size's value divided by that of the size beside it.

    By rigs it is a claim about the kinds, by blocks about these machines alone. `n` and `n_beside`
    count the units, `rigs` and `rigs_beside` the rigs. `cost` is the ratio of what a million
    answers cost; None of a p99, and where a price is not known.
    """

    unit: Replicate
    n: int
    n_beside: int
    rigs: int
    rigs_beside: int
    cost: ValueWithInterval | None


def rig_values(results: Sequence[RunResult], setting: Setting) -> RigValues | None:
    """From the runs of one contender in one setting on one rig; None if these are too few."""
    if setting.load.search is None:
        values = samples.by_block(
            samples.usable_results(results), samples.metric(setting.load.kind)
        )
        logs = tuple(math.log(value) for value in values.values())
        return RigValues(logs, logs) if logs else None
    found = [] if samples.too_few(results) else samples.brackets(results)
    if not found:
        return None
    return RigValues(
        _all([one.passed and math.log(one.passed) for one in found]),
        _all([one.failed and math.log(one.failed) for one in found]),
    )


def rig_medians(told: Told, metric: Metric) -> RigValues:
    """One number for each rig: of p99s the median of its runs, of everything else the mean."""
    middle = statistics.median if metric is Metric.P99 else statistics.fmean
    return RigValues(
        _all([None if one.lower is None else middle(one.lower) for one in told.values()]),
        _all([None if one.upper is None else middle(one.upper) for one in told.values()]),
    )


def size_ratio(
    metric: Metric, one: tuple[HardwareGroup, Told], beside: tuple[HardwareGroup, Told]
) -> SizeRatio | NoComparison:
    """A contender on one kind of rig beside itself on another, which share nothing.

    With three rigs on either side that tell, the rig is the unit. With fewer, blocks are, rig by
    rig, and each rig counts the same: that speaks of these machines and no others.
    """
    for kind, told in (beside, one):
        if not told:
            return NoComparison(reason=f"{kind.name} has no value")
        if any(rig.upper is None for rig in told.values()):
            return NoComparison(reason=f"{kind.name} held every rate tried: raise `highest`")
        if any(rig.lower is None for rig in told.values()):
            return NoComparison(reason=f"{kind.name} held none of the rates tried: lower `lowest`")
    sides = [told for _, told in (one, beside)]
    by_rig = min(map(len, sides)) >= MIN_VALUES
    fewest = min(len(rig.lower or ()) for told in sides for rig in told.values())
    if not by_rig and fewest < MIN_VALUES:
        return NoComparison(reason=f"a rig has values of {fewest} blocks, {MIN_VALUES} are needed")
    strata = [[rig_medians(told, metric)] if by_rig else list(told.values()) for told in sides]
    lower, upper = (tuple([rig[end] or () for rig in side] for side in strata) for end in (0, 1))
    pair = unpaired_ratio((lower[0], lower[1]), (upper[0], upper[1]))
    n, n_beside = (sum(len(units) for units in side) for side in lower)
    return SizeRatio(
        **dict(pair),
        unit=Replicate.RIG if by_rig else Replicate.BLOCK,
        n=n,
        n_beside=n_beside,
        rigs=len(one[1]),
        rigs_beside=len(beside[1]),
        cost=_cost(pair, one[0], beside[0]) if metric.higher_is_better else None,
    )


def _cost(
    pair: UnpairedRatio, one: HardwareGroup, beside: HardwareGroup
) -> ValueWithInterval | None:
    if one.price_per_hour is None or not beside.price_per_hour:
        return None
    dearer = one.price_per_hour / beside.price_per_hour
    return ValueWithInterval(
        value=dearer / pair.ratio,
        interval=Interval(low=dearer / pair.interval.high, high=dearer / pair.interval.low),
    )


def _all(values: Sequence[float | None]) -> tuple[float, ...] | None:
    """Every one of them; None where one is not known."""
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else None
