"""What each ratio allows to claim: faster, slower, equivalent or inconclusive."""

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from fwbench.stats.estimate import Interval
from fwbench.stats.ratios import NoComparison, RatioEstimate
from fwbench.stats.samples import Metric
from fwbench.stats.significance import CONFIDENCE, detectable_ratio, holm
from fwbench.stats.size_ratios import SizeRatio

Member = TypeVar("Member", bound=Hashable)
"""What identifies a comparison within its family."""


class Outcome(StrEnum):
    """The result of a comparison with the baseline."""

    FASTER = "faster"
    SLOWER = "slower"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


class Comparison(RatioEstimate):
    """A ratio, judged together with all others of its family.

    `p_adjusted` is the p-value after Holm's correction. `interval` is not adjusted, so it may
    exclude 1 although the outcome is *inconclusive*. `margin` is 0.02 for "equivalent within 2 %".
    `noise_floor` and `detectable_ratio` are above 1, and a difference has to exceed the noise
    floor. The noise floor is None if the session had no A/A control.
    """

    p_adjusted: float
    outcome: Outcome
    margin: float
    noise_floor: float | None
    below_noise_floor: bool
    detectable_ratio: float


class JudgedSizeRatio(SizeRatio):
    """A ratio of sizes, judged together with all others of the session.

    `p_adjusted` is the p-value after Holm's correction over all sizes, contenders and settings.
    """

    p_adjusted: float
    outcome: Outcome


def judge_family(
    ratios: Mapping[Member, RatioEstimate | NoComparison],
    *,
    margin: float,
    noise_floors: Mapping[Member, float],
    higher_is_better: Mapping[Member, bool],
) -> dict[Member, Comparison | NoComparison]:
    """Return the outcome of each ratio of a family, by member.

    *Faster*, *slower*: the p-value after Holm's correction over the family is below 5 %, and the
    ratio is further from 1 than the noise floor. *Equivalent*, which takes precedence: the whole
    95 % interval and the noise floor lie within [1 / (1 + margin), 1 + margin]. That is TOST, the
    two one-sided tests (Schuirmann 1987), at 2.5 % each. TOST usually is at 5 % each and requires
    only the 90 % interval, so this errs towards *inconclusive*. Equivalence is not adjusted for the
    size of the family.

    `higher_is_better` is true for a throughput and false for a latency. `noise_floors` has the
    ratio of the A/A control in the same setting, above or below 1. The control is no member of the
    family. A member that is missing in `noise_floors` has no floor.

    The floor guards against an error that no interval within a session can show: one container is
    favoured in every block. Simulated at 10 blocks and 2 % noise, with containers that differ by
    2 % in this way: 51 % false claims without a floor, 36 % with it, and 18 % if the floor is the
    far limit of the A/A interval (`selfbench/claims.py`). The floor is the A/A ratio itself,
    because it costs nothing in a sound session, which has its 5 % anyway. The far limit would
    reduce the power from 80 % to 56 %. Neither makes an unsound session sound. If the A/A interval
    excludes 1, the report therefore has to say so next to the claims.
    """
    estimates = {
        member: ratio for member, ratio in ratios.items() if isinstance(ratio, RatioEstimate)
    }
    adjusted = dict(
        zip(estimates, holm([ratio.p_value for ratio in estimates.values()]), strict=True)
    )
    return {
        member: _judge(
            ratio,
            p_adjusted=adjusted[member],
            margin=margin,
            noise_floor=noise_floors.get(member),
            higher_is_better=higher_is_better[member],
            family_size=len(estimates),
        )
        if isinstance(ratio, RatioEstimate)
        else ratio
        for member, ratio in ratios.items()
    }


def judge_size_ratios(
    ratios: Sequence[tuple[Metric, SizeRatio | NoComparison]],
) -> list[JudgedSizeRatio | NoComparison]:
    """Return the outcome of each ratio, in order: significant if below 5 % after Holm."""
    adjusted = iter(holm([ratio.p_value for _, ratio in ratios if isinstance(ratio, SizeRatio)]))
    judged: list[JudgedSizeRatio | NoComparison] = []
    for metric, ratio in ratios:
        if isinstance(ratio, NoComparison):
            judged.append(ratio)
            continue
        p_adjusted = next(adjusted)
        outcome = Outcome.INCONCLUSIVE
        if p_adjusted < 1 - CONFIDENCE:
            outcome = _direction(ratio.ratio, higher_is_better=metric.higher_is_better)
        judged.append(JudgedSizeRatio(**dict(ratio), p_adjusted=p_adjusted, outcome=outcome))
    return judged


def _judge(
    estimate: RatioEstimate,
    *,
    p_adjusted: float,
    margin: float,
    noise_floor: float | None,
    higher_is_better: bool,
    family_size: int,
) -> Comparison:
    floor = None if noise_floor is None else _log_distance_from_1(noise_floor)
    below_noise_floor = floor is not None and _log_distance_from_1(estimate.ratio) <= floor
    if _lies_within(margin, estimate.interval, noise_floor):
        outcome = Outcome.EQUIVALENT
    elif p_adjusted < 1 - CONFIDENCE and not below_noise_floor:
        outcome = _direction(estimate.ratio, higher_is_better=higher_is_better)
    else:
        outcome = Outcome.INCONCLUSIVE
    return Comparison(
        **dict(estimate),
        p_adjusted=p_adjusted,
        outcome=outcome,
        margin=margin,
        noise_floor=None if floor is None else math.exp(floor),
        below_noise_floor=below_noise_floor,
        detectable_ratio=detectable_ratio(
            statistics.stdev(estimate.log_ratios), estimate.n, family_size
        ),
    )


def _direction(ratio: float, *, higher_is_better: bool) -> Outcome:
    return Outcome.FASTER if (ratio > 1) == higher_is_better else Outcome.SLOWER


def _lies_within(margin: float, interval: Interval, noise_floor: float | None) -> bool:
    low, high = 1 / (1 + margin), 1 + margin
    floor_within = noise_floor is None or low <= noise_floor <= high
    return floor_within and low <= interval.low and interval.high <= high


def _log_distance_from_1(ratio: float) -> float:
    return abs(math.log(ratio))
