"""What may be claimed of the ratios: faster, slower, equivalent or inconclusive."""

import math
import statistics
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from fwbench.stats.estimate import Interval
from fwbench.stats.ratios import NoComparison, RatioEstimate
from fwbench.stats.samples import Metric
from fwbench.stats.significance import CONFIDENCE, detectable, holm
from fwbench.stats.size_ratios import SizeRatio

Key = TypeVar("Key")


class Outcome(StrEnum):
    """What may be said of a contender beside its baseline."""

    FASTER = "faster"
    SLOWER = "slower"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


class Comparison(RatioEstimate):
    """A pair, judged among all that are asked about at once.

    `p_adjusted` is Holm's. `interval` stays the pair's own, so it may exclude 1 where the
    outcome is *inconclusive*. `margin` is 0.02 for "equivalent within 2 %". `noise_floor` and
    `detectable` are ratios above 1; a difference has to exceed both. None: the session had no A/A
    pair.
    """

    p_adjusted: float
    outcome: Outcome
    margin: float
    noise_floor: float | None
    below_noise_floor: bool
    detectable: float


class JudgedSizeRatio(SizeRatio):
    """`p_adjusted` is Holm's over all sizes, contenders and settings of the session."""

    p_adjusted: float
    outcome: Outcome


def judge_family(
    pairs: Mapping[str, RatioEstimate | NoComparison],
    *,
    margin: float,
    noise_floors: Mapping[str, float],
    higher_is_better: Mapping[str, bool],
) -> dict[str, Comparison | NoComparison]:
    """The words for all pairs that are asked about at once, under the names given.

    *faster*, *slower*: the p-value, after Holm over the family, is below 5 %, and the ratio is
    further from 1 than the noise floor. *equivalent*, which goes first: the whole 95 % interval
    lies within [1 / (1 + margin), 1 + margin], and the noise floor does too. That is TOST, the two
    one-sided tests (Schuirmann 1987), at 2.5 % each; its usual 5 % would ask for the 90 % interval
    only, so this errs towards *inconclusive*. Equality is not adjusted for the size of the family.

    `higher_is_better` tells throughput from latency. `noise_floors` has the ratio of each one's A/A
    pair, on whichever side of 1: the baseline beside its twin in the same setting, which is no
    member of the family. A name that is missing there has no floor.

    The floor guards against what no interval within a session sees: a favour that one container
    keeps through every block. Simulated at 10 blocks and 2 % noise, where containers differ so by
    2 %: 51 % false claims without a floor, 36 % with it, 18 % with the far end of the A/A interval
    for one (`selfbench/claims.py`). The point it is, because in a sound session, which has its 5 %
    anyway, it costs nothing, while the far end takes the power from 80 % to 56 %. Neither heals an
    unsound one: an A/A interval that leaves out 1 has to be told beside the claims.
    """
    measured = {name: pair for name, pair in pairs.items() if isinstance(pair, RatioEstimate)}
    adjusted = dict(zip(measured, holm([p.p_value for p in measured.values()]), strict=True))
    found: dict[str, Comparison | NoComparison] = {}
    for name, pair in pairs.items():
        if isinstance(pair, NoComparison):
            found[name] = pair
            continue
        noise_floor = noise_floors.get(name)
        below = noise_floor is not None and _distance_from_one(pair.ratio) <= _distance_from_one(
            noise_floor
        )
        if _lies_within(margin, pair.interval, noise_floor):
            word = Outcome.EQUIVALENT
        elif adjusted[name] < 1 - CONFIDENCE and not below:
            word = Outcome.FASTER if (pair.ratio > 1) == higher_is_better[name] else Outcome.SLOWER
        else:
            word = Outcome.INCONCLUSIVE
        found[name] = Comparison(
            **dict(pair),
            p_adjusted=adjusted[name],
            outcome=word,
            margin=margin,
            noise_floor=None if noise_floor is None else math.exp(_distance_from_one(noise_floor)),
            below_noise_floor=below,
            detectable=detectable(statistics.stdev(pair.log_ratios), pair.n, len(measured)),
        )
    return found


def judge_sizes(
    asked: Mapping[Key, tuple[Metric, SizeRatio | NoComparison]],
) -> dict[Key, JudgedSizeRatio | NoComparison]:
    """The words for all that are asked about at once: shown if below 5 % after Holm."""
    ratios = {key: one for key, (_, one) in asked.items() if isinstance(one, SizeRatio)}
    adjusted = dict(zip(ratios, holm([one.p_value for one in ratios.values()]), strict=True))
    found: dict[Key, JudgedSizeRatio | NoComparison] = {}
    for key, (metric, one) in asked.items():
        if isinstance(one, NoComparison):
            found[key] = one
            continue
        word = Outcome.INCONCLUSIVE
        if adjusted[key] < 1 - CONFIDENCE:
            word = Outcome.FASTER if (one.ratio > 1) == metric.higher_is_better else Outcome.SLOWER
        found[key] = JudgedSizeRatio(**dict(one), p_adjusted=adjusted[key], outcome=word)
    return found


def _lies_within(margin: float, interval: Interval, noise_floor: float | None) -> bool:
    low, high = 1 / (1 + margin), 1 + margin
    fine_enough = noise_floor is None or low <= noise_floor <= high
    return fine_enough and low <= interval.low and interval.high <= high


def _distance_from_one(ratio: float) -> float:
    """How far from 1, on whichever side."""
    return abs(math.log(ratio))
