"""From a suite and its rigs to the runs, in the order in which they are executed."""

from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random

from fwbench.errors import InventoryError
from fwbench.model.host import Rig
from fwbench.model.load import Load
from fwbench.model.run import Plan, Run, Trial
from fwbench.model.suite import Suite

_MAX_ID_LENGTH = 63  # as `Name` has it

# Guesses, for the sentence "this will take about…" alone.
_RUN_OVERHEAD_S = 2.5
_ASSUMED_REQUESTS_PER_S = 1000


def trials(suite: Suite) -> tuple[Trial, ...]:
    """Everything that the suite repeats: every contender in every setting, in its order.

    A suite that means to claim a winner has its baseline twice: whatever differs between the two
    is noise.
    """
    return tuple(
        Trial(contender=contender, aa_control=is_control, **dict(setting))
        for setting in suite.settings
        for contender in suite.contenders
        for is_control in (
            (False, True) if suite.makes_claims and contender == suite.baseline else (False,)
        )
    )


def make_plan(suite: Suite, rigs: Sequence[Rig], seed: int | None = None) -> Plan:
    """Every trial once in each block of each rig, each block in a random order of its own.

    The same suite, rigs and seed (by default the suite's) give the same plan, and a rig's order
    depends neither on other rigs nor on later blocks. `runs` takes the rigs in turn: the first run
    of each, then the second of each, and so on; within a rig, blocks never mix. The steps of a
    search follow each other, since each depends on those before.

    Raises `InventoryError` where the suite's preset needs more rigs.
    """
    if len(rigs) < suite.preset.min_rigs:
        raise InventoryError(
            f"the preset {suite.preset} claims something about a kind of host, which needs at least"
            f" {suite.preset.min_rigs} rigs; the inventory has {len(rigs)}"
        )
    seed = suite.seed if seed is None else seed
    of_rigs = [_rig_runs(suite, rig.name, number, seed) for number, rig in enumerate(rigs, start=1)]
    return Plan(seed=seed, runs=tuple(chain.from_iterable(zip(*of_rigs, strict=True))))


def estimated_s(plan: Plan) -> float:
    """About how many seconds the plan takes: rigs work side by side, so the longest one counts."""
    by_rig: dict[str, float] = {}
    for run in plan.runs:
        by_rig[run.rig] = by_rig.get(run.rig, 0.0) + _load_s(run.trial.load) + _RUN_OVERHEAD_S
    return max(by_rig.values(), default=0.0)


def _rig_runs(suite: Suite, rig: str, number: int, seed: int) -> Iterator[Run]:
    of_suite = trials(suite)
    sequence = 0
    for block in range(1, suite.blocks + 1):
        random = Random(repr((seed, rig, block)))  # noqa: S311 - an order, not a secret
        for trial in random.sample(of_suite, len(of_suite)):
            for step in _steps(trial.load):
                sequence += 1
                run_id = f"r{number}-{sequence:04d}-{trial.label}"[:_MAX_ID_LENGTH]
                yield Run(id=run_id, rig=rig, block=block, step=step, trial=trial)


def _steps(load: Load) -> Sequence[int | None]:
    return (None,) if load.search is None else range(1, load.search.steps + 1)


def _load_s(load: Load) -> float:
    if load.nominal_duration_s is not None:
        return load.nominal_duration_s
    return (load.requests or 0) / _ASSUMED_REQUESTS_PER_S
