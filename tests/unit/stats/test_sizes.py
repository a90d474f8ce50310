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


def of(suite_changes: dict[str, Any] | None = None, **rigs: dict[str, Any]) -> SessionHeader:
    """A session on such rigs, by name, each with what is special about its target."""
    facts = []
    for name, special in rigs.items():
        facts += [target_facts(f"{name}-target", **special), client_facts(f"{name}-client")]
    return header(
        suite=suite(**(suite_changes or {})),
        rigs=tuple(rig(name) for name in rigs),
        facts=tuple(facts),
    )


def blocks(on: str, factor: float = 1.0, contender: str = "flask", **more: Any) -> list[Record]:
    return [
        record(contender, per_s * factor, block=block, rig=on, **more)
        for block, per_s in enumerate(STEADY, start=1)
    ]


def summary(head: SessionHeader, records: list[Record]) -> Summary:
    return summarise(head, make_plan(head.suite, head.rigs), session_results(records))


def table(head: SessionHeader, records: list[Record]) -> SizeTable:
    (found,) = summary(head, records).size_tables
    return found


def flask(found: SizeTable) -> list[SizeCell]:
    return [cell for cell in found.cells if cell.contender == "flask"]


def beside(found: SizeTable) -> JudgedSizeRatio:
    """How Flask on the second size compares with itself on the first."""
    result = next(one.result for one in found.comparisons if one.contender == "flask")
    assert isinstance(result, JudgedSizeRatio)
    return result


# Cells


def test_three_rigs_of_a_size_are_one_cell_whose_unit_is_the_rig() -> None:
    records = [*blocks("a"), *blocks("b", 1.1), *blocks("c", 0.9)]
    (cell,) = flask(table(of(a=SMALL, b=SMALL, c=SMALL), records))
    assert (cell.size, cell.unit, cell.n, cell.rigs) == ("small", Replicate.RIG, 3, ("a", "b", "c"))
    assert cell.value is not None
    assert cell.value.value == pytest.approx(1000 * (1.1 * 0.9) ** (1 / 3), rel=1e-3)
    assert cell.value.interval is not None
    assert cell.value.interval.low < 900  # as rigs vary, not as blocks do


def test_fewer_rigs_have_a_cell_each_whose_unit_is_the_block() -> None:
    cells = flask(table(of(a=SMALL, b=SMALL), [*blocks("a"), *blocks("b", 2)]))
    assert [(cell.rigs, cell.unit, cell.n) for cell in cells] == [
        (("a",), Replicate.BLOCK, 5),
        (("b",), Replicate.BLOCK, 5),
    ]
    first = cells[0].value
    assert first is not None
    assert first.value == pytest.approx(1000, rel=1e-3)
    assert first.interval is not None
    assert 985 < first.interval.low < first.value < first.interval.high < 1015


def test_a_rig_with_too_few_valid_runs_tells_nothing() -> None:
    broken = [record("flask", 9e6, rig="c", block=n, findings=(finding(),)) for n in (1, 2, 3)]
    cells = flask(table(of(a=SMALL, b=SMALL, c=SMALL), [*blocks("a"), *blocks("b"), *broken]))
    assert [cell.unit for cell in cells] == [Replicate.BLOCK] * 3
    assert cells[2].value is None
    assert cells[2].n == 0
    assert cells[2].per_million is None


def test_per_cpu_and_cost_are_those_of_the_target() -> None:
    (cell,) = flask(table(of(a=LARGE), blocks("a")))
    assert cell.value is not None
    assert cell.per_cpu is not None
    assert cell.per_million is not None
    assert cell.per_cpu.value == pytest.approx(cell.value.value / 2)
    assert cell.per_million.value == pytest.approx(0.2 / 3600 / cell.value.value * 1e6)


def test_without_a_price_there_is_no_cost() -> None:
    (cell,) = flask(table(of(a=LARGE | {"price_per_hour": None}), blocks("a")))
    assert cell.per_million is None
    assert cell.per_cpu is not None


def with_p99(load: Load, on: str, values: tuple[int, ...], step: int | None = None) -> list[Record]:
    found = []
    for made, p99_us in zip(blocks(on), values, strict=False):
        percentiles = log().latency.model_copy(update={"p99_us": p99_us})
        trial = made.run.trial.model_copy(update={"load": load})
        seen = made.observation.model_copy(
            update={
                "load": load_result(log=log(corrected_latency=percentiles)),
                "offered_rate": 900,
            }
        )
        run = made.run.model_copy(update={"trial": trial, "step": step})
        found.append(made.model_copy(update={"run": run, "observation": seen}))
    return found


def test_a_p99_has_its_median_and_neither_a_share_of_a_cpu_nor_a_cost() -> None:
    load = Load(connections=10, rate=900, duration_s=3)
    found = table(
        of({"loads": (load,)}, a=SMALL, b=LARGE),
        [
            *with_p99(load, "a", (20_000, 21_000, 19_000, 90_000, 20_500)),
            *with_p99(load, "b", (10_000, 10_100, 9_900, 10_050, 9_950)),
        ],
    )
    small, _ = flask(found)
    assert small.value is not None
    assert small.value.value == pytest.approx(20_500)
    assert small.value.interval is None
    assert small.per_cpu is small.per_million is None
    assert beside(found).outcome is Outcome.FASTER
    assert beside(found).ratio < 1
    assert beside(found).cost is None


def searched(steps: int) -> Load:
    search = Search(p99_ms=50, lowest=100, highest=6400, steps=steps)
    return Load(connections=10, duration_s=3, search=search)


def test_a_search_has_the_interval_between_what_held_and_what_did_not() -> None:
    load = searched(2)
    fine, too_slow = (40_000,) * 5, (60_000,) * 5
    records = []
    for on, steps in (("a", (fine, too_slow)), ("b", (fine, fine))):
        for number, p99s in enumerate(steps, start=1):
            records += with_p99(load, on, p99s, number)
    found = table(of({"loads": (load,)}, a=SMALL, b=LARGE), records)
    cells = flask(found)
    small, large = (cell.value for cell in cells)
    assert [cell.bound for cell in cells] == [None, CensoredBound.AT_LEAST]
    assert cells[0].per_million is not None
    assert cells[1].per_million is None  # of a bound there is no cost
    assert small is not None
    assert small.value == pytest.approx(800)
    assert small.interval is not None
    assert small.interval.low == pytest.approx(800)
    assert small.interval.high == pytest.approx(2262.7)
    assert large is not None
    assert large.value == pytest.approx(2262.7)
    assert large.interval is None  # no rate was too high
    result = found.comparisons[0].result
    assert isinstance(result, NoComparison)
    assert "large held every rate tried" in result.reason


def test_a_search_that_held_no_rate_is_below_the_lowest_tried() -> None:
    load = searched(1)
    (cell,) = flask(
        table(of({"loads": (load,)}, a=SMALL), with_p99(load, "a", (60_000,) * 5, step=1))
    )
    assert cell.value is not None
    assert (cell.bound, cell.n, cell.per_million) == (CensoredBound.BELOW, 5, None)
    assert cell.value.value == pytest.approx(800)
    assert cell.value.interval is None


def test_a_rig_that_held_no_rate_is_not_dropped_from_its_size() -> None:
    """Left out, it would make the others' mean that of those that could do more."""
    load = searched(1)
    rigs = ("a", "b", "c", "d")
    records = [
        one
        for on in rigs
        for one in with_p99(load, on, ((60_000,) if on == "d" else (40_000,)) * 5, step=1)
    ]
    (cell,) = flask(table(of({"loads": (load,)}, a=SMALL, b=SMALL, c=SMALL, d=SMALL), records))
    assert (cell.rigs, cell.value, cell.bound) == (rigs, None, None)


def test_a_size_that_held_no_rate_is_compared_with_none() -> None:
    load = searched(2)
    records = []
    for on, steps in (("a", (40_000, 60_000)), ("b", (60_000, 60_000))):
        for number, p99_us in enumerate(steps, start=1):
            records += with_p99(load, on, (p99_us,) * 5, number)
    found = table(of({"loads": (load,)}, a=SMALL, b=LARGE), records)
    assert found.comparisons[0].result == NoComparison(
        reason="large held none of the rates tried: lower `lowest`"
    )


def test_searches_that_found_the_same_steps_show_no_difference() -> None:
    load = searched(2)
    steps = ((40_000,) * 5, (60_000,) * 5)
    records = [
        one
        for on in ("a", "b")
        for number, p99s in enumerate(steps, start=1)
        for one in with_p99(load, on, p99s, number)
    ]
    result = beside(table(of({"loads": (load,)}, a=SMALL, b=LARGE), records))
    assert result.ratio == 1
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.interval.low == pytest.approx(800 / 2262.7)


def test_a_rig_of_which_most_runs_are_invalid_tells_nothing() -> None:
    broken = [record("flask", 9e6, rig="a", block=n, findings=(finding(),)) for n in range(4, 8)]
    (cell,) = flask(table(of(a=SMALL), [*blocks("a")[:3], *broken]))
    assert cell.value is None


# Sizes beside each other


def test_three_rigs_of_each_size_make_a_claim_about_sizes() -> None:
    rigs = dict.fromkeys("abc", SMALL) | dict.fromkeys("def", LARGE)
    factors = {"a": 1, "b": 1.02, "c": 0.98, "d": 2, "e": 2.04, "f": 1.96}
    found = table(of(**rigs), [one for name, by in factors.items() for one in blocks(name, by)])
    result = beside(found)
    assert (result.unit, result.n, result.n_beside) == (Replicate.RIG, 3, 3)
    assert result.ratio == pytest.approx(2)
    assert result.outcome is Outcome.FASTER
    assert result.cost is not None
    assert result.cost.value == pytest.approx(1)


def test_one_rig_of_each_size_speaks_of_these_machines_alone() -> None:
    result = beside(table(of(a=SMALL, b=LARGE), [*blocks("a"), *blocks("b", 2)]))
    assert (result.unit, result.rigs, result.rigs_beside) == (Replicate.BLOCK, 1, 1)
    assert (result.n, result.n_beside) == (5, 5)
    assert result.interval.low < 2 < result.interval.high


def test_two_blocks_compare_no_sizes() -> None:
    found = table(of(a=SMALL, b=LARGE), [*blocks("a")[:2], *blocks("b", 2)])
    result = found.comparisons[0].result
    assert isinstance(result, NoComparison)
    assert "2 blocks, 3 are needed" in result.reason


def test_holms_correction_is_over_all_that_is_asked() -> None:
    records = [
        *blocks("a"),
        *blocks("b", 1.008),
        *blocks("a", contender="fastapi"),
        *blocks("b", 1.008, contender="fastapi"),
    ]
    both = beside(table(of(a=SMALL, b=LARGE), records))
    alone = beside(table(of(a=SMALL, b=LARGE), records[:10]))
    assert alone.p_adjusted == alone.p_value
    assert both.p_adjusted == pytest.approx(2 * both.p_value)


def test_what_is_shown_only_without_holms_correction_is_not_claimed() -> None:
    def words(*contenders: str) -> set[Outcome]:
        records = [
            one
            for contender in contenders
            for one in (*blocks("a", contender=contender), *blocks("b", 1.013, contender=contender))
        ]
        found = table(
            of({"contenders": ("flask", "fastapi", "granian")}, a=SMALL, b=LARGE), records
        )
        results = [one.result for one in found.comparisons]
        return {one.outcome for one in results if isinstance(one, JudgedSizeRatio)}

    assert words("flask") == {Outcome.FASTER}
    assert words("flask", "fastapi", "granian") == {Outcome.INCONCLUSIVE}


def test_a_smoke_test_shows_figures_and_compares_no_sizes() -> None:
    found = table(of({"preset": Preset.SMOKE}, a=SMALL, b=LARGE), [*blocks("a"), *blocks("b")])
    assert [cell.value is not None for cell in flask(found)] == [True, True]
    assert found.comparisons == ()


def test_settings_and_twins_are_never_mixed() -> None:
    other = TIMED.model_copy(update={"connections": 20})
    records = [*blocks("a"), *blocks("a", 5, aa_control=True)]
    tables = summary(of({"loads": (TIMED, other)}, a=SMALL), records).size_tables
    values = [cell.value for one in tables for cell in flask(one)]
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
def test_intervals_contain_the_value_and_no_cell_mixes_fingerprints(
    rigs: list[tuple[dict[str, Any], list[float]]],
) -> None:
    names = {f"r{number}": one for number, one in enumerate(rigs)}
    head = of(**{name: special for name, (special, _) in names.items()})
    records = [
        record("flask", per_s, block=block, rig=name)
        for name, (_, values) in names.items()
        for block, per_s in enumerate(values, start=1)
    ]
    told = summary(head, records)
    kind_of = {rig: kind for kind in told.hardware_groups for rig in kind.rigs}
    for cell in told.size_tables[0].cells:
        assert {kind_of[rig].name for rig in cell.rigs} == {cell.size}
        for figure in (cell.value, cell.per_cpu, cell.per_million):
            if figure is not None and figure.interval is not None:
                assert figure.interval.low <= figure.value * (1 + 1e-9)
                assert figure.value <= figure.interval.high * (1 + 1e-9)
    for group in told.groups:
        assert len({kind_of[rig].fingerprint for rig in group.rigs}) == 1
        assert len(group.rigs) == 1 or group.rig is None
    over = [group.rigs for group in told.groups if group.rig is None]
    assert over == [kind.rigs for kind in told.hardware_groups if len(kind.rigs) > 1]


# What is claimed about sizes, held against sessions whose truth is known


@pytest.mark.parametrize("rigs", [(3, 3), (3, 8), (5, 5), (10, 10)])
def test_between_sizes_alike_one_session_in_twenty_claims_a_difference(
    rigs: tuple[int, int],
) -> None:
    """Rigs of a size differ by 2 %; the coverage is the rest of the false claims."""
    random = np.random.default_rng(20261123)
    found = list(sim.sizes(random, 2000, rigs, blocks=5, sd=0.02))
    assert 100 * np.mean([one.p_value < 0.05 for one in found]) <= 6.5
    assert sim.coverage((one.interval for one in found), 1) >= 93.5


def test_blocks_of_one_rig_a_size_would_claim_far_too_much_of_sizes() -> None:
    """Hence the words "these machines alone": of these two machines the claim is right."""
    random = np.random.default_rng(20261123)
    found = list(sim.sizes(random, 1000, (1, 1), blocks=5, sd=0.02))
    assert 100 * np.mean([one.p_value < 0.05 for one in found]) > 30
