"""Simulated sessions with known true ratios, to test the coverage and the power of `fwbench.stats`.

Arrays contain logarithms of values, by session, trial and block (with rigs: by session, trial, rig
and block). Trial 0 is the baseline. The simulated values go through the code that reports use.
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
from fwbench.stats.ratios import BlockValues, RatioEstimate, paired_ratio
from fwbench.stats.samples import Metric
from fwbench.stats.size_ratios import LogBounds, SizeRatio, SizeSample, size_ratio
from fwbench.stats.stopping import StoppingTarget, reason_to_stop

Logs = NDArray[np.float64]
Floor = Callable[[RatioEstimate], float]

_HARDWARE_GROUP = hardware_groups(header())[0]


def noisy_sessions(
    random: np.random.Generator, sessions: int, truth: Sequence[float], blocks: int, sd: float
) -> Logs:
    """Return sessions on one rig: runs vary by `sd` around the true values of their trials."""
    noise = random.normal(0, sd, (sessions, len(truth), blocks))
    return noise + np.log(truth)[None, :, None]


def noisy_rigs(
    random: np.random.Generator, sessions: int, truth: float, rigs: int, blocks: int, sd: float
) -> Logs:
    """Return sessions on several rigs: the true ratio also varies by `sd` from rig to rig."""
    logs = random.normal(0, sd, (sessions, 2, rigs, blocks))
    logs[:, 1] += np.log(truth) + random.normal(0, sd, (sessions, rigs, 1))
    return logs


def size_ratios(
    random: np.random.Generator, sessions: int, rigs: tuple[int, int], blocks: int, sd: float
) -> Iterator[SizeRatio]:
    """Yield the ratios of two equal sizes with `rigs` rigs each; rigs and runs vary by `sd`."""
    for _ in range(sessions):
        size, reference = (_size_sample(random, count, blocks, sd) for count in rigs)
        ratio = size_ratio(Metric.THROUGHPUT, size, reference)
        assert isinstance(ratio, SizeRatio)
        yield ratio


def _size_sample(random: np.random.Generator, rigs: int, blocks: int, sd: float) -> SizeSample:
    logs = random.normal(0, sd, (rigs, 1)) + random.normal(0, sd, (rigs, blocks))
    by_rig = {
        f"rig-{number}": LogBounds(tuple(values), tuple(values))
        for number, values in enumerate(logs.tolist())
    }
    return SizeSample(_HARDWARE_GROUP, by_rig)


def with_slow_runs(random: np.random.Generator, logs: Logs) -> Logs:
    """Return the sessions with one run in ten slowed by 10 %."""
    return logs + np.where(random.random(logs.shape) < 0.1, np.log(0.9), 0)


def with_container_bias(random: np.random.Generator, logs: Logs, sd: float) -> Logs:
    """Return the sessions with a bias for each trial that is the same in all its blocks."""
    return logs + random.normal(0, sd, (*logs.shape[:2], 1))


def with_drift(logs: Logs, positions: Logs, drift: float) -> Logs:
    """Return the sessions with runs that become faster, by `drift` from the first to the last.

    `positions` are from 0 to 1, by plan, trial and block. Sessions cycle through the plans.
    """
    return logs + np.log1p(drift * positions[np.arange(len(logs)) % len(positions)])


def positions_in_session(order: NDArray[np.int64]) -> Logs:
    """Return the position of each run in its session, from 0 to 1."""
    return np.asarray(order / order.max())


def positions_in_block(order: NDArray[np.int64]) -> Logs:
    """Return the position of each run in its block, from 0 to 1."""
    count = order.shape[1]
    return np.asarray(order % count / (count - 1))


def planned_order(plans: int, blocks: int) -> NDArray[np.int64]:
    """Return the order of runs in plans by fwbench, by plan, trial and block."""
    planned_suite = suite(blocks=blocks)
    planned_trials = trials(planned_suite)
    order = np.empty((plans, len(planned_trials), blocks), dtype=np.int64)
    for seed in range(plans):
        for index, run in enumerate(make_plan(planned_suite, [rig()], seed).runs):
            order[seed, planned_trials.index(run.trial), run.block - 1] = index
    return order


def order_without_blocks(count: int, blocks: int) -> NDArray[np.int64]:
    """Return the order in which all runs of one trial precede all runs of the next."""
    return np.arange(count * blocks).reshape(1, count, blocks)


def order_without_randomisation(count: int, blocks: int) -> NDArray[np.int64]:
    """Return the order with the same order of trials in every block."""
    return np.arange(count * blocks).reshape(1, blocks, count).transpose(0, 2, 1)


def ratios(logs: Logs) -> Iterator[list[RatioEstimate]]:
    """Yield for each session the ratios of its other trials and the baseline."""
    with_rigs = logs if logs.ndim == 4 else logs[:, :, None, :]
    for session in np.exp(with_rigs).tolist():
        baseline, *others = [
            {f"rig-{number}": dict(enumerate(values)) for number, values in enumerate(trial)}
            for trial in session
        ]
        yield [_ratio(other, baseline) for other in others]


def aa_ratio(aa_control: RatioEstimate) -> float:
    """Return the noise floor of fwbench."""
    return aa_control.ratio


def aa_far_limit(aa_control: RatioEstimate) -> float:
    """Return an alternative noise floor: the limit of the A/A interval that is further from 1."""
    return max(aa_control.interval.high, 1 / aa_control.interval.low)


def comparisons(
    logs: Logs, *, floor: Floor | None = None, margin: float = 0
) -> Iterator[list[Comparison]]:
    """Yield the comparisons of each session. With a noise floor, trial 1 is the A/A control."""
    for estimates in ratios(logs):
        family = dict(enumerate(estimates))
        floors = {}
        if floor is not None:
            floors = dict.fromkeys(family, floor(family.pop(0)))
        judged = judge_family(
            family,
            margin=margin,
            noise_floors=floors,
            higher_is_better=dict.fromkeys(family, True),
        )
        yield [result for result in judged.values() if isinstance(result, Comparison)]


def coverage(intervals: Iterable[Interval], truth: float) -> float:
    """Return the percentage of intervals that contain the true value."""
    return 100 * float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


def coverage_of_last(logs: Logs, truth: float) -> float:
    """Return the `coverage` of the last trial's ratio."""
    return coverage((estimates[-1].interval for estimates in ratios(logs)), truth)


def claim_rate(sessions: Iterable[list[Comparison]]) -> float:
    """Return the percentage of sessions in which a contender is called faster or slower."""
    claims = {Outcome.FASTER, Outcome.SLOWER}
    return 100 * float(
        np.mean([any(result.outcome in claims for result in session) for session in sessions])
    )


def stopped_early(logs: Logs, target: StoppingTarget) -> Iterator[tuple[RatioEstimate, int]]:
    """Yield the final ratio of each session of two trials, and the number of its blocks."""
    for session in logs:
        for blocks in range(target.at_least, target.at_most + 1):
            [[ratio]] = ratios(session[None, :, :blocks])
            if reason_to_stop(target, blocks, {"contender": ratio}) is not None:
                yield ratio, blocks
                break


def stopped_from_block(logs: Logs, first: int, within: float) -> list[Interval]:
    """Return the final intervals if the first check is after block `first`.

    `StoppingTarget` refuses such an early check.
    """
    log_ratios = logs[:, 1] - logs[:, 0]
    counts = np.arange(1, log_ratios.shape[1] + 1)
    means = np.cumsum(log_ratios, axis=1) / counts
    variances = np.cumsum(log_ratios**2, axis=1) / counts - means**2
    half_widths = stdtrit(counts[1:] - 1, 0.975) * np.sqrt(variances[:, 1:] / (counts[1:] - 1))
    narrow = half_widths[:, first - 2 :] <= np.log1p(within / 100)
    narrow[:, -1] = True
    stop = first - 2 + narrow.argmax(axis=1)
    rows = np.arange(len(logs))
    mean, half_width = means[rows, stop + 1], half_widths[rows, stop]
    return _intervals(mean - half_width, mean + half_width)


def pooled_t_intervals(logs: Logs) -> list[Interval]:
    """Return intervals that are too narrow for several rigs: every block is a replicate."""
    return t_intervals((logs[:, 1] - logs[:, 0]).reshape(len(logs), -1))


def t_intervals(log_ratios: Logs) -> list[Interval]:
    """Return Student's t interval of each row."""
    n = log_ratios.shape[1]
    mean = log_ratios.mean(axis=1)
    half_width = stdtrit(n - 1, 0.975) * log_ratios.std(axis=1, ddof=1) / np.sqrt(n)
    return _intervals(mean - half_width, mean + half_width)


def hodges_lehmann_intervals(log_ratios: Logs) -> list[Interval]:
    """Return for each row the interval of Hodges-Lehmann, from Wilcoxon's signed ranks."""
    n = log_ratios.shape[1]
    pairings = np.array(list(combinations_with_replacement(range(n), 2)))
    walsh_averages = np.sort(log_ratios[:, pairings].mean(axis=2), axis=1)
    frequencies = np.array([1.0])  # of each sum of signed ranks
    for rank in range(1, n + 1):
        frequencies = np.pad(frequencies, (0, rank)) + np.pad(frequencies, (rank, 0))
    k = int(np.searchsorted(np.cumsum(frequencies) / 2.0**n, 0.025, side="right"))
    return _intervals(walsh_averages[:, k - 1], walsh_averages[:, -k])


def yuen_intervals(log_ratios: Logs) -> list[Interval]:
    """Return Yuen's interval of the mean of each row, with a fifth trimmed from either end."""
    n = log_ratios.shape[1]
    cut = n // 5
    kept = n - 2 * cut
    ordered = np.sort(log_ratios, axis=1)
    mean = ordered[:, cut : n - cut].mean(axis=1)
    winsorised = np.clip(ordered, ordered[:, [cut]], ordered[:, [n - cut - 1]])
    standard_error = winsorised.std(axis=1, ddof=1) * np.sqrt(n) / kept
    half_width = stdtrit(kept - 1, 0.975) * standard_error
    return _intervals(mean - half_width, mean + half_width)


def mean_half_width(intervals: Sequence[Interval]) -> float:
    """Return half the width of the intervals, on average, in percent."""
    return 50 * float(np.mean([np.log(interval.high / interval.low) for interval in intervals]))


def _intervals(lows: Logs, highs: Logs) -> list[Interval]:
    limits = zip(np.exp(lows).tolist(), np.exp(highs).tolist(), strict=True)
    return [Interval(low=low, high=high) for low, high in limits]


def _ratio(contender: BlockValues, baseline: BlockValues) -> RatioEstimate:
    ratio = paired_ratio(contender, baseline)
    assert isinstance(ratio, RatioEstimate)
    return ratio
