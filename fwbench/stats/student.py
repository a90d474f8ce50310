"""Student's t distribution: what every interval, p-value and power of this package is taken from.

`scipy.special` has what `scipy.stats.t` and `scipy.stats.nct` call, without the second that
importing scipy.stats takes; and it is imported where it is used, because even so it takes longer
than anything else at the start.
"""

from functools import lru_cache


@lru_cache
def quantile(freedom: float, probability: float) -> float:
    """The t below which lies such a share of the distribution."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return float(stdtrit(freedom, probability))


def p_value(t: float, freedom: float) -> float:
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
