"""Student's t, Holm's correction, and the power of a comparison.

`scipy.special` has what `scipy.stats.t` and `scipy.stats.nct` call, without the second that
importing scipy.stats takes; and it is imported where it is used, because even so it takes longer
than anything else at the start.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

CONFIDENCE = 0.95
MIN_VALUES = 3  # simulated: from three values on, Student's t holds its 95 %; a bootstrap does not
POWER = 0.80


@lru_cache
def t_quantile(freedom: float, probability: float) -> float:
    """The t below which lies such a share of the distribution."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return float(stdtrit(freedom, probability))


def t_p_value(t: float, freedom: float) -> float:
    """How probable a t at least as far from 0, on either side, is where the truth is 0."""
    from scipy.special import stdtr

    return 2 * float(stdtr(freedom, -abs(t)))


@lru_cache
def noncentrality(freedom: int, critical: float, power: float) -> float:
    """How many standard errors the truth must lie from 0 for t to pass `critical` so often.

    From the noncentral t distribution (Cohen, *Statistical Power Analysis*, 1988, chapter 2). The
    other tail is left out: at a power of 80 % it weighs less than a millionth.
    """
    from scipy.special import nctdtrinc

    return float(nctdtrinc(freedom, 1 - power, critical))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Each p-value as it counts among all that are asked at once, in the order given.

    With those below 5 % claimed, at most one family in twenty contains a false claim, however many
    are true and however they depend on each other: here they share a baseline. The smallest of k
    is multiplied by k, the next by k − 1, and so on; none becomes smaller than the one before it
    (Holm, "A simple sequentially rejective multiple test procedure", 1979).
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    smallest_first = sorted(range(len(p_values)), key=p_values.__getitem__)
    for step, place in enumerate(smallest_first):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)


def detectable(sd_of_log_ratio: float, units: int, comparisons: int = 1) -> float:
    """The smallest true ratio above 1 that so many blocks, or rigs, show four times in five.

    `sd_of_log_ratio` is the standard deviation of the units' log ratios. `comparisons` are those
    of the family: the t test counts at 5 % divided by their number, two-sided, which is what Holm
    asks of the first of them; where others differ too, more is shown. exp(δ · sd / √n), with δ the
    noncentrality of `noncentrality`. Simulated with a known deviation: 80 % are shown. One
    estimated from few units is itself uncertain: from 3 it may be wrong by half, from 10 by a
    quarter, and this with it.
    """
    critical = t_quantile(units - 1, 1 - (1 - CONFIDENCE) / 2 / comparisons)
    shift = noncentrality(units - 1, critical, POWER)
    return math.exp(shift * sd_of_log_ratio / math.sqrt(units))


def expected_detectable(sd_of_log_ratio: float, blocks: int, comparisons: int = 1) -> float | None:
    """What `detectable` will say if blocks vary so much, before anything is measured.

    None where blocks are too few for any comparison. Until a session says better, 0.02 stands for
    a quiet host and 0.05 for a noisy one.
    """
    return detectable(sd_of_log_ratio, blocks, comparisons) if blocks >= MIN_VALUES else None
