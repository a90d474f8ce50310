"""How small a difference a comparison can show."""

import math

from fwbench.stats import student
from fwbench.stats.estimate import CONFIDENCE, MIN_VALUES

POWER = 0.80


def detectable(sd_of_log_ratio: float, units: int, comparisons: int = 1) -> float:
    """The smallest true ratio above 1 that so many blocks, or rigs, show four times in five.

    `sd_of_log_ratio` is the standard deviation of the units' log ratios. `comparisons` are those
    of the family: the t test counts at 5 % divided by their number, two-sided, which is what Holm
    asks of the first of them; where others differ too, more is shown. exp(δ · sd / √n), with δ the
    noncentrality of `student.noncentrality`. Simulated with a known deviation: 80 % are shown. One
    estimated from few units is itself uncertain: from 3 it may be wrong by half, from 10 by a
    quarter, and this with it.
    """
    critical = student.quantile(units - 1, 1 - (1 - CONFIDENCE) / 2 / comparisons)
    shift = student.noncentrality(units - 1, critical, POWER)
    return math.exp(shift * sd_of_log_ratio / math.sqrt(units))


def expected_detectable(sd_of_log_ratio: float, blocks: int, comparisons: int = 1) -> float | None:
    """What `detectable` will say if blocks vary so much, before anything is measured.

    None where blocks are too few for any comparison. Until a session says better, 0.02 stands for
    a quiet host and 0.05 for a noisy one.
    """
    return detectable(sd_of_log_ratio, blocks, comparisons) if blocks >= MIN_VALUES else None
