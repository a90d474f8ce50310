"""How sizes compare: a contender on one kind of rig beside itself on another."""

from collections.abc import Mapping
from typing import TypeVar

from fwbench.stats.cells import ValueWithInterval
from fwbench.stats.compare import NoComparison, Outcome, Replicate
from fwbench.stats.estimate import CONFIDENCE, MIN_VALUES, Interval
from fwbench.stats.hardware_groups import HardwareGroup
from fwbench.stats.holm import holm
from fwbench.stats.rig_values import Told, rig_medians
from fwbench.stats.samples import Metric
from fwbench.stats.welch import UnpairedRatio, unpaired_ratio

Key = TypeVar("Key")


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


class JudgedSizeRatio(SizeRatio):
    """`p_adjusted` is Holm's over all sizes, contenders and settings of the session."""

    p_adjusted: float
    outcome: Outcome


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


def judge_sizes(
    asked: Mapping[Key, tuple[Metric, SizeRatio | NoComparison]],
) -> dict[Key, JudgedSizeRatio | NoComparison]:
    """The words for all that are asked about at once: shown if below 5 % after Holm."""
    ratios = {key: one for key, (_, one) in asked.items() if isinstance(one, SizeRatio)}
    adjusted = dict(zip(ratios, holm([one.p_value for one in ratios.values()]), strict=True))
    found: dict[Key, JudgedSizeRatio | NoComparison] = {}
    for key, (metric, one) in asked.items():
        if isinstance(one, NoComparison):
            found[key] = one
            continue
        word = Outcome.INCONCLUSIVE
        if adjusted[key] < 1 - CONFIDENCE:
            word = Outcome.FASTER if (one.ratio > 1) == metric.higher_is_better else Outcome.SLOWER
        found[key] = JudgedSizeRatio(**dict(one), p_adjusted=adjusted[key], outcome=word)
    return found
