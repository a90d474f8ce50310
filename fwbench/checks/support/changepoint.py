"""Tests a short series of batch means for an initial step and for a trend.

Where noise lasts, neighbouring batches are correlated. The autocorrelation is estimated as AR(1)
from the residuals of the step or the line, and widens the variance of each test. An estimate from
15 to 50 batches is uncertain. It is therefore raised by half of its standard error for a trend, and
by its whole standard error for a step. `tests/unit/checks/test_stationarity.py` shows that this
keeps false alarms to one in a hundred.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise
from statistics import fmean, linear_regression, median


@dataclass(frozen=True)
class Step:
    """The mean of the first `length` values is `ratio` times the mean of the others.

    `p` is the probability of a step at least as large in a stationary series.
    """

    length: int
    ratio: float
    p: float


def find_step(values: Sequence[float]) -> Step | None:
    """Return the likeliest step in the first half (Hinkley 1970); None if a line fits better.

    Its p-value is that of Student's test between both sides, times the number of candidate
    positions (Bonferroni).
    """
    candidates = range(1, len(values) // 2 + 1)
    residuals = {
        length: _sum_of_squares(values[:length]) + _sum_of_squares(values[length:])
        for length in candidates
    }
    length = min(residuals, key=residuals.__getitem__)
    head, tail = values[:length], values[length:]
    if fmean(tail) == 0 or residuals[length] > _sum_of_squares(_detrended(values)):
        return None
    p = min(1.0, _difference_p(head, tail) * len(candidates))
    return Step(length, fmean(head) / fmean(tail), p)


@dataclass(frozen=True)
class Trend:
    """The change from the first value to the last, as a share of the mean.

    `p` is the probability of a trend at least as clear in a stationary series.
    """

    change: float
    p: float


def find_trend(values: Sequence[float]) -> Trend:
    """Return the Theil-Sen slope (Sen 1968) with the Mann-Kendall test (Kendall 1975).

    The variance of the test is widened for autocorrelation after Hamed and Rao (1998).
    """
    pairs = tuple(combinations(enumerate(values), 2))
    slope = median((later - earlier) / (b - a) for (a, earlier), (b, later) in pairs)
    signs = sum((later > earlier) - (later < earlier) for (_, earlier), (_, later) in pairs)
    detrended = [value - slope * index for index, value in enumerate(values)]
    rho = _autocorrelation([detrended], standard_errors=0.5)
    deviation = math.sqrt(_kendall_variance(values) * _hamed_rao_factor(len(values), rho))
    z = max(0, abs(signs) - 1) / deviation if deviation else 0.0
    change = slope * (len(values) - 1) / fmean(values) if any(values) else 0.0
    return Trend(change, math.erfc(z / math.sqrt(2)))


def _difference_p(head: Sequence[float], tail: Sequence[float]) -> float:
    """Return the p-value of the difference of means between two parts of an AR(1) series."""
    from scipy.special import stdtr  # type: ignore[import-untyped]

    squares = _sum_of_squares(head) + _sum_of_squares(tail)
    if squares == 0:
        return 0.0 if head[0] != tail[0] else 1.0
    rho = _autocorrelation([head, tail], standard_errors=1)
    sizes = [_effective_sample_size(len(part), rho) for part in (head, tail)]
    degrees_of_freedom = sum(sizes) - 2
    if degrees_of_freedom < 1:
        return 1.0
    variance = squares / (len(head) + len(tail) - 2)
    t = (fmean(head) - fmean(tail)) / math.sqrt(variance * sum(1 / n for n in sizes))
    return 2 * float(stdtr(degrees_of_freedom, -abs(t)))


def _autocorrelation(parts: Sequence[Sequence[float]], standard_errors: float) -> float:
    """Return the lag-1 autocorrelation around each part's mean, plus so many standard errors.

    Estimating mean and slope biases it by -(2 + 4 rho) / n, which is corrected (Kendall 1954).
    """
    count = sum(len(part) for part in parts)
    residuals = [[value - fmean(part) for value in part] for part in parts]
    squares = sum(r * r for part in residuals for r in part)
    if squares == 0:
        return 0.0
    products = sum(a * b for part in residuals for a, b in pairwise(part))
    rho = min(0.9, max(0.0, (count * products / squares + 2) / (count - 4)))
    return min(0.9, rho + standard_errors * math.sqrt((1 - rho * rho) / count))


def _effective_sample_size(count: int, rho: float) -> float:
    """Return how many independent values give a mean as precise as `count` AR(1) values."""
    return count / (1 + 2 * sum((1 - lag / count) * rho**lag for lag in range(1, count)))


def _kendall_variance(values: Sequence[float]) -> float:
    def term(n: int) -> int:
        return n * (n - 1) * (2 * n + 5)

    ties = (len(list(equal)) for _, equal in groupby(sorted(values)))
    return (term(len(values)) - sum(map(term, ties))) / 18


def _hamed_rao_factor(n: int, rho: float) -> float:
    weights = ((n - lag) * (n - lag - 1) * (n - lag - 2) * rho**lag for lag in range(1, n))
    return 1 + 2 * sum(weights) / (n * (n - 1) * (n - 2))


def _sum_of_squares(values: Sequence[float]) -> float:
    mean = fmean(values)
    return sum((value - mean) ** 2 for value in values)


def _detrended(values: Sequence[float]) -> list[float]:
    slope = linear_regression(range(len(values)), values).slope
    return [value - slope * index for index, value in enumerate(values)]
