"""Coverage of the intervals and error rates of the outcomes, in simulated sessions.

Each uses 2000 seeded sessions, so a coverage of 95 % has a standard error of 0.5 points, and 1.5
points are three standard errors. `selfbench/claims.py` prints the same numbers for more sessions.
"""

import numpy as np
import pytest
import simulation as sim

from fwbench.stats.estimate import Interval, median_interval
from fwbench.stats.outcomes import Outcome
from fwbench.stats.significance import detectable_ratio
from fwbench.stats.stopping import StoppingTarget

SESSIONS = 2000
TRUTH = 1.1
SD = 0.02
NOMINAL = pytest.approx(95, abs=1.5)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20261123)


@pytest.mark.parametrize("blocks", [3, 5, 10, 20, 30])
def test_the_coverage_is_95_percent(random: np.random.Generator, blocks: int) -> None:
    logs = sim.noisy_sessions(random, SESSIONS, (1, TRUTH), blocks, SD)
    assert sim.coverage_of_last(logs, TRUTH) == NOMINAL


def test_blocks_keep_the_coverage_under_drift(random: np.random.Generator) -> None:
    planned = sim.planned_order(200, 10)
    trials = planned.shape[1]
    logs = sim.noisy_sessions(random, SESSIONS, [*[1] * (trials - 1), TRUTH], 10, SD)
    with_blocks, without = (
        sim.with_drift(logs, sim.positions_in_session(order), 0.05)
        for order in (planned, sim.order_without_blocks(trials, 10))
    )
    assert sim.coverage_of_last(with_blocks, TRUTH) == NOMINAL
    assert sim.coverage_of_last(without, TRUTH) < 20


def test_randomisation_keeps_the_coverage_under_order_effects(
    random: np.random.Generator,
) -> None:
    planned = sim.planned_order(200, 10)
    trials = planned.shape[1]
    logs = sim.noisy_sessions(random, SESSIONS, [*[1] * (trials - 1), TRUTH], 10, SD)
    randomised, fixed = (
        sim.with_drift(logs, sim.positions_in_block(order), 0.05)
        for order in (planned, sim.order_without_randomisation(trials, 10))
    )
    assert sim.coverage_of_last(randomised, TRUTH) == NOMINAL
    assert sim.coverage_of_last(fixed, TRUTH) < 20


@pytest.mark.parametrize("rigs", [3, 5, 10])
def test_rigs_as_replicates_keep_the_coverage_if_rigs_differ(
    random: np.random.Generator, rigs: int
) -> None:
    logs = sim.noisy_rigs(random, SESSIONS, TRUTH, rigs, 10, SD)
    assert sim.coverage_of_last(logs, TRUTH) == NOMINAL
    assert sim.coverage(sim.pooled_t_intervals(logs), TRUTH) < 75


def test_t_intervals_keep_the_coverage_with_slow_runs(
    random: np.random.Generator,
) -> None:
    logs = sim.with_slow_runs(random, sim.noisy_sessions(random, SESSIONS, (1, TRUTH), 10, SD))
    log_ratios = logs[:, 1] - logs[:, 0]
    by_ranks = sim.hodges_lehmann_intervals(log_ratios)
    by_t = sim.t_intervals(log_ratios)
    assert sim.coverage_of_last(logs, TRUTH) == NOMINAL
    assert sim.coverage(by_ranks, TRUTH) == NOMINAL
    assert sim.mean_half_width(by_t) < 1.05 * sim.mean_half_width(by_ranks)


def test_trimmed_intervals_are_narrower_only_with_slow_runs(
    random: np.random.Generator,
) -> None:
    quiet = sim.noisy_sessions(random, 5 * SESSIONS, (1, TRUTH), 10, SD)
    slow = sim.with_slow_runs(random, quiet)

    def width_of_trimmed(logs: sim.Logs) -> float:
        log_ratios = logs[:, 1] - logs[:, 0]
        trimmed = sim.mean_half_width(sim.yuen_intervals(log_ratios))
        return trimmed / sim.mean_half_width(sim.t_intervals(log_ratios))

    assert width_of_trimmed(slow) < 0.95
    assert width_of_trimmed(quiet) > 1.05
    assert sim.coverage(sim.yuen_intervals(quiet[:, 1] - quiet[:, 0]), TRUTH) < 94.2


@pytest.mark.parametrize("n", [6, 10, 20])
def test_median_interval_covers_a_skewed_quantity(random: np.random.Generator, n: int) -> None:
    """Values are lognormal with a standard deviation of 0.5, as p99s are. Their median is 1."""
    samples = random.lognormal(0, 0.5, (SESSIONS, n)).tolist()
    intervals = [median_interval(values) for values in samples]
    existing = [interval for interval in intervals if isinstance(interval, Interval)]
    assert 93.5 <= sim.coverage(existing, 1) < 99.5
    assert None not in intervals


def test_false_claims_occur_in_5_percent_of_sessions(
    random: np.random.Generator,
) -> None:
    logs = sim.noisy_sessions(random, SESSIONS, [1] * 6, 10, SD)
    without_control = np.delete(logs, 1, axis=1)
    without_floor = sim.claim_rate(sim.comparisons(without_control))
    with_floor = sim.claim_rate(sim.comparisons(logs, floor=sim.aa_ratio))
    assert 3 < without_floor < 6.5
    assert 2 < with_floor < without_floor


def test_false_claims_exceed_12_percent_without_holm(
    random: np.random.Generator,
) -> None:
    logs = sim.noisy_sessions(random, SESSIONS, [1] * 5, 10, SD)
    claims = [any(ratio.p_value < 0.05 for ratio in session) for session in sim.ratios(logs)]
    assert 100 * np.mean(claims) > 12


def test_noise_floor_reduces_false_claims_of_biased_containers(
    random: np.random.Generator,
) -> None:
    """Too many false claims remain, so the report warns if the A/A interval excludes 1."""
    logs = sim.noisy_sessions(random, SESSIONS, [1] * 3, 20, SD)
    biased = sim.with_container_bias(random, logs, 0.02)
    without_floor = sim.claim_rate(sim.comparisons(np.delete(biased, 1, axis=1)))
    with_floor = sim.claim_rate(sim.comparisons(biased, floor=sim.aa_ratio))
    assert without_floor > 55
    assert 30 < with_floor < 0.75 * without_floor


@pytest.mark.parametrize("floor", [None, sim.aa_ratio])
@pytest.mark.parametrize(("contenders", "blocks"), [(1, 3), (1, 10), (4, 5), (4, 10)])
def test_power_at_the_detectable_ratio_is_80_percent(
    random: np.random.Generator, contenders: int, blocks: int, floor: sim.Floor | None
) -> None:
    ratio = detectable_ratio(SD * 2**0.5, blocks, contenders)
    others = [1.0] * (contenders - 1)
    aa_control = [] if floor is None else [1.0]
    truth = [1, *aa_control, ratio, *others]
    logs = sim.noisy_sessions(random, SESSIONS, truth, blocks, SD)
    power = sim.claim_rate(session[:1] for session in sim.comparisons(logs, floor=floor))
    assert power == pytest.approx(80, abs=3)


def test_ratio_at_the_margin_is_rarely_called_equivalent(
    random: np.random.Generator,
) -> None:
    logs = sim.noisy_sessions(random, SESSIONS, (1, 1.02), 30, SD)
    outcomes = [comparison.outcome for [comparison] in sim.comparisons(logs, margin=0.02)]
    equivalent = [outcome == Outcome.EQUIVALENT for outcome in outcomes]
    assert 1 < 100 * np.mean(equivalent) < 3.5


def test_stopping_from_block_10_keeps_most_of_the_coverage(
    random: np.random.Generator,
) -> None:
    logs = sim.noisy_sessions(random, SESSIONS, (1, TRUTH), 40, SD)
    stopped = list(sim.stopped_early(logs, StoppingTarget(within_percent=1.5, at_most=40)))
    assert len(stopped) == SESSIONS
    assert 93 <= sim.coverage([ratio.interval for ratio, _ in stopped], TRUTH) <= 96
    assert 12 < np.mean([blocks for _, blocks in stopped]) < 25
    assert sim.coverage(sim.stopped_from_block(logs, 3, 1.5), TRUTH) < 91.5
