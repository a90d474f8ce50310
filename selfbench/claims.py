"""How often fwbench's intervals, words and figures of power are right, by simulation.

    python selfbench/claims.py [--sessions 10000]

The tables behind the numbers in the docstrings of `fwbench/stats` and in docs/methodology.md.
The tests prove the same with fewer sessions. Every figure is a percentage of seeded sessions, with
a standard error of 0.2 points where it is near 95 and 0.5 near 50. Takes about four minutes.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tabulate import tabulate

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

import simulation as sim

from fwbench.stats.significance import detectable_ratio
from fwbench.stats.stopping import StoppingTarget

TRUTH = 1.1
SD = 0.02  # of a run; that of a block's log ratio is √2 times as much
Row = tuple[float | str, ...]


def coverage(sessions: int) -> Iterator[Row]:
    random = np.random.default_rng(1)
    for blocks in (3, 5, 10, 20, 30):
        logs = sim.noisy_sessions(random, sessions, (1, TRUTH), blocks, SD)
        yield f"{blocks} blocks", sim.coverage_of_last(logs, TRUTH)
    planned = sim.planned_order(500, 10)
    trials = planned.shape[1]
    logs = sim.noisy_sessions(random, sessions, [*[1] * (trials - 1), TRUTH], 10, SD)
    drifts = {
        "in a session, randomised blocks": sim.positions_in_session(planned),
        "in a session, one trial after the other": sim.positions_in_session(
            sim.order_without_blocks(trials, 10)
        ),
        "in each block, randomised": sim.positions_in_block(planned),
        "in each block, always the same order": sim.positions_in_block(
            sim.order_without_randomisation(trials, 10)
        ),
    }
    for name, when in drifts.items():
        yield f"drift of 5 % {name}", sim.coverage_of_last(sim.with_drift(logs, when, 0.05), TRUTH)
    for rigs in (3, 5, 10):
        logs = sim.noisy_rigs(random, sessions, TRUTH, rigs, 10, SD)
        yield f"{rigs} rigs that differ by 2 %", sim.coverage_of_last(logs, TRUTH)
        yield f"{rigs} rigs, blocks pooled", sim.coverage(sim.pooled_t_intervals(logs), TRUTH)


def slow_runs(sessions: int) -> Iterator[Row]:
    random = np.random.default_rng(2)
    for blocks in (10, 20):
        clean = sim.noisy_sessions(random, sessions, (1, TRUTH), blocks, SD)
        slow = sim.with_slow_runs(random, clean)
        one_side = np.stack([clean[:, 0], slow[:, 1]], axis=1)
        worlds = (("none slow", clean), ("one in ten", slow), ("one in ten of one side", one_side))
        for name, logs in worlds:
            units = logs[:, 1] - logs[:, 0]
            found = [
                of(units)
                for of in (sim.t_intervals, sim.hodges_lehmann_intervals, sim.yuen_intervals)
            ]
            cells = (f"{sim.coverage(i, TRUTH):.1f}, ±{sim.mean_half_width(i):.1f}" for i in found)
            yield f"{blocks} blocks, {name}", *cells


def false_claims(sessions: int) -> Iterator[Row]:
    random = np.random.default_rng(3)
    for contenders in (1, 4):
        for favour in (0, 0.005, 0.01, 0.02):
            alike = sim.noisy_sessions(random, sessions, (1,) * (contenders + 2), 10, SD)
            logs = sim.with_container_bias(random, alike, favour)
            without = np.delete(logs, 1, axis=1)
            yield (
                f"{contenders} against the baseline, containers differ by {100 * favour:g} %",
                sim.claim_rate(sim.comparisons(without)),
                sim.claim_rate(sim.comparisons(logs, floor=sim.aa_ratio)),
                sim.claim_rate(sim.comparisons(logs, floor=sim.aa_far_limit)),
            )


def power(sessions: int) -> Iterator[Row]:
    random = np.random.default_rng(4)
    for contenders in (1, 4):
        for blocks in (3, 5, 10, 20):
            ratio = detectable_ratio(SD * 2**0.5, blocks, contenders)
            truth = (1, 1, ratio, *[1] * (contenders - 1))
            logs = sim.noisy_sessions(random, sessions, truth, blocks, SD)
            worlds = (
                sim.comparisons(np.delete(logs, 1, axis=1)),
                sim.comparisons(logs, floor=sim.aa_ratio),
                sim.comparisons(logs, floor=sim.aa_far_limit),
            )
            shown = (sim.claim_rate(found[:1] for found in families) for families in worlds)
            yield f"{contenders} against the baseline, {blocks} blocks: {ratio:.3f}", *shown


def stopping(sessions: int) -> Iterator[Row]:
    random = np.random.default_rng(5)
    logs = sim.noisy_sessions(random, sessions, (1, TRUTH), 40, SD)
    for first in (3, 5):
        intervals = sim.stopped_from_block(logs, first, 1.5)
        yield f"first look at block {first} (refused)", sim.coverage(intervals, TRUTH)
    for within in (1, 1.5, 2):
        rule = StoppingTarget(within_percent=within, at_most=40)
        ended = list(sim.stopped_early(logs, rule))
        blocks = np.mean([blocks for _, blocks in ended])
        intervals = [pair.interval for pair, _ in ended]
        yield f"{rule}: {blocks:.1f} blocks", sim.coverage(intervals, TRUTH)


TABLES = {
    ("intervals that cover the truth", "%"): coverage,
    ("coverage and half width", "Student", "Hodges-Lehmann", "Yuen"): slow_runs,
    ("sessions with a false claim", "no floor", "A/A ratio", "its far end"): false_claims,
    ("detected at the detectable ratio", "no floor", "A/A ratio", "its far end"): power,
    ("stopping when narrow", "coverage, %"): stopping,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sessions", type=int, default=10_000, help="of each figure")
    sessions = arguments.parse_args().sessions
    for header, rows in TABLES.items():
        print(tabulate(rows(sessions), headers=header, floatfmt=".1f"), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
