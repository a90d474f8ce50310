"""Statistics of a short series of batch means: did it begin otherwise, does it have a trend?

Batches still depend on their neighbours where noise lasts. That is estimated as AR(1) from what is
left after the step or the line is taken out, and widens each test's variance. Series of 15 to 50
batches leave the estimate unsure: it is put higher by half of its standard error for a trend and by
all of it for a step, which `tests/unit/judge` shows to keep false alarms to one in a hundred.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise
from statistics import fmean, linear_regression, median


@dataclass(frozen=True)
class Step:
    """A beginning unlike the rest: the first `length` values have `ratio` times the others' mean.

    `p` is how probable so large a step is in a stationary series.
    """

    length: int
    ratio: float
    p: float


def find_step(values: Sequence[float]) -> Step | None:
    """The likeliest step in the first half (Hinkley 1970); None if a straight line fits better.

    Its p is that of Student's test between both sides, times the number of places that there were
    to choose from (Bonferroni).
    """
    places = range(1, len(values) // 2 + 1)
    length, scatter = min(
        (
            (place, _residual_scatter(values[:place]) + _residual_scatter(values[place:]))
            for place in places
        ),
        key=lambda found: found[1],
    )
    first, others = values[:length], values[length:]
    if fmean(others) == 0 or scatter > _residual_scatter(_detrended(values)):
        return None
    p = min(1.0, _difference_p(first, others) * len(places))
    return Step(length, fmean(first) / fmean(others), p)


@dataclass(frozen=True)
class Trend:
    """By what share of the mean a series changes from its first value to its last.

    `p` is how probable so clear a trend is in a stationary series.
    """

    change: float
    p: float


def find_trend(values: Sequence[float]) -> Trend:
    """The slope of Theil and Sen (Sen 1968), with Mann's and Kendall's test (Kendall 1975).

    The variance of the test is widened for autocorrelation after Hamed and Rao (1998).
    """
    pairs = tuple(combinations(enumerate(values), 2))
    slope = median((later - earlier) / (b - a) for (a, earlier), (b, later) in pairs)
    signs = sum((later > earlier) - (later < earlier) for (_, earlier), (_, later) in pairs)
    rho = _autocorrelation([[value - slope * at for at, value in enumerate(values)]], errors=0.5)
    deviation = math.sqrt(_variance_of_signs(values) * _widening_of_signs(len(values), rho))
    z = max(0, abs(signs) - 1) / deviation if deviation else 0.0
    change = slope * (len(values) - 1) / fmean(values) if any(values) else 0.0
    return Trend(change, math.erfc(z / math.sqrt(2)))


def _difference_p(first: Sequence[float], others: Sequence[float]) -> float:
    """How probable such a difference of means is between two parts of one AR(1) series."""
    from scipy.special import stdtr  # type: ignore[import-untyped]

    scatter = _residual_scatter(first) + _residual_scatter(others)
    if scatter == 0:
        return 0.0 if first[0] != others[0] else 1.0
    rho = _autocorrelation([first, others], errors=1)
    worth = [_effective_sample_size(len(part), rho) for part in (first, others)]
    freedom = sum(worth) - 2
    if freedom < 1:
        return 1.0
    variance = scatter / (len(first) + len(others) - 2)
    t = (fmean(first) - fmean(others)) / math.sqrt(variance * sum(1 / n for n in worth))
    return 2 * float(stdtr(freedom, -abs(t)))


def _autocorrelation(parts: Sequence[Sequence[float]], errors: float) -> float:
    """Of neighbours, around each part's mean, put higher by so many standard errors.

    What estimating mean and slope takes from it, (2 + 4 rho) / n, is put back (Kendall 1954).
    """
    count = sum(len(part) for part in parts)
    residuals = [[value - fmean(part) for value in part] for part in parts]
    scatter = sum(r * r for part in residuals for r in part)
    if scatter == 0:
        return 0.0
    products = sum(a * b for part in residuals for a, b in pairwise(part))
    rho = min(0.9, max(0.0, (count * products / scatter + 2) / (count - 4)))
    return min(0.9, rho + errors * math.sqrt((1 - rho * rho) / count))


def _effective_sample_size(count: int, rho: float) -> float:
    """How many independent values would give as good a mean as `count` of an AR(1) series."""
    return count / (1 + 2 * sum((1 - lag / count) * rho**lag for lag in range(1, count)))


def _variance_of_signs(values: Sequence[float]) -> float:
    def term(n: int) -> int:
        return n * (n - 1) * (2 * n + 5)

    ties = (len(list(equal)) for _, equal in groupby(sorted(values)))
    return (term(len(values)) - sum(map(term, ties))) / 18


def _widening_of_signs(n: int, rho: float) -> float:
    weights = ((n - lag) * (n - lag - 1) * (n - lag - 2) * rho**lag for lag in range(1, n))
    return 1 + 2 * sum(weights) / (n * (n - 1) * (n - 2))


def _residual_scatter(values: Sequence[float]) -> float:
    mean = fmean(values)
    return sum((value - mean) ** 2 for value in values)


def _detrended(values: Sequence[float]) -> list[float]:
    slope = linear_regression(range(len(values)), values).slope
    return [value - slope * at for at, value in enumerate(values)]
