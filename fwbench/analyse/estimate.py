import math
import statistics
from collections.abc import Sequence

from fwbench.model.base import Frozen

CONFIDENCE = 0.95
FEWEST = 3  # simulated: from three values on, Student's t holds its 95 %; a bootstrap does not


class Interval(Frozen):
    """Where the true value lies, with a confidence of 95 %."""

    low: float
    high: float


class Estimate(Frozen):
    """The mean of `n` values; None instead of an interval where these are too few."""

    n: int
    mean: float
    interval: Interval | None


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean with its interval by Student's t; None of no values."""
    if not values:
        return None
    n, mean = len(values), statistics.fmean(values)
    if n < FEWEST:
        return Estimate(n=n, mean=mean, interval=None)
    # Here, because importing it takes longer than anything else at the start. `stdtrit` is what
    # scipy.stats.t.ppf calls, without the second that importing scipy.stats takes.
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    quantile = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))
    half = quantile * statistics.stdev(values) / math.sqrt(n)
    return Estimate(n=n, mean=mean, interval=Interval(low=mean - half, high=mean + half))
