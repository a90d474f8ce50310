"""Ratios with their intervals: paired within blocks, or unpaired between machines."""

import math
import statistics
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from fwbench.model.base import Frozen
from fwbench.stats.estimate import Interval
from fwbench.stats.significance import CONFIDENCE, MIN_VALUES, t_p_value, t_quantile

BlockValues = Mapping[str, Mapping[int, float]]
"""The values of one contender, by rig and block. Each is a throughput or a latency, above 0."""


class Replicate(StrEnum):
    """What was repeated: blocks on one rig, or rigs.

    With blocks, a claim holds for that rig only; with rigs, for rigs like these.
    """

    BLOCK = "block"
    RIG = "rig"


class RatioEstimate(Frozen):
    """A contender's values divided by the baseline's, over `n` replicates.

    `log_ratios` has one value for each replicate. `p_value` is two-sided, for the hypothesis that
    the ratio is 1, and not corrected for other comparisons.
    """

    ratio: float
    interval: Interval
    n: int
    replicate: Replicate
    p_value: float
    log_ratios: tuple[float, ...]


class NoComparison(Frozen):
    """The reason why there is no ratio."""

    reason: str


def paired_ratio(contender: BlockValues, baseline: BlockValues) -> RatioEstimate | NoComparison:
    """Return the ratio of contender and baseline with its interval, from the blocks that have both.

    Both runs of a block see the machine in the same state, so each block gives one log ratio. On
    one rig, the block is the replicate, and the claim holds for that rig. On several rigs, the rig
    is the replicate, because another block on one machine says nothing about the next machine. Each
    rig then gives the mean of its log ratios, and three rigs are needed. For the ratio on one of
    several rigs, pass the values of that rig alone. Raise ValueError if a value is not above 0.

    The interval is exp(m ± t(n − 1, 97.5 %) · s / √n) of the log ratios. It was chosen by
    simulation (`selfbench/claims.py`). At 10 blocks and 2 % noise its coverage is 95 % and its half
    width 2.0 %. With every tenth run slowed by 10 %, they are 96 % and 3.6 %. The Hodges-Lehmann
    estimate with Wilcoxon's signed ranks is as wide (95 %; 3.6 %), and has no interval below 6
    blocks. Yuen's trimmed t is narrower with slow runs (95 %; 3.2 %), but its coverage on quiet
    machines is below 95 % (93.3 %; 2.2 %). If only one contender has slow runs, they are part of
    its mean. The t interval estimates the ratio with them, and from 20 blocks on, that ratio is
    distinguishable from the ratio without.
    """
    rigs = sorted(contender.keys() | baseline.keys())
    by_rig = [_log_ratios(contender.get(rig, {}), baseline.get(rig, {})) for rig in rigs]
    if len(rigs) > 1:
        rig_means = [statistics.fmean(log_ratios) for log_ratios in by_rig if log_ratios]
        if len(rig_means) < MIN_VALUES:
            reason = _too_few(len(rig_means), Replicate.RIG)
            return NoComparison(reason=f"{reason}; see the comparison on each rig")
        return _t_estimate(rig_means, Replicate.RIG)
    log_ratios = [log_ratio for of_rig in by_rig for log_ratio in of_rig]
    if len(log_ratios) < MIN_VALUES:
        return NoComparison(reason=_too_few(len(log_ratios), Replicate.BLOCK))
    return _t_estimate(log_ratios, Replicate.BLOCK)


Strata = Sequence[Sequence[float]]
"""Logarithms of the values of one sample, at least two in each stratum.

If machines are a sample of their kind, there is one stratum, with one value for each machine.
If the claim is about these machines only, each machine is a stratum, with one value for each block.
"""


class StratifiedBounds(NamedTuple):
    """A lower and an upper bound of each value of a sample; the same if the values are known."""

    lower: Strata
    upper: Strata


class UnpairedRatio(Frozen):
    """The ratio of two independent samples; `p_value` is two-sided, for "the ratio is 1"."""

    ratio: float
    interval: Interval
    p_value: float


def unpaired_ratio(numerator: StratifiedBounds, denominator: StratifiedBounds) -> UnpairedRatio:
    """Return the ratio of two samples that share neither a machine nor a moment.

    If the values are known, this is Welch's t test of the difference of logarithms (Welch, "The
    generalization of 'Student's' problem when several different population variances are involved",
    1947). Each stratum has the same weight in the mean of its sample, however many values it has.
    The degrees of freedom are Satterthwaite's, over the strata of both samples.

    A search knows only bounds: a rate that passed and a rate that failed. The ratio is then that of
    the lower bounds. The interval runs from the lower limit of (numerator's lower bounds ÷
    denominator's upper bounds) to the upper limit of (numerator's upper ÷ denominator's lower). A
    difference is significant only if both of these ratios are on the same side of 1.
    """
    smallest = _WelchDifference(numerator.lower, denominator.upper)
    largest = _WelchDifference(numerator.upper, denominator.lower)
    if smallest.mean > 0:
        p_value = smallest.p_value
    elif largest.mean < 0:
        p_value = largest.p_value
    else:
        p_value = 1.0
    return UnpairedRatio(
        ratio=math.exp(_WelchDifference(numerator.lower, denominator.lower).mean),
        interval=Interval(
            low=math.exp(smallest.mean - smallest.half_width),
            high=math.exp(largest.mean + largest.half_width),
        ),
        p_value=p_value,
    )


def _log_ratios(contender: Mapping[int, float], baseline: Mapping[int, float]) -> list[float]:
    blocks = sorted(contender.keys() & baseline.keys())
    return [math.log(contender[block]) - math.log(baseline[block]) for block in blocks]


def _too_few(n: int, replicate: Replicate) -> str:
    have = {0: f"no {replicate} has", 1: f"only 1 {replicate} has"}
    return (
        f"{have.get(n, f'only {n} {replicate}s have')} values of both, and {MIN_VALUES} are needed"
    )


def _t_estimate(log_ratios: Sequence[float], replicate: Replicate) -> RatioEstimate:
    n, mean = len(log_ratios), statistics.fmean(log_ratios)
    standard_error = statistics.stdev(log_ratios) / math.sqrt(n)
    half_width = t_quantile(n - 1, (1 + CONFIDENCE) / 2) * standard_error
    return RatioEstimate(
        ratio=math.exp(mean),
        interval=Interval(low=math.exp(mean - half_width), high=math.exp(mean + half_width)),
        n=n,
        replicate=replicate,
        p_value=_p_value(mean, standard_error, n - 1),
        log_ratios=tuple(log_ratios),
    )


def _p_value(mean: float, standard_error: float, degrees_of_freedom: float) -> float:
    if not standard_error:  # all replicates have the same value
        return 0.0 if mean else 1.0
    return t_p_value(mean / standard_error, degrees_of_freedom)


class _WelchDifference:
    """The difference of two stratified means, with Satterthwaite's degrees of freedom."""

    def __init__(self, minuend: Strata, subtrahend: Strata) -> None:
        self.mean = _stratified_mean(minuend) - _stratified_mean(subtrahend)
        variances = [
            (statistics.variance(stratum) / len(stratum) / len(strata) ** 2, len(stratum) - 1)
            for strata in (minuend, subtrahend)
            for stratum in strata
        ]
        total = math.fsum(variance for variance, _ in variances)
        self._standard_error = math.sqrt(total)
        # Dividing by the largest keeps the squares of tiny variances from underflowing.
        largest = max((variance for variance, _ in variances), default=0.0)
        self._degrees_of_freedom = (
            (total / largest) ** 2
            / math.fsum((variance / largest) ** 2 / freedom for variance, freedom in variances)
            if largest
            else 1.0
        )

    @property
    def half_width(self) -> float:
        """Return half the width of the 95 % interval."""
        return t_quantile(self._degrees_of_freedom, (1 + CONFIDENCE) / 2) * self._standard_error

    @property
    def p_value(self) -> float:
        """Return the two-sided p-value for the hypothesis that the difference is 0."""
        return _p_value(self.mean, self._standard_error, self._degrees_of_freedom)


def _stratified_mean(strata: Strata) -> float:
    return statistics.fmean(statistics.fmean(stratum) for stratum in strata)
