"""Ratios with their intervals: paired within blocks, or unpaired between machines."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from fwbench.model.base import Frozen
from fwbench.stats.estimate import Interval
from fwbench.stats.significance import CONFIDENCE, MIN_VALUES, t_p_value, t_quantile

Values = Mapping[str, Mapping[int, float]]
"""One side of a comparison: by rig and block, a run's throughput or latency, above 0."""

Strata = Sequence[Sequence[float]]
"""Logarithms of the values of one side, at least two in each stratum.

Of machines that stand for their kind: one stratum, with a number for each machine. Of machines that
stand for themselves: a stratum for each, with its blocks.
"""


class Replicate(StrEnum):
    """What was repeated, and so what the interval speaks of."""

    BLOCK = "block"
    RIG = "rig"


class RatioEstimate(Frozen):
    """The contender's values divided by the baseline's, over `n` units; `log_ratios` has each.

    `p_value` is that of this pair alone, two-sided, for "the ratio is 1".
    """

    ratio: float
    interval: Interval
    n: int
    unit: Replicate
    p_value: float
    log_ratios: tuple[float, ...]


class NoComparison(Frozen):
    """Why there is none."""

    reason: str


def paired_ratio(contender: Values, baseline: Values) -> RatioEstimate | NoComparison:
    """The ratio of two sides, with its interval, from the runs that both have.

    Both runs of a block see the same state of the machine, so each block gives one log ratio. On
    one rig the block is the unit, and the claim is about that rig. On several the rig is: a block
    more on the same machine says nothing about the next machine, so each rig gives one number, the
    mean of its log ratios, and three rigs are needed. What one of several rigs shows is asked by
    handing in that rig alone. ValueError where a value is not above 0.

    The interval is exp(m ± t(n − 1, 97.5 %) · s / √n) of the log ratios. It was chosen by
    simulation (`selfbench/claims.py`). At 10 blocks and 2 % noise it covers the truth in 95 %,
    and 2.0 % is half its width. With every tenth run slowed by 10 %: 96 % and 3.6 %. The
    Hodges-Lehmann estimate with Wilcoxon's signed ranks has the same width (95 %; 3.6 %), and no
    interval below 6 blocks. Yuen's trimmed t is narrower then (95 %; 3.2 %), but does not hold its
    95 % on quiet machines (93.3 %; 2.2 %). If only one side has slow runs, they belong to its mean:
    t speaks of the mean with them, and from 20 blocks on that can be told from the ratio without.
    """
    rigs = sorted(contender.keys() | baseline.keys())
    by_rig = [_log_ratios(contender.get(rig, {}), baseline.get(rig, {})) for rig in rigs]
    if len(rigs) > 1:
        units = [statistics.fmean(logs) for logs in by_rig if logs]
        if len(units) < MIN_VALUES:
            have = _replicate_count(len(units), Replicate.RIG)
            return NoComparison(reason=f"{have}; one rig alone can be compared on its own")
        return _by_student(units, Replicate.RIG)
    units = [log for logs in by_rig for log in logs]
    if len(units) < MIN_VALUES:
        return NoComparison(reason=_replicate_count(len(units), Replicate.BLOCK))
    return _by_student(units, Replicate.BLOCK)


class UnpairedRatio(Frozen):
    """One side divided by the other; `p_value` is two-sided, for "the ratio is 1"."""

    ratio: float
    interval: Interval
    p_value: float


def unpaired_ratio(lower: tuple[Strata, Strata], upper: tuple[Strata, Strata]) -> UnpairedRatio:
    """The ratio of two sides, of each of which a lower and an upper bound was measured.

    Where a value is known and not only its bounds, both are the same, and this is Welch's t of the
    difference of logarithms (Welch, "The generalization of 'Student's' problem when several
    different population variances are involved", 1947). Strata count the same in the mean of a
    side, whatever they hold; its freedom is Satterthwaite's over the strata of both.

    With bounds (a search knows a rate that held and one that did not) the ratio is that of the
    lower ones, the interval goes from the lower end of lower ÷ upper to the upper end of upper ÷
    lower, and a difference is shown only if all of that is on one side of 1.
    """
    lowest = _Contrast(lower[0], upper[1])
    highest = _Contrast(upper[0], lower[1])
    ratio = _Contrast(lower[0], lower[1]).mean
    shown = lowest if lowest.mean > 0 else highest if highest.mean < 0 else None
    return UnpairedRatio(
        ratio=math.exp(ratio),
        interval=Interval(
            low=math.exp(lowest.mean - lowest.half), high=math.exp(highest.mean + highest.half)
        ),
        p_value=1.0 if shown is None else shown.p_value,
    )


def _log_ratios(contender: Mapping[int, float], baseline: Mapping[int, float]) -> list[float]:
    blocks = sorted(contender.keys() & baseline.keys())
    return [math.log(contender[block]) - math.log(baseline[block]) for block in blocks]


def _replicate_count(units: int, unit: Replicate) -> str:
    return f"{units} {unit}{'' if units == 1 else 's'} with values of both, {MIN_VALUES} are needed"


def _by_student(log_ratios: Sequence[float], unit: Replicate) -> RatioEstimate:
    n, mean = len(log_ratios), statistics.fmean(log_ratios)
    error = statistics.stdev(log_ratios) / math.sqrt(n)
    half = t_quantile(n - 1, (1 + CONFIDENCE) / 2) * error
    return RatioEstimate(
        ratio=math.exp(mean),
        interval=Interval(low=math.exp(mean - half), high=math.exp(mean + half)),
        n=n,
        unit=unit,
        p_value=_p_value(mean, error, n - 1),
        log_ratios=tuple(log_ratios),
    )


def _p_value(mean: float, error: float, freedom: int) -> float:
    if not error:  # every unit says exactly the same
        return 0.0 if mean else 1.0
    return t_p_value(mean / error, freedom)


class _Contrast:
    def __init__(self, one: Strata, other: Strata) -> None:
        self.mean = _mean(one) - _mean(other)
        parts = [
            (statistics.variance(values) / len(values) / len(side) ** 2, len(values) - 1)
            for side in (one, other)
            for values in side
        ]
        squared = math.fsum(part for part, _ in parts)
        self._error = math.sqrt(squared)
        scale = max((part for part, _ in parts), default=0.0)  # squares of tiny numbers vanish
        self._freedom = (
            (squared / scale) ** 2 / math.fsum((part / scale) ** 2 / free for part, free in parts)
            if scale
            else 1.0
        )

    @property
    def half(self) -> float:
        return t_quantile(self._freedom, (1 + CONFIDENCE) / 2) * self._error

    @property
    def p_value(self) -> float:
        if not self._error:  # every unit says exactly the same
            return 0.0 if self.mean else 1.0
        return t_p_value(self.mean / self._error, self._freedom)


def _mean(strata: Iterable[Sequence[float]]) -> float:
    return statistics.fmean(statistics.fmean(values) for values in strata)
