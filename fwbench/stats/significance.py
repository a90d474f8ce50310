"""Student's t distribution, Holm's correction, and the difference that a comparison can detect.

`scipy.special` contains the functions behind `scipy.stats.t` and `scipy.stats.nct`. Importing
`scipy.stats` would take a second longer. Even `scipy.special` is the slowest import of a start, so
the functions import it when they are called.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

CONFIDENCE = 0.95
MIN_VALUES = 3  # simulated: from three values on, Student's t covers 95 %; a bootstrap does not
POWER = 0.80


@lru_cache
def t_quantile(degrees_of_freedom: float, probability: float) -> float:
    """Return the quantile of Student's t: the value below which `probability` lies."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return float(stdtrit(degrees_of_freedom, probability))


def t_p_value(t: float, degrees_of_freedom: float) -> float:
    """Return the two-sided p-value of t for the hypothesis that the true mean is 0."""
    from scipy.special import stdtr

    return 2 * float(stdtr(degrees_of_freedom, -abs(t)))


@lru_cache
def noncentrality(degrees_of_freedom: int, critical_t: float, power: float) -> float:
    """Return the noncentrality at which t exceeds `critical_t` with a probability of `power`.

    It is the distance of the true mean from 0, in standard errors, by the noncentral t distribution
    (Cohen, *Statistical Power Analysis*, 1988, chapter 2). The other tail is ignored: at a power of
    80 % its probability is below one in a million.
    """
    from scipy.special import nctdtrinc

    return float(nctdtrinc(degrees_of_freedom, 1 - power, critical_t))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p-values of one family, adjusted by Holm's correction, in the order given.

    If a claim requires an adjusted p-value below 5 %, at most one family in twenty contains a false
    claim. This holds for any number of true differences, and for any dependence between the tests:
    here, all comparisons share a baseline. The smallest of k p-values is multiplied by k, the next
    by k − 1, and so on. No adjusted p-value is below that of a smaller one (Holm, "A simple
    sequentially rejective multiple test procedure", 1979).
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    ascending = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(ascending):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def detectable_ratio(sd_of_log_ratio: float, replicates: int, comparisons: int = 1) -> float:
    """Return the smallest true ratio above 1 that is detected with a power of 80 %.

    `sd_of_log_ratio` is the standard deviation of the log ratios of the `replicates`, which are
    blocks or rigs. `comparisons` is the size of the family. The two-sided t test is at 5 % divided
    by that size, which is Holm's threshold for the smallest p-value. If several contenders differ
    from the baseline, the power is higher.

    The formula is exp(δ · sd / √n), with δ from `noncentrality`. Simulated with a known standard
    deviation, 80 % are detected. A standard deviation that is estimated from few replicates is
    uncertain: from 3 it may be wrong by half, from 10 by a quarter. The result is as uncertain.
    """
    critical_t = t_quantile(replicates - 1, 1 - (1 - CONFIDENCE) / 2 / comparisons)
    delta = noncentrality(replicates - 1, critical_t, POWER)
    return math.exp(delta * sd_of_log_ratio / math.sqrt(replicates))


def expected_detectable_ratio(
    sd_of_log_ratio: float, replicates: int, comparisons: int = 1
) -> float | None:
    """Return the `detectable_ratio` to expect, before anything is measured.

    Return None if the replicates are too few for any comparison. Without a session to take the
    standard deviation from, assume 0.02 for a quiet host and 0.05 for a noisy one.
    """
    if replicates < MIN_VALUES:
        return None
    return detectable_ratio(sd_of_log_ratio, replicates, comparisons)
