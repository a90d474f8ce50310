"""What a trial's runs say of one quantity: its middle, its spread, and how sure that is."""

import math
import statistics
from collections.abc import Sequence

from fwbench.model.base import Frozen
from fwbench.stats.significance import CONFIDENCE, MIN_VALUES, t_quantile


class Interval(Frozen):
    """Where the true value lies, with a confidence of 95 %."""

    low: float
    high: float


class ValueWithInterval(Frozen):
    """A value with its 95 % interval; None where units are too few for one."""

    value: float
    interval: Interval | None


class Estimate(Frozen):
    """`n` values, one a run, in their own unit; None where these are too few to say.

    `interval` is that of the mean. `coefficient_of_variation` is the standard deviation as a share
    of the mean: 0.02 where runs differ by 2 %.
    """

    n: int
    values: tuple[float, ...]
    mean: float
    median: float
    interval: Interval | None
    coefficient_of_variation: float | None


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean with its interval by Student's t, the median and the spread; None of no values.

    mean ± t(n − 1, 97.5 %) · s / √n (Student, "The probable error of a mean", 1908). Of all values:
    none is dropped for lying far from the others.
    """
    if not values:
        return None
    n, mean = len(values), statistics.fmean(values)
    deviation = statistics.stdev(values) if n > 1 else None
    interval = None
    if deviation is not None and n >= MIN_VALUES:
        half = t_quantile(n - 1, (1 + CONFIDENCE) / 2) * deviation / math.sqrt(n)
        interval = Interval(low=mean - half, high=mean + half)
    return Estimate(
        n=n,
        values=tuple(values),
        mean=mean,
        median=statistics.median(values),
        interval=interval,
        coefficient_of_variation=None if deviation is None or not mean else deviation / abs(mean),
    )


def median_interval(values: Sequence[float]) -> Interval | None:
    """Where the median of such runs lies, at 95 % or more; None of fewer than six values.

    For what is skewed from run to run, such as a p99: nothing is assumed of the distribution. The
    k-th value from either end, k as large as the binomial distribution with p = 1/2 allows (the
    sign test turned round; Conover, *Practical Nonparametric Statistics*, section 3.2). The ends
    are values that were seen, so the confidence comes in steps: 96.9 % at 6 values, 97.9 % at 10.
    """
    n, k = len(values), 0
    outside = ways = 1  # counted in whole numbers: 2 ** n outgrows a float at 1024 values
    while 2 * outside / 2**n <= 1 - CONFIDENCE:
        ways = ways * (n - k) // (k + 1)
        outside += ways
        k += 1
    if not k:
        return None
    ordered = sorted(values)
    return Interval(low=ordered[k - 1], high=ordered[-k])
