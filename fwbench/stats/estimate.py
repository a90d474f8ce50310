"""The estimate of one quantity from the runs of a trial: centre, variation, 95 % interval."""

import math
import statistics
from collections.abc import Sequence

from fwbench.model.base import Frozen
from fwbench.stats.significance import CONFIDENCE, MIN_VALUES, t_quantile


class Interval(Frozen):
    """A 95 % confidence interval."""

    low: float
    high: float


class ValueWithInterval(Frozen):
    """A value with its 95 % interval. The interval is None if there are too few replicates."""

    value: float
    interval: Interval | None


class Estimate(Frozen):
    """`n` values, one for each run, in their own unit; a field is None if `n` is too small for it.

    `interval` is that of the mean. `coefficient_of_variation` is the standard deviation divided by
    the mean: 0.02 for runs that vary by 2 %.
    """

    n: int
    values: tuple[float, ...]
    mean: float
    median: float
    interval: Interval | None
    coefficient_of_variation: float | None


def estimate(values: Sequence[float]) -> Estimate | None:
    """Return the mean with Student's t interval, the median and the variation; None of no values.

    The interval is mean ± t(n − 1, 97.5 %) · s / √n (Student, "The probable error of a mean",
    1908). It uses all values: none is removed as an outlier.
    """
    if not values:
        return None
    n, mean = len(values), statistics.fmean(values)
    sd = statistics.stdev(values) if n > 1 else None
    interval = None
    if sd is not None and n >= MIN_VALUES:
        half_width = t_quantile(n - 1, (1 + CONFIDENCE) / 2) * sd / math.sqrt(n)
        interval = Interval(low=mean - half_width, high=mean + half_width)
    return Estimate(
        n=n,
        values=tuple(values),
        mean=mean,
        median=statistics.median(values),
        interval=interval,
        coefficient_of_variation=None if sd is None or not mean else sd / abs(mean),
    )


def median_interval(values: Sequence[float]) -> Interval | None:
    """Return an interval of the median at 95 % or more; None for fewer than six values.

    It assumes nothing about the distribution, so it also fits quantities that are skewed from run
    to run, such as a p99. It runs from the k-th smallest to the k-th largest value, with k as large
    as the binomial distribution with p = 1/2 allows (the inverse of the sign test; Conover,
    *Practical Nonparametric Statistics*, section 3.2). Both limits are observed values, so the
    confidence comes in steps: 96.9 % at 6 values, 97.9 % at 10.
    """
    n, k = len(values), 0
    tail = ways = 1  # exact integers: 2 ** n overflows a float at 1024 values
    while 2 * tail / 2**n <= 1 - CONFIDENCE:
        ways = ways * (n - k) // (k + 1)
        tail += ways
        k += 1
    if not k:
        return None
    ordered = sorted(values)
    return Interval(low=ordered[k - 1], high=ordered[-k])
