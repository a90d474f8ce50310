from collections import Counter
from itertools import pairwise

import pytest
from builders import COUNTED, TIMED, rig, suite
from hypothesis import given
from hypothesis import strategies as st

from fwbench.errors import InventoryError
from fwbench.model.host import Rig
from fwbench.model.load import Load, Search
from fwbench.model.preset import Preset
from fwbench.model.run import Plan
from fwbench.model.setting import Concurrency, CpuMode, Limits, Network
from fwbench.model.suite import Suite
from fwbench.plan import estimated_s, make_plan, trials

SUITES = st.builds(
    suite,
    contenders=st.lists(st.sampled_from(["fastapi", "starlette", "x" * 63]), unique=True).map(
        lambda names: ("flask", *names)
    ),
    baseline=st.sampled_from([None, "flask"]),
    endpoints=st.sampled_from([("hello",), ("hello", "json")]),
    loads=st.sampled_from([(TIMED,), (TIMED, COUNTED)]),
    limits=st.sampled_from([(Limits(),), (Limits(), Limits(cpus=1))]),
    blocks=st.integers(1, 5),
)
RIGS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True).map(
    lambda names: [rig(name) for name in names]
)


def order(plan: Plan, name: str, block: int) -> list[str]:
    return [run.trial.id for run in plan.runs_of_rig(name) if run.block == block]


def test_trials_are_in_the_suites_order() -> None:
    planned = trials(suite(endpoints=("hello", "json"), limits=(Limits(), Limits(cpus=1))))
    assert [(trial.endpoint, trial.limits.cpus, trial.label) for trial in planned] == [
        (endpoint, cpus, name)
        for endpoint in ("hello", "json")
        for cpus in (None, 1)
        for name in ("flask", "flask-aa", "fastapi")
    ]


def test_every_combination_is_a_trial_with_a_unique_id() -> None:
    combinations = suite(
        endpoints=("hello", "json"),
        loads=(TIMED, COUNTED),
        limits=(Limits(cpus=1), Limits(cpus=1, cpu_mode=CpuMode.QUOTA), Limits(memory="1g")),
        concurrency=(Concurrency(), Concurrency(workers=2), Concurrency(workers=2, threads=4)),
        networks=(Network.PUBLISHED, Network.HOST),
    )
    planned = trials(combinations)
    assert len(planned) == len({trial.id for trial in planned}) == 2 * 2 * 3 * 3 * 2 * 3


@pytest.mark.parametrize("suite", [suite(preset=Preset.SMOKE), suite(baseline=None)])
def test_suite_without_comparisons_has_no_aa_control(suite: Suite) -> None:
    assert [trial.label for trial in trials(suite)] == ["flask", "fastapi"]


def test_search_has_one_run_per_step_in_sequence() -> None:
    search = Search(p99_ms=50, lowest=100, highest=800, steps=3)
    search_load = Load(connections=10, duration_s=2, search=search)
    search_suite = suite(loads=(search_load, TIMED), blocks=2, baseline=None)
    plan = make_plan(search_suite, [rig()])
    assert len(plan.runs) == 2 * (2 * 3 + 2)
    for before, run in pairwise(plan.runs):
        if run.step is not None and run.step > 1:
            assert (before.trial, before.block, before.step) == (run.trial, run.block, run.step - 1)


def test_publish_preset_needs_five_rigs() -> None:
    publish_suite = suite(preset=Preset.PUBLISH)
    with pytest.raises(InventoryError, match="needs at least 5 rigs, and the inventory has 4"):
        make_plan(publish_suite, [rig(name) for name in "abcd"])
    assert make_plan(publish_suite, [rig(name) for name in "abcde"]).runs


@pytest.mark.parametrize(("preset", "blocks"), [("smoke", 1), ("standard", 10), ("publish", 30)])
def test_preset_sets_the_number_of_blocks(preset: str, blocks: int) -> None:
    values = {k: v for k, v in dict(suite()).items() if k != "blocks"}
    assert Suite(**values | {"preset": Preset(preset)}).blocks == blocks


@given(suite=SUITES, rigs=RIGS, seed=st.integers())
def test_each_block_of_each_rig_has_every_trial_once(
    suite: Suite, rigs: list[Rig], seed: int
) -> None:
    plan = make_plan(suite, rigs, seed)
    expected = Counter(trial.id for trial in trials(suite))
    for each_rig in rigs:
        for block in range(1, suite.blocks + 1):
            assert Counter(order(plan, each_rig.name, block)) == expected
    assert len(plan.runs) == len(rigs) * suite.blocks * len(expected)


@given(suite=SUITES, rigs=RIGS, seed=st.integers())
def test_blocks_of_a_rig_do_not_overlap(suite: Suite, rigs: list[Rig], seed: int) -> None:
    plan = make_plan(suite, rigs, seed)
    for each_rig in rigs:
        blocks = [run.block for run in plan.runs_of_rig(each_rig.name)]
        assert blocks == sorted(blocks)


@given(suite=SUITES, rigs=RIGS, seed=st.integers())
def test_run_ids_are_unique_and_numbered_in_order(suite: Suite, rigs: list[Rig], seed: int) -> None:
    plan = make_plan(suite, rigs, seed)
    assert len({run.id for run in plan.runs}) == len(plan.runs)
    for number, each_rig in enumerate(rigs, start=1):
        for sequence, run in enumerate(plan.runs_of_rig(each_rig.name), start=1):
            assert run.id == f"r{number}-{sequence:04d}-{run.trial.label}"[:63]


@given(suite=SUITES, rigs=RIGS, seed=st.integers())
def test_same_suite_rigs_and_seed_give_the_same_plan(
    suite: Suite, rigs: list[Rig], seed: int
) -> None:
    assert make_plan(suite, rigs, seed) == make_plan(suite, rigs, seed)


@given(suite=SUITES, rigs=RIGS, seed=st.integers())
def test_order_is_independent_of_other_rigs_and_later_blocks(
    suite: Suite, rigs: list[Rig], seed: int
) -> None:
    longer = suite.model_copy(update={"blocks": suite.blocks + 1})
    one_rig_plan, longer_plan = make_plan(suite, rigs[-1:], seed), make_plan(longer, rigs, seed)
    name = rigs[-1].name
    for block in range(1, suite.blocks + 1):
        assert order(one_rig_plan, name, block) == order(longer_plan, name, block)


def test_order_differs_by_seed_rig_and_block() -> None:
    varied_suite = suite(endpoints=("hello", "json"), limits=(Limits(), Limits(cpus=1)), blocks=2)
    first, second = (make_plan(varied_suite, [rig("a"), rig("b")], seed) for seed in (1, 2))
    orders = [order(first, "a", 1), order(first, "a", 2), order(first, "b", 1)]
    orders.append(order(second, "a", 1))
    assert len(set(map(tuple, orders))) == 4


def test_seed_argument_overrides_the_suites_seed() -> None:
    assert make_plan(suite(seed=7), [rig()]) == make_plan(suite(seed=1), [rig()], 7)


def test_runs_alternate_between_rigs() -> None:
    plan = make_plan(suite(blocks=2), [rig("a"), rig("b")])
    assert [run.rig for run in plan.runs] == ["a", "b"] * 6


def test_orders_are_equally_likely() -> None:
    """Each of two trials is the first in about half of many blocks."""
    plan = make_plan(suite(blocks=1000, baseline=None), [rig()])
    firsts = Counter(run.trial.contender for run in plan.runs[::2])
    assert 430 < firsts["flask"] < 570


@pytest.mark.parametrize(
    ("load", "expected_s"),
    [
        (Load(connections=40, warm_up_s=2, duration_s=8), 2 * 10 * (10 + 2.5)),
        (Load(connections=40, requests=2000), 2 * 10 * (2 + 2.5)),
    ],
)
def test_estimated_time_is_that_of_the_longest_rig(load: Load, expected_s: float) -> None:
    one_load = suite(loads=(load,), baseline=None)
    assert estimated_s(make_plan(one_load, [rig("a"), rig("b")])) == expected_s


def test_empty_plan_takes_no_time() -> None:
    assert estimated_s(Plan(seed=1, runs=())) == 0
