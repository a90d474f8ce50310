"""Sessions whose truth is known, for the proofs of what `fwbench.analyse` promises.

Arrays hold logarithms of values, by session, trial and block (with rigs: session, trial, rig and
block). Trial 0 is the baseline. What is asked of them is asked of the code that the report uses.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations_with_replacement

import numpy as np
from builders import header, rig, suite
from numpy.typing import NDArray
from scipy.special import stdtrit  # type: ignore[import-untyped]

from fwbench.plan import make_plan, trials
from fwbench.stats.estimate import Interval
from fwbench.stats.hardware_groups import hardware_groups
from fwbench.stats.outcomes import Comparison, Outcome, judge_family
from fwbench.stats.ratios import NoComparison, RatioEstimate, paired_ratio
from fwbench.stats.samples import Metric
from fwbench.stats.size_ratios import RigValues, SizeRatio, size_ratio
from fwbench.stats.stopping import StoppingTarget, decide

Logs = NDArray[np.float64]
Floor = Callable[[RatioEstimate], float]

_SIZE = hardware_groups(header())[0]


def noisy(
    random: np.random.Generator, sessions: int, truth: Sequence[float], blocks: int, sd: float
) -> Logs:
    """Every run varies by `sd` on its own around its trial's true value."""
    noise = random.normal(0, sd, (sessions, len(truth), blocks))
    return noise + np.log(truth)[None, :, None]


def on_rigs(
    random: np.random.Generator, sessions: int, truth: float, rigs: int, blocks: int, sd: float
) -> Logs:
    """As `noisy` on several rigs, where the ratio itself differs by `sd` from rig to rig."""
    logs = random.normal(0, sd, (sessions, 2, rigs, blocks))
    logs[:, 1] += np.log(truth) + random.normal(0, sd, (sessions, rigs, 1))
    return logs


def sizes(
    random: np.random.Generator, sessions: int, rigs: tuple[int, int], blocks: int, sd: float
) -> Iterator[SizeRatio]:
    """Two sizes that are alike, with so many rigs each, which differ by `sd` as their runs do."""
    for _ in range(sessions):
        sides = [
            {
                f"rig-{number}": RigValues(tuple(values), tuple(values))
                for number, values in enumerate(
                    (
                        random.normal(0, sd, (count, 1)) + random.normal(0, sd, (count, blocks))
                    ).tolist()
                )
            }
            for count in rigs
        ]
        found = size_ratio(Metric.THROUGHPUT, (_SIZE, sides[0]), (_SIZE, sides[1]))
        assert isinstance(found, SizeRatio)
        yield found


def slowed(random: np.random.Generator, logs: Logs) -> Logs:
    """One run in ten is slowed by 10 %, whosever it is."""
    return logs + np.where(random.random(logs.shape) < 0.1, np.log(0.9), 0)


def favoured(random: np.random.Generator, logs: Logs, sd: float) -> Logs:
    """Each trial has a favour or a disfavour of its own, which it keeps through the session."""
    return logs + random.normal(0, sd, (*logs.shape[:2], 1))


def drifting(logs: Logs, when: Logs, drift: float) -> Logs:
    """A run is the faster the later it has its turn, by `drift` from the first to the last.

    `when` is from 0 to 1, by plan, trial and block; sessions take the plans in turn.
    """
    return logs + np.log1p(drift * when[np.arange(len(logs)) % len(when)])


def in_session(places: NDArray[np.int64]) -> Logs:
    """How late in its session each run has its turn, from 0 to 1."""
    return np.asarray(places / places.max())


def in_block(places: NDArray[np.int64]) -> Logs:
    """How late in its block each run has its turn, from 0 to 1."""
    count = places.shape[1]
    return np.asarray(places % count / (count - 1))


def planned(plans: int, blocks: int) -> NDArray[np.int64]:
    """When each run has its turn, from as many plans that fwbench makes; the baseline is first."""
    asked = suite(blocks=blocks)
    of_suite = trials(asked)
    places = np.empty((plans, len(of_suite), blocks), dtype=np.int64)
    for seed in range(plans):
        for turn, run in enumerate(make_plan(asked, [rig()], seed).runs):
            places[seed, of_suite.index(run.trial), run.block - 1] = turn
    return places


def one_after_the_other(count: int, blocks: int) -> NDArray[np.int64]:
    """When each run would have its turn with so many trials: all of one, then all of the next."""
    return np.arange(count * blocks).reshape(1, count, blocks)


def in_the_same_order(count: int, blocks: int) -> NDArray[np.int64]:
    """When each run would have its turn in blocks that are not randomised."""
    return np.arange(count * blocks).reshape(1, blocks, count).transpose(0, 2, 1)


def pairs(logs: Logs) -> Iterator[list[RatioEstimate]]:
    """Each session's trials beside its baseline."""
    with_rigs = logs if logs.ndim == 4 else logs[:, :, None, :]
    for session in np.exp(with_rigs).tolist():
        sides = [
            {f"rig-{number}": dict(enumerate(values)) for number, values in enumerate(trial)}
            for trial in session
        ]
        yield [_known(paired_ratio(side, sides[0])) for side in sides[1:]]


def point(aa_control: RatioEstimate) -> float:
    """The noise floor as fwbench has it: the A/A ratio."""
    return aa_control.ratio


def far_end(aa_control: RatioEstimate) -> float:
    """The noise floor as it could be: whatever the A/A interval does not exclude."""
    return max(aa_control.interval.high, 1 / aa_control.interval.low)


def families(
    logs: Logs, *, floor: Floor | None = None, margin: float = 0
) -> Iterator[list[Comparison]]:
    """Each session's comparisons. With a noise floor, trial 1 is the baseline's twin."""
    for found in pairs(logs):
        members = {str(number): pair for number, pair in enumerate(found)}
        floors = {}
        if floor is not None:
            floors = dict.fromkeys(members, floor(members.pop("0")))
        judged = judge_family(
            members,
            margin=margin,
            noise_floors=floors,
            higher_is_better=dict.fromkeys(members, True),
        )
        yield [each for each in judged.values() if isinstance(each, Comparison)]


def coverage(intervals: Iterable[Interval], truth: float) -> float:
    """In how many of a hundred the truth lies within."""
    return 100 * float(np.mean([each.low <= truth <= each.high for each in intervals]))


def covered(logs: Logs, truth: float) -> float:
    """`coverage` of the last trial's ratio."""
    return coverage((found[-1].interval for found in pairs(logs)), truth)


def claiming(sessions: Iterable[list[Comparison]]) -> float:
    """In how many of a hundred sessions some contender is called faster or slower."""
    claims = {Outcome.FASTER, Outcome.SLOWER}
    return 100 * float(np.mean([any(one.outcome in claims for one in each) for each in sessions]))


def stopped(logs: Logs, rule: StoppingTarget) -> Iterator[tuple[RatioEstimate, int]]:
    """What each session of two trials ends with under the rule, and after how many blocks."""
    for session in logs:
        for blocks in range(rule.at_least, rule.at_most + 1):
            [[pair]] = pairs(session[None, :, :blocks])
            if decide(rule, blocks, {"contender": pair}).stop:
                yield pair, blocks
                break


def stopped_from(logs: Logs, first: int, within: float) -> list[Interval]:
    """The intervals under the same rule with the first look at block `first`, which it refuses."""
    ratios = logs[:, 1] - logs[:, 0]
    counts = np.arange(1, ratios.shape[1] + 1)
    means = np.cumsum(ratios, axis=1) / counts
    squares = np.cumsum(ratios**2, axis=1) / counts - means**2
    half = stdtrit(counts[1:] - 1, 0.975) * np.sqrt(squares[:, 1:] / (counts[1:] - 1))
    narrow = half[:, first - 2 :] <= np.log1p(within / 100)
    narrow[:, -1] = True
    at = first - 2 + narrow.argmax(axis=1)
    rows = np.arange(len(logs))
    middle, reach = means[rows, at + 1], half[rows, at]
    return _intervals(middle - reach, middle + reach)


def pooled(logs: Logs) -> list[Interval]:
    """The wrong interval of several rigs: every block of every rig for a unit."""
    return students((logs[:, 1] - logs[:, 0]).reshape(len(logs), -1))


def students(units: Logs) -> list[Interval]:
    """Student's t interval of each row."""
    n = units.shape[1]
    half = stdtrit(n - 1, 0.975) * units.std(axis=1, ddof=1) / np.sqrt(n)
    return _intervals(units.mean(axis=1) - half, units.mean(axis=1) + half)


def hodges_lehmann(units: Logs) -> list[Interval]:
    """The interval of the Hodges-Lehmann estimate from Wilcoxon's signed ranks, of each row."""
    n = units.shape[1]
    pairings = np.array(list(combinations_with_replacement(range(n), 2)))
    averages = np.sort(units[:, pairings].mean(axis=2), axis=1)
    ways = np.array([1.0])  # in which the signed ranks have a sum
    for rank in range(1, n + 1):
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    k = int(np.searchsorted(np.cumsum(ways) / 2.0**n, 0.025, side="right"))
    return _intervals(averages[:, k - 1], averages[:, -k])


def yuen(units: Logs) -> list[Interval]:
    """Yuen's interval of the mean with a fifth trimmed from either end, of each row."""
    n = units.shape[1]
    cut = n // 5
    left = n - 2 * cut
    ordered = np.sort(units, axis=1)
    middle = ordered[:, cut : n - cut].mean(axis=1)
    winsorised = np.clip(ordered, ordered[:, [cut]], ordered[:, [n - cut - 1]])
    error = winsorised.std(axis=1, ddof=1) * np.sqrt(n) / left
    half = stdtrit(left - 1, 0.975) * error
    return _intervals(middle - half, middle + half)


def half_width(intervals: Sequence[Interval]) -> float:
    """How far the intervals reach to either side, on average, in percent."""
    return 50 * float(np.mean([np.log(each.high / each.low) for each in intervals]))


def _intervals(low: Logs, high: Logs) -> list[Interval]:
    ends = zip(np.exp(low).tolist(), np.exp(high).tolist(), strict=True)
    return [Interval(low=one, high=other) for one, other in ends]


def _known(pair: RatioEstimate | NoComparison) -> RatioEstimate:
    assert isinstance(pair, RatioEstimate)
    return pair
