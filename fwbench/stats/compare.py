"""How contenders compare with their baseline, and which of the differences may be claimed."""

import math
import statistics
from collections.abc import Mapping, Sequence
from enum import StrEnum

from fwbench.model.base import Frozen
from fwbench.stats import student
from fwbench.stats.estimate import CONFIDENCE, MIN_VALUES, Interval
from fwbench.stats.holm import holm
from fwbench.stats.power import detectable

Values = Mapping[str, Mapping[int, float]]
"""One side of a comparison: by rig and block, a run's throughput or latency, above 0."""


class Replicate(StrEnum):
    """What was repeated, and so what the interval speaks of."""

    BLOCK = "block"
    RIG = "rig"


class Outcome(StrEnum):
    """What may be said of a contender beside its baseline."""

    FASTER = "faster"
    SLOWER = "slower"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


class RatioEstimate(Frozen):
    """The contender's values divided by the baseline's, over `n` units; `log_ratios` has each.

    `p_value` is that of this pair alone, two-sided, for "the ratio is 1".
    """

    ratio: float
    interval: Interval
    n: int
    unit: Replicate
    p_value: float
    log_ratios: tuple[float, ...]


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


class NoComparison(Frozen):
    """Why there is none."""

    reason: str


def paired_ratio(contender: Values, baseline: Values) -> RatioEstimate | NoComparison:
    """The ratio of two sides, with its interval, from the runs that both have.

    Both runs of a block see the same state of the machine, so each block gives one log ratio. On
    one rig the block is the unit, and the claim is about that rig. On several the rig is: a block
    more on the same machine says nothing about the next machine, so each rig gives one number, the
    mean of its log ratios, and three rigs are needed. What one of several rigs shows is asked by
    handing in that rig alone. ValueError where a value is not above 0.

    The interval is exp(m ± t(n − 1, 97.5 %) · s / √n) of the log ratios. It was chosen by
    simulation (`selfbench/claims.py`). At 10 blocks and 2 % noise it covers the truth in 95 %,
    and 2.0 % is half its width. With every tenth run slowed by 10 %: 96 % and 3.6 %. The
    Hodges-Lehmann estimate with Wilcoxon's signed ranks has the same width (95 %; 3.6 %), and no
    interval below 6 blocks. Yuen's trimmed t is narrower then (95 %; 3.2 %), but does not hold its
    95 % on quiet machines (93.3 %; 2.2 %). If only one side has slow runs, they belong to its mean:
    t speaks of the mean with them, and from 20 blocks on that can be told from the ratio without.
    """
    rigs = sorted(contender.keys() | baseline.keys())
    by_rig = [_log_ratios(contender.get(rig, {}), baseline.get(rig, {})) for rig in rigs]
    if len(rigs) > 1:
        units = [statistics.fmean(logs) for logs in by_rig if logs]
        if len(units) < MIN_VALUES:
            have = _replicate_count(len(units), Replicate.RIG)
            return NoComparison(reason=f"{have}; one rig alone can be compared on its own")
        return _by_student(units, Replicate.RIG)
    units = [log for logs in by_rig for log in logs]
    if len(units) < MIN_VALUES:
        return NoComparison(reason=_replicate_count(len(units), Replicate.BLOCK))
    return _by_student(units, Replicate.BLOCK)


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


def _lies_within(margin: float, interval: Interval, noise_floor: float | None) -> bool:
    low, high = 1 / (1 + margin), 1 + margin
    fine_enough = noise_floor is None or low <= noise_floor <= high
    return fine_enough and low <= interval.low and interval.high <= high


def _distance_from_one(ratio: float) -> float:
    """How far from 1, on whichever side."""
    return abs(math.log(ratio))


def _log_ratios(contender: Mapping[int, float], baseline: Mapping[int, float]) -> list[float]:
    blocks = sorted(contender.keys() & baseline.keys())
    return [math.log(contender[block]) - math.log(baseline[block]) for block in blocks]


def _replicate_count(units: int, unit: Replicate) -> str:
    return f"{units} {unit}{'' if units == 1 else 's'} with values of both, {MIN_VALUES} are needed"


def _by_student(log_ratios: Sequence[float], unit: Replicate) -> RatioEstimate:
    n, mean = len(log_ratios), statistics.fmean(log_ratios)
    error = statistics.stdev(log_ratios) / math.sqrt(n)
    half = student.quantile(n - 1, (1 + CONFIDENCE) / 2) * error
    return RatioEstimate(
        ratio=math.exp(mean),
        interval=Interval(low=math.exp(mean - half), high=math.exp(mean + half)),
        n=n,
        unit=unit,
        p_value=_p_value(mean, error, n - 1),
        log_ratios=tuple(log_ratios),
    )


def _p_value(mean: float, error: float, freedom: int) -> float:
    if not error:  # every unit says exactly the same
        return 0.0 if mean else 1.0
    return student.p_value(mean / error, freedom)
