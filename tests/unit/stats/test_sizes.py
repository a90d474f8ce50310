from typing import Any

import numpy as np
import pytest
import simulation as sim
from builders import (
    TIMED,
    client_facts,
    finding,
    header,
    load_result,
    log,
    record,
    rig,
    suite,
    target_facts,
)
from hypothesis import given
from hypothesis import strategies as st

from fwbench.model.load import Load, Search
from fwbench.model.preset import Preset
from fwbench.model.record import Record, SessionHeader
from fwbench.plan import make_plan
from fwbench.stats.estimate import Interval, ValueWithInterval
from fwbench.stats.outcomes import JudgedSizeRatio, Outcome
from fwbench.stats.ratios import NoComparison, Replicate
from fwbench.stats.session_results import session_results
from fwbench.stats.sizes import CensoredBound, SizeCell, SizeTable, cost_per_million
from fwbench.stats.summarise import summarise
from fwbench.stats.summary import Summary

SMALL: dict[str, Any] = {"instance_type": "small", "cpus": 1, "price_per_hour": 0.1}
LARGE: dict[str, Any] = {"instance_type": "large", "cpus": 2, "price_per_hour": 0.2}
STEADY = (1000.0, 1010.0, 990.0, 1005.0, 995.0)


def session(suite_changes: dict[str, Any] | None = None, **rigs: dict[str, Any]) -> SessionHeader:
    """Return a session on the named rigs; each value replaces facts of that rig's target."""
    facts = []
    for name, changes in rigs.items():
        facts += [target_facts(f"{name}-target", **changes), client_facts(f"{name}-client")]
    return header(
        suite=suite(**(suite_changes or {})),
        rigs=tuple(rig(name) for name in rigs),
        facts=tuple(facts),
    )


def blocks(
    rig_name: str, factor: float = 1.0, contender: str = "flask", **changes: Any
) -> list[Record]:
    return [
        record(contender, per_s * factor, block=block, rig=rig_name, **changes)
        for block, per_s in enumerate(STEADY, start=1)
    ]


def summary(head: SessionHeader, records: list[Record]) -> Summary:
    return summarise(head, make_plan(head.suite, head.rigs), session_results(records))


def size_table(head: SessionHeader, records: list[Record]) -> SizeTable:
    (table,) = summary(head, records).size_tables
    return table


def flask_cells(table: SizeTable) -> list[SizeCell]:
    return [cell for cell in table.cells if cell.contender == "flask"]


def flask_ratio(table: SizeTable) -> JudgedSizeRatio:
    """Return the ratio of Flask on the second size and on the first."""
    result = next(
        comparison.result for comparison in table.comparisons if comparison.contender == "flask"
    )
    assert isinstance(result, JudgedSizeRatio)
    return result


# Cells


def test_three_rigs_of_a_size_are_pooled_in_one_cell() -> None:
    records = [*blocks("a"), *blocks("b", 1.1), *blocks("c", 0.9)]
    (cell,) = flask_cells(size_table(session(a=SMALL, b=SMALL, c=SMALL), records))
    assert (cell.size, cell.replicate, cell.n, cell.rigs) == (
        "small",
        Replicate.RIG,
        3,
        ("a", "b", "c"),
    )
    assert cell.value is not None
    assert cell.value.value == pytest.approx(1000 * (1.1 * 0.9) ** (1 / 3), rel=1e-3)
    assert cell.value.interval is not None
    assert cell.value.interval.low < 900  # from the variation of rigs, not of blocks


def test_fewer_than_three_rigs_have_a_cell_each() -> None:
    cells = flask_cells(size_table(session(a=SMALL, b=SMALL), [*blocks("a"), *blocks("b", 2)]))
    assert [(cell.rigs, cell.replicate, cell.n) for cell in cells] == [
        (("a",), Replicate.BLOCK, 5),
        (("b",), Replicate.BLOCK, 5),
    ]
    first = cells[0].value
    assert first is not None
    assert first.value == pytest.approx(1000, rel=1e-3)
    assert first.interval is not None
    assert 985 < first.interval.low < first.value < first.interval.high < 1015


def test_a_rig_with_too_few_valid_runs_has_no_value() -> None:
    invalid = [record("flask", 9e6, rig="c", block=n, findings=(finding(),)) for n in (1, 2, 3)]
    cells = flask_cells(
        size_table(session(a=SMALL, b=SMALL, c=SMALL), [*blocks("a"), *blocks("b"), *invalid])
    )
    assert [cell.replicate for cell in cells] == [Replicate.BLOCK] * 3
    assert cells[2].value is None
    assert cells[2].n == 0
    assert cells[2].cost_per_million is None


def test_value_per_cpu_and_cost_refer_to_the_target() -> None:
    (cell,) = flask_cells(size_table(session(a=LARGE), blocks("a")))
    assert cell.value is not None
    assert cell.per_cpu is not None
    assert cell.cost_per_million is not None
    assert cell.per_cpu.value == pytest.approx(cell.value.value / 2)
    assert cell.cost_per_million.value == pytest.approx(0.2 / 3600 / cell.value.value * 1e6)


def test_without_a_price_there_is_no_cost() -> None:
    (cell,) = flask_cells(size_table(session(a=LARGE | {"price_per_hour": None}), blocks("a")))
    assert cell.cost_per_million is None
    assert cell.per_cpu is not None


def with_p99(
    load: Load, rig_name: str, values: tuple[int, ...], step: int | None = None
) -> list[Record]:
    records = []
    for run_record, p99_us in zip(blocks(rig_name), values, strict=False):
        percentiles = log().latency.model_copy(update={"p99_us": p99_us})
        trial = run_record.run.trial.model_copy(update={"load": load})
        observation = run_record.observation.model_copy(
            update={
                "load": load_result(log=log(corrected_latency=percentiles)),
                "offered_rate": 900,
            }
        )
        run = run_record.run.model_copy(update={"trial": trial, "step": step})
        records.append(run_record.model_copy(update={"run": run, "observation": observation}))
    return records


def test_p99_has_neither_a_value_per_cpu_nor_a_cost() -> None:
    load = Load(connections=10, rate=900, duration_s=3)
    table = size_table(
        session({"loads": (load,)}, a=SMALL, b=LARGE),
        [
            *with_p99(load, "a", (20_000, 21_000, 19_000, 90_000, 20_500)),
            *with_p99(load, "b", (10_000, 10_100, 9_900, 10_050, 9_950)),
        ],
    )
    small, _ = flask_cells(table)
    assert small.value is not None
    assert small.value.value == pytest.approx(20_500)
    assert small.value.interval is None
    assert small.per_cpu is small.cost_per_million is None
    ratio = flask_ratio(table)
    assert ratio.outcome is Outcome.FASTER
    assert ratio.ratio < 1
    assert ratio.cost_ratio is None


def search_load(steps: int) -> Load:
    search = Search(p99_ms=50, lowest=100, highest=6400, steps=steps)
    return Load(connections=10, duration_s=3, search=search)


def test_search_interval_runs_from_passing_to_failing_rates() -> None:
    load = search_load(2)
    passing, failing = (40_000,) * 5, (60_000,) * 5
    records = []
    for rig_name, steps in (("a", (passing, failing)), ("b", (passing, passing))):
        for number, p99s in enumerate(steps, start=1):
            records += with_p99(load, rig_name, p99s, number)
    table = size_table(session({"loads": (load,)}, a=SMALL, b=LARGE), records)
    cells = flask_cells(table)
    small, large = (cell.value for cell in cells)
    assert [cell.bound for cell in cells] == [None, CensoredBound.AT_LEAST]
    assert cells[0].cost_per_million is not None
    assert cells[1].cost_per_million is None  # a bound has no cost
    assert small is not None
    assert small.value == pytest.approx(800)
    assert small.interval is not None
    assert small.interval.low == pytest.approx(800)
    assert small.interval.high == pytest.approx(2262.7)
    assert large is not None
    assert large.value == pytest.approx(2262.7)
    assert large.interval is None  # no rate failed
    result = table.comparisons[0].result
    assert isinstance(result, NoComparison)
    assert result.reason == (
        "large passed every rate tried in a block: raise `highest` of the search"
    )


def test_search_that_fails_every_rate_has_an_upper_bound() -> None:
    load = search_load(1)
    (cell,) = flask_cells(
        size_table(session({"loads": (load,)}, a=SMALL), with_p99(load, "a", (60_000,) * 5, step=1))
    )
    assert cell.value is not None
    assert (cell.bound, cell.n, cell.cost_per_million) == (CensoredBound.BELOW, 5, None)
    assert cell.value.value == pytest.approx(800)
    assert cell.value.interval is None


def test_rig_on_which_every_rate_failed_is_not_dropped() -> None:
    """Without this rig, the mean would cover only the better rigs."""
    load = search_load(1)
    rigs = ("a", "b", "c", "d")
    records = [
        run_record
        for rig_name in rigs
        for run_record in with_p99(
            load, rig_name, ((60_000,) if rig_name == "d" else (40_000,)) * 5, step=1
        )
    ]
    (cell,) = flask_cells(
        size_table(session({"loads": (load,)}, a=SMALL, b=SMALL, c=SMALL, d=SMALL), records)
    )
    assert (cell.rigs, cell.value, cell.bound) == (rigs, None, None)


def test_size_on_which_every_rate_failed_is_not_compared() -> None:
    load = search_load(2)
    records = []
    for rig_name, steps in (("a", (40_000, 60_000)), ("b", (60_000, 60_000))):
        for number, p99_us in enumerate(steps, start=1):
            records += with_p99(load, rig_name, (p99_us,) * 5, number)
    table = size_table(session({"loads": (load,)}, a=SMALL, b=LARGE), records)
    assert table.comparisons[0].result == NoComparison(
        reason="large failed every rate tried in a block: lower `lowest` of the search"
    )


def test_searches_with_the_same_steps_are_inconclusive() -> None:
    load = search_load(2)
    steps = ((40_000,) * 5, (60_000,) * 5)
    records = [
        run_record
        for rig_name in ("a", "b")
        for number, p99s in enumerate(steps, start=1)
        for run_record in with_p99(load, rig_name, p99s, number)
    ]
    result = flask_ratio(size_table(session({"loads": (load,)}, a=SMALL, b=LARGE), records))
    assert result.ratio == 1
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.interval.low == pytest.approx(800 / 2262.7)


def test_a_rig_with_mostly_invalid_runs_has_no_value() -> None:
    invalid = [record("flask", 9e6, rig="a", block=n, findings=(finding(),)) for n in range(4, 8)]
    (cell,) = flask_cells(size_table(session(a=SMALL), [*blocks("a")[:3], *invalid]))
    assert cell.value is None


# Ratios of sizes


def test_with_three_rigs_of_each_size_the_rig_is_the_replicate() -> None:
    rigs = dict.fromkeys("abc", SMALL) | dict.fromkeys("def", LARGE)
    factors = {"a": 1, "b": 1.02, "c": 0.98, "d": 2, "e": 2.04, "f": 1.96}
    table = size_table(
        session(**rigs),
        [run_record for name, factor in factors.items() for run_record in blocks(name, factor)],
    )
    result = flask_ratio(table)
    assert (result.replicate, result.n, result.reference_n) == (Replicate.RIG, 3, 3)
    assert result.ratio == pytest.approx(2)
    assert result.outcome is Outcome.FASTER
    assert result.cost_ratio is not None
    assert result.cost_ratio.value == pytest.approx(1)


def test_with_one_rig_of_each_size_the_block_is_the_replicate() -> None:
    result = flask_ratio(size_table(session(a=SMALL, b=LARGE), [*blocks("a"), *blocks("b", 2)]))
    assert (result.replicate, result.rigs, result.reference_rigs) == (Replicate.BLOCK, 1, 1)
    assert (result.n, result.reference_n) == (5, 5)
    assert result.interval.low < 2 < result.interval.high


def test_two_blocks_are_too_few_to_compare_sizes() -> None:
    table = size_table(session(a=SMALL, b=LARGE), [*blocks("a")[:2], *blocks("b", 2)])
    result = table.comparisons[0].result
    assert isinstance(result, NoComparison)
    assert "only 2 blocks, and 3 are needed" in result.reason


def test_holm_corrects_over_all_ratios_of_the_session() -> None:
    records = [
        *blocks("a"),
        *blocks("b", 1.008),
        *blocks("a", contender="fastapi"),
        *blocks("b", 1.008, contender="fastapi"),
    ]
    both = flask_ratio(size_table(session(a=SMALL, b=LARGE), records))
    alone = flask_ratio(size_table(session(a=SMALL, b=LARGE), records[:10]))
    assert alone.p_adjusted == alone.p_value
    assert both.p_adjusted == pytest.approx(2 * both.p_value)


def test_difference_not_significant_after_holm_is_not_claimed() -> None:
    def outcomes(*contenders: str) -> set[Outcome]:
        records = [
            run_record
            for contender in contenders
            for run_record in (
                *blocks("a", contender=contender),
                *blocks("b", 1.013, contender=contender),
            )
        ]
        table = size_table(
            session({"contenders": ("flask", "fastapi", "granian")}, a=SMALL, b=LARGE), records
        )
        results = [comparison.result for comparison in table.comparisons]
        return {ratio.outcome for ratio in results if isinstance(ratio, JudgedSizeRatio)}

    assert outcomes("flask") == {Outcome.FASTER}
    assert outcomes("flask", "fastapi", "granian") == {Outcome.INCONCLUSIVE}


def test_smoke_preset_has_values_but_compares_no_sizes() -> None:
    table = size_table(
        session({"preset": Preset.SMOKE}, a=SMALL, b=LARGE), [*blocks("a"), *blocks("b")]
    )
    assert [cell.value is not None for cell in flask_cells(table)] == [True, True]
    assert table.comparisons == ()


def test_settings_and_the_a_a_control_are_never_mixed() -> None:
    other = TIMED.model_copy(update={"connections": 20})
    records = [*blocks("a"), *blocks("a", 5, aa_control=True)]
    tables = summary(session({"loads": (TIMED, other)}, a=SMALL), records).size_tables
    values = [cell.value for table in tables for cell in flask_cells(table)]
    assert values[0] is not None
    assert values[0].value == pytest.approx(1000, rel=1e-3)
    assert values[1] is None


# Properties

PER_S = st.floats(1, 1e6)


@given(price=st.floats(0, 1e3), per_s=PER_S, low=st.floats(0.5, 1), high=st.floats(1, 2))
def test_cost_times_throughput_is_the_price(
    price: float, per_s: float, low: float, high: float
) -> None:
    rate = ValueWithInterval(value=per_s, interval=Interval(low=per_s * low, high=per_s * high))
    cost = cost_per_million(price, rate)
    assert cost.value * per_s == pytest.approx(price / 3600 * 1e6)
    assert cost.interval is not None
    assert cost.interval.low <= cost.value <= cost.interval.high


@given(
    rigs=st.lists(
        st.tuples(
            st.sampled_from([SMALL, LARGE, LARGE | {"kernel": "6.1"}]),
            st.lists(PER_S, min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=7,
    )
)
def test_intervals_contain_values_and_cells_have_one_fingerprint(
    rigs: list[tuple[dict[str, Any], list[float]]],
) -> None:
    names = {f"r{number}": values for number, values in enumerate(rigs)}
    head = session(**{name: facts for name, (facts, _) in names.items()})
    records = [
        record("flask", per_s, block=block, rig=name)
        for name, (_, values) in names.items()
        for block, per_s in enumerate(values, start=1)
    ]
    result = summary(head, records)
    group_of = {rig: group for group in result.hardware_groups for rig in group.rigs}
    for cell in result.size_tables[0].cells:
        assert {group_of[rig].name for rig in cell.rigs} == {cell.size}
        for value in (cell.value, cell.per_cpu, cell.cost_per_million):
            if value is not None and value.interval is not None:
                assert value.interval.low <= value.value * (1 + 1e-9)
                assert value.value <= value.interval.high * (1 + 1e-9)
    for group in result.groups:
        assert len({group_of[rig].fingerprint for rig in group.rigs}) == 1
        assert len(group.rigs) == 1 or group.rig is None
    pooled = [group.rigs for group in result.groups if group.rig is None]
    assert pooled == [group.rigs for group in result.hardware_groups if len(group.rigs) > 1]


# Error rates of claims about sizes, in simulated sessions


@pytest.mark.parametrize("rigs", [(3, 3), (3, 8), (5, 5), (10, 10)])
def test_false_claims_between_equal_sizes_are_5_percent(
    rigs: tuple[int, int],
) -> None:
    """Rigs of a size differ by 2 %."""
    random = np.random.default_rng(20261123)
    ratios = list(sim.size_ratios(random, 2000, rigs, blocks=5, sd=0.02))
    assert 100 * np.mean([ratio.p_value < 0.05 for ratio in ratios]) <= 6.5
    assert sim.coverage((ratio.interval for ratio in ratios), 1) >= 93.5


def test_one_rig_per_size_gives_too_many_false_claims() -> None:
    """So the report says "these machines only": the claim is right for these two machines."""
    random = np.random.default_rng(20261123)
    ratios = list(sim.size_ratios(random, 1000, (1, 1), blocks=5, sd=0.02))
    assert 100 * np.mean([ratio.p_value < 0.05 for ratio in ratios]) > 30
