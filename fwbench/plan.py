"""Make the plan of a session: all runs of a suite on its rigs, in order."""

from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random

from fwbench.errors import InventoryError
from fwbench.model.host import Rig
from fwbench.model.load import Load
from fwbench.model.run import Plan, Run, Trial
from fwbench.model.suite import Suite

_MAX_ID_LENGTH = 63  # the same as for `Name`

# Rough assumptions for the estimated duration. Results do not depend on them.
_RUN_OVERHEAD_S = 2.5
_ASSUMED_REQUESTS_PER_S = 1000


def trials(suite: Suite) -> tuple[Trial, ...]:
    """Return every contender in every setting, in the suite's order.

    A suite that makes claims contains its baseline twice: the second one is the A/A control.
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
    """Return a plan with every trial once in each block of each rig, each block shuffled.

    The same suite, rigs and seed (by default the suite's) give the same plan. A rig's order depends
    neither on other rigs nor on later blocks. `runs` interleaves the rigs: the first run of each,
    then the second of each. Within a rig, blocks do not overlap, and the steps of a search are
    consecutive, since each depends on those before.

    Raise `InventoryError` if the suite's preset needs more rigs.
    """
    if len(rigs) < suite.preset.min_rigs:
        raise InventoryError(
            f"the preset {suite.preset} needs at least {suite.preset.min_rigs} rigs, and the"
            f" inventory has {len(rigs)}: add rigs, or choose another preset"
        )
    seed = suite.seed if seed is None else seed
    runs_by_rig = [
        _rig_runs(suite, rig.name, number, seed) for number, rig in enumerate(rigs, start=1)
    ]
    return Plan(seed=seed, runs=tuple(chain.from_iterable(zip(*runs_by_rig, strict=True))))


def estimated_s(plan: Plan) -> float:
    """Return about how many seconds the plan takes on its slowest rig; rigs run in parallel."""
    by_rig: dict[str, float] = {}
    for run in plan.runs:
        by_rig[run.rig] = by_rig.get(run.rig, 0.0) + _load_s(run.trial.load) + _RUN_OVERHEAD_S
    return max(by_rig.values(), default=0.0)


def _rig_runs(suite: Suite, rig: str, number: int, seed: int) -> Iterator[Run]:
    suite_trials = trials(suite)
    sequence = 0
    for block in range(1, suite.blocks + 1):
        random = Random(repr((seed, rig, block)))  # noqa: S311 - an order, not a secret
        for trial in random.sample(suite_trials, len(suite_trials)):
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
