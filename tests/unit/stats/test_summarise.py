import json
from typing import Any

import pytest
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
from golden import Golden
from hypothesis import given
from hypothesis import strategies as st

from fwbench.model.event import Event
from fwbench.model.load import Load, LoadKind, Search
from fwbench.model.preset import Preset
from fwbench.model.record import Record
from fwbench.model.suite import StoppingRule, Suite
from fwbench.model.verdict import Level, Verdict
from fwbench.plan import make_plan
from fwbench.stats.outcomes import Comparison, Outcome
from fwbench.stats.ratios import NoComparison, RatioEstimate, Replicate
from fwbench.stats.run_result import RunResult
from fwbench.stats.samples import Metric
from fwbench.stats.search import next_rate
from fwbench.stats.session_results import session_results
from fwbench.stats.summarise import stopping_reason, summarise
from fwbench.stats.summary import ComparisonGroup, LostAttempt, Summary

STEADY = [1000.0, 1010.0, 990.0, 1005.0, 995.0, 1002.0, 1008.0, 992.0, 998.0, 1000.0]
DOUBLE = [2020.0, 2000.0, 1990.0, 2015.0, 1985.0, 2010.0, 1998.0, 2004.0, 2009.0, 1991.0]
AA_CONTROL = [1003.0, 1005.0, 988.0, 1001.0, 999.0, 1004.0, 1001.0, 997.0, 995.0, 1003.0]


def blocks(
    contender: str, values: list[float], *, aa_control: bool = False, rig_name: str = "one"
) -> list[Record]:
    return [
        record(contender, per_s, block=block, rig=rig_name, aa_control=aa_control)
        for block, per_s in enumerate(values, start=1)
    ]


def session(rig_name: str = "one", fastapi: list[float] | None = None) -> list[Record]:
    return [
        *blocks("flask", STEADY, rig_name=rig_name),
        *blocks("flask", AA_CONTROL, aa_control=True, rig_name=rig_name),
        *blocks("fastapi", DOUBLE if fastapi is None else fastapi, rig_name=rig_name),
    ]


def summary(records: list[Record], *rigs: str, **changes: Any) -> Summary:
    session_suite = suite(**changes)
    rigs_of_session = tuple(rig(name) for name in rigs or ("one",))
    return summarise(
        header(suite=session_suite, rigs=rigs_of_session),
        make_plan(session_suite, rigs_of_session),
        session_results(records),
    )


def results(records: list[Record]) -> tuple[RunResult, ...]:
    return session_results(records).runs


def single(groups: tuple[ComparisonGroup, ...]) -> ComparisonGroup:
    (group,) = groups
    return group


def with_load(load: Load, original: Record, **log_changes: Any) -> Record:
    """Return the record of a run with another load and, optionally, another log."""
    trial = original.run.trial.model_copy(update={"load": load})
    observed = original.observation
    if log_changes:
        observed = observed.model_copy(
            update={"load": load_result(log=log(**log_changes)), "offered_rate": load.rate}
        )
    return original.model_copy(
        update={"run": original.run.model_copy(update={"trial": trial}), "observation": observed}
    )


def test_trial_summary_has_runs_estimate_and_percentiles() -> None:
    group = single(summary(session()).groups)
    assert [trial.label for trial in group.trials] == ["flask", "flask-aa", "fastapi"]
    flask = group.trials[0]
    assert flask.throughput is not None
    assert flask.throughput.values == tuple(STEADY)
    assert flask.throughput.interval is not None
    assert flask.latency["p99"].median == 3000
    assert flask.uncorrected_latency == {}
    assert (flask.executed, flask.used, flask.invalid, flask.suspect) == (10, 10, 0, 0)


def test_aa_control_sets_the_noise_floor_of_comparisons() -> None:
    group = single(summary(session()).groups)
    (comparison,) = group.comparisons
    assert (comparison.label, comparison.baseline, comparison.metric) == (
        "fastapi",
        "flask",
        "throughput",
    )
    assert isinstance(comparison.result, Comparison)
    assert comparison.result.outcome is Outcome.FASTER
    assert comparison.result.ratio == pytest.approx(2, rel=0.02)
    assert group.noise_floor is not None
    assert group.noise_floor.label == "flask-aa"
    assert isinstance(group.noise_floor.result, RatioEstimate)
    assert comparison.result.noise_floor is not None


def test_a_difference_below_the_noise_floor_is_not_claimed() -> None:
    records = [
        *blocks("flask", STEADY),
        *blocks("flask", [value * 1.05 for value in STEADY], aa_control=True),
        *blocks("fastapi", [value * 1.04 for value in STEADY]),
    ]
    (comparison,) = single(summary(records).groups).comparisons
    assert isinstance(comparison.result, Comparison)
    assert comparison.result.below_noise_floor
    assert comparison.result.outcome is Outcome.INCONCLUSIVE


def test_invalid_runs_are_counted_and_never_used() -> None:
    records = session()
    records[-1] = record("fastapi", 9e9, block=10, findings=(finding(),))
    group = single(summary(records).groups)
    fastapi = group.trials[-1]
    assert (fastapi.executed, fastapi.used, fastapi.invalid) == (10, 9, 1)
    assert fastapi.throughput is not None
    assert max(fastapi.throughput.values) < 2100
    assert group.comparisons[0].excluded_runs == 1
    run = summary(records).runs[-1]
    assert (run.verdict, run.throughput, run.p99_us) == ("invalid", None, None)


@pytest.mark.parametrize(
    ("valid", "invalid", "has_estimate"), [(2, 1, False), (3, 4, False), (4, 4, True)]
)
def test_trial_with_too_few_valid_runs_has_no_estimate(
    valid: int, invalid: int, has_estimate: bool
) -> None:
    records = blocks("flask", STEADY[:valid])
    records += [
        record("flask", 1000, block=valid + n + 1, findings=(finding(),)) for n in range(invalid)
    ]
    flask = single(summary(records).groups).trials[0]
    assert (flask.throughput is not None) is has_estimate
    assert bool(flask.latency) is has_estimate


def with_valid(valid: dict[str, int], rig_name: str = "one") -> list[Record]:
    """Return a session in which only the first `valid[label]` runs of a trial are valid.

    All ten runs of the other trials are valid.
    """
    return [
        run_record
        if run_record.run.block <= valid.get(run_record.run.trial.label, 10)
        else run_record.model_copy(update={"verdict": record(findings=(finding(),)).verdict})
        for run_record in session(rig_name)
    ]


@pytest.mark.parametrize("name", ["flask", "fastapi"])
def test_trial_without_an_estimate_is_not_compared(name: str) -> None:
    group = single(summary(with_valid({name: 4})).groups)
    trial = next(trial for trial in group.trials if trial.label == name)
    assert trial.throughput is None
    assert trial.withheld == "4 valid runs of 10 and needs 5"
    (comparison,) = group.comparisons
    assert comparison.result == NoComparison(reason=f"{name} has 4 valid runs of 10 and needs 5")
    assert comparison.excluded_runs == 6


def test_half_of_the_runs_suffice_for_estimate_and_comparison() -> None:
    group = single(summary(with_valid({"fastapi": 5})).groups)
    assert group.trials[-1].throughput is not None
    assert group.trials[-1].withheld is None
    assert isinstance(group.comparisons[0].result, Comparison)


@given(
    valid=st.fixed_dictionaries(
        {name: st.integers(0, 10) for name in ("flask", "flask-aa", "fastapi")}
    )
)
def test_comparison_needs_estimates_and_claim_a_noise_floor(
    valid: dict[str, int],
) -> None:
    group = single(summary(with_valid(valid)).groups)
    estimated = {trial.label for trial in group.trials if trial.throughput is not None}
    assert group.noise_floor is not None
    for comparison in (*group.comparisons, group.noise_floor):
        both_estimated = {comparison.label, comparison.baseline} <= estimated
        assert both_estimated or isinstance(comparison.result, NoComparison)
    claimed = [
        comparison for comparison in group.comparisons if isinstance(comparison.result, Comparison)
    ]
    assert not claimed or isinstance(group.noise_floor.result, RatioEstimate)


def test_rig_with_too_few_valid_runs_is_excluded_and_named() -> None:
    rigs = ("one", "two", "three", "four")
    records = [
        run_record
        for name in rigs
        for run_record in with_valid({"fastapi": 4} if name == "two" else {}, name)
    ]
    pooled = summary(records, *rigs).groups[-1]
    (comparison,) = pooled.comparisons
    assert isinstance(comparison.result, Comparison)
    assert (comparison.result.replicate, comparison.result.n) == (Replicate.RIG, 3)
    assert comparison.excluded_rigs == ("two, where fastapi has 4 valid runs of 10 and needs 5",)
    assert pooled.noise_floor is not None
    assert pooled.noise_floor.excluded_rigs == ()


def test_a_single_rig_with_enough_valid_runs_is_not_pooled() -> None:
    records = [*session("one"), *with_valid({"fastapi": 4}, "two")]
    (comparison,) = summary(records, "one", "two").groups[-1].comparisons
    assert isinstance(comparison.result, NoComparison)
    assert comparison.result.reason.startswith("only 1 rig has values of both, and 3 are needed")


def test_without_an_aa_ratio_nothing_is_claimed() -> None:
    group = single(summary(with_valid({"flask-aa": 4})).groups)
    assert group.noise_floor is not None
    assert isinstance(group.noise_floor.result, NoComparison)
    (comparison,) = group.comparisons
    assert type(comparison.result) is RatioEstimate
    assert comparison.result.ratio == pytest.approx(2, rel=0.02)
    assert (
        comparison.no_claim_reason == "the A/A control has no ratio, so the noise floor is unknown"
    )
    (claimed,) = single(summary(session()).groups).comparisons
    assert claimed.no_claim_reason is None


def test_rig_does_not_stop_while_the_noise_floor_is_unknown() -> None:
    session_suite = suite(blocks=20, stop=StoppingRule(within_percent=2))
    plan = make_plan(session_suite, [rig()])
    assert stopping_reason(session_suite, plan.trials, "one", results(session())) is not None
    without_floor = with_valid({"flask-aa": 4})
    assert stopping_reason(session_suite, plan.trials, "one", results(without_floor)) is None


@pytest.mark.parametrize("contender", ["fastapi", "flask"])
def test_fork_may_contain_only_one_contender(contender: str) -> None:
    head = header()
    plan = make_plan(head.suite, head.rigs)
    runs = tuple(run for run in plan.runs if run.trial.label == contender)
    records = blocks(contender, STEADY)
    group = single(
        summarise(head, plan.model_copy(update={"runs": runs}), session_results(records)).groups
    )
    assert [trial.label for trial in group.trials] == [contender]
    assert group.noise_floor is not None
    assert isinstance(group.noise_floor.result, NoComparison)
    assert all(isinstance(comparison.result, NoComparison) for comparison in group.comparisons)


def test_fork_without_the_aa_control_claims_nothing() -> None:
    head = header()
    plan = make_plan(head.suite, head.rigs)
    runs = tuple(run for run in plan.runs if not run.trial.aa_control)
    records = [run_record for run_record in session() if not run_record.run.trial.aa_control]
    group = single(
        summarise(head, plan.model_copy(update={"runs": runs}), session_results(records)).groups
    )
    assert group.comparisons[0].no_claim_reason is not None


def test_aa_control_is_identified_by_its_trial_not_its_name() -> None:
    session_suite = suite(contenders=("flask", "flask-aa"), baseline="flask-aa")
    records = [
        *blocks("flask", DOUBLE),
        *blocks("flask-aa", STEADY),
        *blocks("flask-aa", AA_CONTROL, aa_control=True),
    ]
    head = header(suite=session_suite)
    group = single(
        summarise(head, make_plan(session_suite, head.rigs), session_results(records)).groups
    )
    (comparison,) = group.comparisons
    assert (comparison.label, comparison.baseline) == ("flask", "flask-aa")
    assert isinstance(comparison.result, Comparison)
    assert comparison.result.outcome is Outcome.FASTER
    assert group.noise_floor is not None
    assert group.noise_floor.label == "flask-aa-aa"


def test_suspect_runs_are_used() -> None:
    suspect = record("flask", 1000, findings=(finding("drift", Level.SUSPECT),))
    flask = single(summary([suspect]).groups).trials[0]
    assert (flask.used, flask.suspect) == (1, 1)


def test_smoke_preset_compares_nothing() -> None:
    group = single(summary([record("flask"), record("fastapi")], preset=Preset.SMOKE).groups)
    assert group.comparisons == ()
    assert group.noise_floor is None
    assert [trial.label for trial in group.trials] == ["flask", "fastapi"]


def test_fixed_rate_is_compared_by_corrected_p99_lower_is_better() -> None:
    load = Load(connections=10, rate=900, duration_s=3)

    def corrected(p99_us: int) -> Any:
        return log().latency.model_copy(update={"p99_us": p99_us})

    records = [
        with_load(load, run_record, corrected_latency=corrected(p99_us + run_record.run.block))
        for name, aa_control, p99_us in (
            ("flask", False, 20_000),
            ("flask", True, 20_000),
            ("fastapi", False, 10_000),
        )
        for run_record in blocks(name, STEADY, aa_control=aa_control)
    ]
    group = single(summary(records, loads=(load,)).groups)
    assert group.load_kind is LoadKind.FIXED_RATE
    assert group.trials[0].latency["p99"].median == 20_005.5
    assert group.trials[0].uncorrected_latency["p99"].median == 3000
    (comparison,) = group.comparisons
    assert comparison.metric is Metric.P99
    assert isinstance(comparison.result, Comparison)
    assert comparison.result.ratio == pytest.approx(0.5, rel=0.01)
    assert comparison.result.outcome is Outcome.FASTER


def test_three_rigs_are_pooled_and_two_are_not() -> None:
    for rigs, replicate in ((("one", "two", "three"), Replicate.RIG), (("one", "two"), None)):
        records = [run_record for name in rigs for run_record in session(name)]
        groups = summary(records, *rigs).groups
        assert [group.rig for group in groups] == [*rigs, None]
        (pooled,) = groups[-1].comparisons
        assert groups[-1].trials == ()
        if replicate is None:
            assert isinstance(pooled.result, NoComparison)
        else:
            assert isinstance(pooled.result, Comparison)
            assert (pooled.result.replicate, pooled.result.n) == (replicate, len(rigs))


def test_each_rig_has_its_own_runs() -> None:
    result = summary([*session("one"), *session("two")[:10]], "one", "two")
    executed = [[trial.executed for trial in group.trials] for group in result.groups[:2]]
    assert executed == [[10, 10, 10], [10, 0, 0]]


def test_settings_are_never_mixed() -> None:
    other = TIMED.model_copy(update={"connections": 20})
    records = [
        *session(),
        *(with_load(other, run_record) for run_record in session(fastapi=STEADY)),
    ]
    first, second = summary(records, loads=(TIMED, other)).groups
    ratios = [
        comparison.result.ratio
        for group in (first, second)
        for comparison in group.comparisons
        if isinstance(comparison.result, Comparison)
    ]
    assert ratios == [pytest.approx(2, rel=0.02), pytest.approx(1)]


SEARCH = Search(p99_ms=50, lowest=100, highest=6400, steps=6)


def search_records(
    contender: str, capacities: list[float], *, aa_control: bool = False
) -> list[Record]:
    """Return a search in each block, of a server that passes every rate up to its capacity."""
    load = Load(connections=10, duration_s=3, search=SEARCH)
    records = []
    for block, capacity in enumerate(capacities, start=1):
        steps: list[bool | None] = []
        for number in range(1, SEARCH.steps + 1):
            rate = next_rate(SEARCH, steps)
            steps.append(rate <= capacity)
            percentiles = log().latency.model_copy(
                update={"p99_us": 40_000 if steps[-1] else 60_000}
            )
            run_record = with_load(
                load,
                record(contender, block=block, aa_control=aa_control),
                corrected_latency=percentiles,
            )
            name = f"r1-{block:02d}{number:02d}-{run_record.run.trial.label}"
            step = run_record.run.model_copy(update={"step": number, "id": name})
            observed = run_record.observation.model_copy(update={"offered_rate": rate})
            records.append(run_record.model_copy(update={"run": step, "observation": observed}))
    return records


def search_group(flask: list[float], fastapi: list[float]) -> ComparisonGroup:
    records = [
        *search_records("flask", flask),
        *search_records("flask", flask, aa_control=True),
        *search_records("fastapi", fastapi),
    ]
    loads = (Load(connections=10, duration_s=3, search=SEARCH),)
    return single(summary(records, loads=loads).groups)


def test_search_is_compared_by_its_highest_rates() -> None:
    group = search_group([1000, 1100, 1050], [2000, 2200, 2100])
    (comparison,) = group.comparisons
    assert comparison.metric is Metric.HIGHEST_RATE
    assert isinstance(comparison.result, Comparison)
    assert comparison.result.ratio == pytest.approx(2, rel=0.07)


def test_search_that_passes_every_rate_has_only_a_lower_bound() -> None:
    group = search_group([10_000] * 10, [20_000] * 10)
    for trial in group.trials:
        assert trial.highest_rate is not None
        assert (trial.highest_rate.rate, trial.highest_rate.interval) == (None, None)
        assert trial.highest_rate.at_least == pytest.approx(6400 * 64 ** (-1 / 64), rel=1e-3)
        assert trial.highest_rate.below is None
    (comparison,) = group.comparisons
    assert comparison.result == NoComparison(
        reason="flask passed every rate tried in 10 of 10 blocks: raise `highest` of the search;"
        " fastapi passed every rate tried in 10 of 10 blocks: raise `highest` of the search"
    )


def test_search_that_fails_every_rate_has_only_an_upper_bound() -> None:
    group = search_group([1000] * 10, [50] * 10)
    fastapi = group.trials[-1].highest_rate
    assert fastapi is not None
    assert (fastapi.rate, fastapi.interval, fastapi.at_least) == (None, None, None)
    assert fastapi.below == pytest.approx(100 * 64 ** (1 / 64), rel=1e-3)
    assert group.comparisons[0].result == NoComparison(
        reason="fastapi failed every rate tried in 10 of 10 blocks: lower `lowest` of the search"
    )


@pytest.mark.parametrize("capacity", [50, 20_000])
def test_one_censored_block_is_not_dropped(capacity: float) -> None:
    group = search_group([1000] * 10, [2000] * 9 + [capacity])
    fastapi = group.trials[-1].highest_rate
    assert fastapi is not None
    assert (fastapi.n, fastapi.rate) == (10, None)
    assert isinstance(group.comparisons[0].result, NoComparison)
    assert " in 1 of 10 blocks" in group.comparisons[0].result.reason


def test_blocks_censored_at_both_ends_have_no_bound() -> None:
    fastapi = search_group([1000] * 10, [50, 20_000, 1000]).trials[-1].highest_rate
    assert fastapi is not None
    assert (fastapi.rate, fastapi.at_least, fastapi.below) == (None, None, None)


def test_search_with_results_in_too_few_blocks_has_no_estimate() -> None:
    records = [*search_records("flask", [1000] * 6), *search_records("fastapi", [2000] * 6)]
    invalid = record(findings=(finding(),)).verdict
    records = [
        run_record.model_copy(update={"verdict": invalid})
        if run_record.run.trial.contender == "fastapi"
        and run_record.run.step == 1
        and run_record.run.block > 2
        else run_record
        for run_record in records
    ]
    loads = (Load(connections=10, duration_s=3, search=SEARCH),)
    group = single(summary(records, loads=loads).groups)
    fastapi = group.trials[-1]
    assert fastapi.highest_rate is None
    assert fastapi.withheld == "an answer in 2 blocks of 6 and needs 3"
    assert group.comparisons[0].result == NoComparison(
        reason="fastapi has an answer in 2 blocks of 6 and needs 3"
    )


def test_stopping_rule_ends_a_rig_when_intervals_are_narrow() -> None:
    session_suite = suite(blocks=20, stop=StoppingRule(within_percent=2))
    plan = make_plan(session_suite, [rig()])
    assert stopping_reason(session_suite, plan.trials, "one", results(session())) is not None
    fewer = [run_record for run_record in session() if run_record.run.block < 10]
    assert stopping_reason(session_suite, plan.trials, "one", results(fewer)) is None
    strict = session_suite.model_copy(update={"stop": StoppingRule(within_percent=0.01)})
    assert stopping_reason(strict, plan.trials, "one", results(session())) is None
    assert stopping_reason(suite(), plan.trials, "one", results(session())) is None


def test_summary_contains_the_reason_to_stop() -> None:
    result = summary(session(), blocks=20, stop=StoppingRule(within_percent=2))
    assert result.stopped_by["one"].startswith("every interval is narrow enough after 10 blocks")
    assert summary(session(), blocks=20).stopped_by == {}


def test_rigs_of_different_hardware_groups_are_never_pooled() -> None:
    rigs = tuple(rig(name) for name in ("one", "two", "three", "four"))
    facts = [client_facts(each.clients[0].name) for each in rigs]
    facts += [target_facts(each.target.name, cpus=4 if each.name == "four" else 2) for each in rigs]
    head = header(suite=suite(), rigs=rigs, facts=tuple(facts))
    records = [run_record for each in rigs for run_record in session(each.name)]
    result = summarise(head, make_plan(head.suite, rigs), session_results(records))
    assert [group.rigs for group in result.groups if group.rig is None] == [("one", "two", "three")]
    assert [group.rigs for group in result.hardware_groups] == [("one", "two", "three"), ("four",)]


def test_lost_attempts_are_listed_and_never_used() -> None:
    run_record = record("flask", 9e6, block=3)
    observed = run_record.observation.model_copy(
        update={"infrastructure_failure": True, "failure": "one-client: gone"}
    )
    lost = run_record.model_copy(update={"observation": observed, "attempt": 2})
    event = Event(
        at="2026-11-23T10:00:00+00:00", kind="quarantined", rig="one", reason="it went away"
    )
    head = header()
    result = summarise(
        head, make_plan(head.suite, head.rigs), session_results([*session(), lost]), [event]
    )
    assert result.lost_attempts == (
        LostAttempt(id=run_record.run.id, rig="one", attempt=2, reason="one-client: gone"),
    )
    assert result.events == (event,)
    without_lost = summary(session())
    assert (result.executed, result.groups, result.runs) == (
        without_lost.executed,
        without_lost.groups,
        without_lost.runs,
    )


@given(
    executed=st.lists(st.integers(0, 29), unique=True),
    invalid=st.sets(st.integers(0, 29)),
    preset=st.sampled_from(list(Preset)),
)
def test_summary_of_any_executed_runs_survives_json_round_trip(
    executed: list[int], invalid: set[int], preset: Preset
) -> None:
    all_records = session()
    records = [
        all_records[index].model_copy(update={"verdict": record(findings=(finding(),)).verdict})
        if index in invalid
        else all_records[index]
        for index in executed
    ]
    session_suite = Suite(**{**dict(suite()), "preset": preset})
    rigs_of_session = tuple(rig(name) for name in ("one", "b", "c", "d", "e"))
    result = summarise(
        header(suite=session_suite, rigs=rigs_of_session),
        make_plan(session_suite, rigs_of_session),
        session_results(records),
    )
    assert Summary.model_validate_json(result.model_dump_json()) == result
    assert result.executed == len(records)


def test_each_run_lists_inapplicable_and_unobserved_checks() -> None:
    verdict = Verdict(not_applicable=("bursty-rate",), not_observed=("steal", "governor"))
    unchecked = record().model_copy(update={"verdict": verdict})
    summary = summarise(
        header(), make_plan(suite(), [rig()]), session_results([unchecked, record(block=2)])
    )
    first, second = json.loads(summary.model_dump_json())["runs"]
    assert (first["not_applicable"], first["not_observed"]) == (
        ["bursty-rate"],
        ["steal", "governor"],
    )
    assert (second["not_applicable"], second["not_observed"]) == ([], [])


def test_json_schema_matches_the_documentation(golden: Golden) -> None:
    """`docs/report.schema.json` describes `--format json`; --rewrite-golden updates it."""
    schema = json.dumps(Summary.model_json_schema(mode="serialization"), indent=1)
    golden.check("../../docs/report.schema.json", schema + "\n")
