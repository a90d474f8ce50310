"""Differences of two sides that share nothing, neither a machine nor a moment."""

import math
import statistics
from collections.abc import Iterable, Sequence

from fwbench.model.base import Frozen
from fwbench.stats import student
from fwbench.stats.estimate import CONFIDENCE, Interval

Strata = Sequence[Sequence[float]]
"""Logarithms of the values of one side, at least two in each stratum.

Of machines that stand for their kind: one stratum, with a number for each machine. Of machines that
stand for themselves: a stratum for each, with its blocks.
"""


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
        return student.quantile(self._freedom, (1 + CONFIDENCE) / 2) * self._error

    @property
    def p_value(self) -> float:
        if not self._error:  # every unit says exactly the same
            return 0.0 if self.mean else 1.0
        return student.p_value(self.mean / self._error, self._freedom)


def _mean(strata: Iterable[Sequence[float]]) -> float:
    return statistics.fmean(statistics.fmean(values) for values in strata)
