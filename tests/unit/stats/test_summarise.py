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
TWICE = [2020.0, 2000.0, 1990.0, 2015.0, 1985.0, 2010.0, 1998.0, 2004.0, 2009.0, 1991.0]
AA_CONTROL = [1003.0, 1005.0, 988.0, 1001.0, 999.0, 1004.0, 1001.0, 997.0, 995.0, 1003.0]


def blocks(
    contender: str, values: list[float], *, aa_control: bool = False, on: str = "one"
) -> list[Record]:
    return [
        record(contender, per_s, block=block, rig=on, aa_control=aa_control)
        for block, per_s in enumerate(values, start=1)
    ]


def session(on: str = "one", fastapi: list[float] | None = None) -> list[Record]:
    return [
        *blocks("flask", STEADY, on=on),
        *blocks("flask", AA_CONTROL, aa_control=True, on=on),
        *blocks("fastapi", TWICE if fastapi is None else fastapi, on=on),
    ]


def summary(records: list[Record], *rigs: str, **changes: Any) -> Summary:
    planned = suite(**changes)
    rigs_of_session = tuple(rig(name) for name in rigs or ("one",))
    return summarise(
        header(suite=planned, rigs=rigs_of_session),
        make_plan(planned, rigs_of_session),
        session_results(records),
    )


def results(records: list[Record]) -> tuple[RunResult, ...]:
    return session_results(records).runs


def only(groups: tuple[ComparisonGroup, ...]) -> ComparisonGroup:
    (group,) = groups
    return group


def under(load: Load, made: Record, **seen: Any) -> Record:
    """The run as if it had been of another load, whose log says something else."""
    trial = made.run.trial.model_copy(update={"load": load})
    observed = made.observation
    if seen:
        observed = observed.model_copy(
            update={"load": load_result(log=log(**seen)), "offered_rate": load.rate}
        )
    return made.model_copy(
        update={"run": made.run.model_copy(update={"trial": trial}), "observation": observed}
    )


def test_a_trial_has_its_runs_its_estimate_and_its_percentiles() -> None:
    group = only(summary(session()).groups)
    assert [trial.label for trial in group.trials] == ["flask", "flask-aa", "fastapi"]
    flask = group.trials[0]
    assert flask.throughput is not None
    assert flask.throughput.values == tuple(STEADY)
    assert flask.throughput.interval is not None
    assert flask.latency["p99"].median == 3000
    assert flask.uncorrected_latency == {}
    assert (flask.executed, flask.used, flask.invalid, flask.suspect) == (10, 10, 0, 0)


def test_contenders_are_compared_with_the_baseline_and_the_a_a_control_is_the_noise_floor() -> None:
    group = only(summary(session()).groups)
    (compared,) = group.comparisons
    assert (compared.label, compared.baseline, compared.metric) == (
        "fastapi",
        "flask",
        "throughput",
    )
    assert isinstance(compared.result, Comparison)
    assert compared.result.outcome is Outcome.FASTER
    assert compared.result.ratio == pytest.approx(2, rel=0.02)
    assert group.noise_floor is not None
    assert group.noise_floor.label == "flask-aa"
    assert isinstance(group.noise_floor.result, RatioEstimate)
    assert compared.result.noise_floor is not None


def test_a_difference_below_the_noise_floor_is_not_claimed() -> None:
    records = [
        *blocks("flask", STEADY),
        *blocks("flask", [value * 1.05 for value in STEADY], aa_control=True),
        *blocks("fastapi", [value * 1.04 for value in STEADY]),
    ]
    (compared,) = only(summary(records).groups).comparisons
    assert isinstance(compared.result, Comparison)
    assert compared.result.below_noise_floor
    assert compared.result.outcome is Outcome.INCONCLUSIVE


def test_invalid_runs_are_counted_and_never_used() -> None:
    records = session()
    records[-1] = record("fastapi", 9e9, block=10, findings=(finding(),))
    group = only(summary(records).groups)
    fastapi = group.trials[-1]
    assert (fastapi.executed, fastapi.used, fastapi.invalid) == (10, 9, 1)
    assert fastapi.throughput is not None
    assert max(fastapi.throughput.values) < 2100
    assert group.comparisons[0].excluded_runs == 1
    run = summary(records).runs[-1]
    assert (run.verdict, run.throughput, run.p99_us) == ("invalid", None, None)


@pytest.mark.parametrize(("valid", "invalid", "has"), [(2, 1, False), (3, 4, False), (4, 4, True)])
def test_a_trial_with_too_few_valid_runs_has_no_estimate(
    valid: int, invalid: int, has: bool
) -> None:
    records = blocks("flask", STEADY[:valid])
    records += [
        record("flask", 1000, block=valid + n + 1, findings=(finding(),)) for n in range(invalid)
    ]
    flask = only(summary(records).groups).trials[0]
    assert (flask.throughput is not None) is has
    assert bool(flask.latency) is has


def with_valid(valid: dict[str, int], on: str = "one") -> list[Record]:
    """Ten blocks, of which so many runs are valid, by the trial's name; all where none is said."""
    return [
        made
        if made.run.block <= valid.get(made.run.trial.label, 10)
        else made.model_copy(update={"verdict": record(findings=(finding(),)).verdict})
        for made in session(on)
    ]


@pytest.mark.parametrize("name", ["flask", "fastapi"])
def test_too_few_runs_for_an_estimate_are_too_few_for_a_comparison(name: str) -> None:
    group = only(summary(with_valid({name: 4})).groups)
    trial = next(trial for trial in group.trials if trial.label == name)
    assert trial.throughput is None
    assert trial.withheld == "4 valid runs of 10 and needs 5"
    (compared,) = group.comparisons
    assert compared.result == NoComparison(reason=f"{name} has 4 valid runs of 10 and needs 5")
    assert compared.excluded_runs == 6


def test_half_of_the_runs_are_enough_for_an_estimate_and_a_comparison() -> None:
    group = only(summary(with_valid({"fastapi": 5})).groups)
    assert group.trials[-1].throughput is not None
    assert group.trials[-1].withheld is None
    assert isinstance(group.comparisons[0].result, Comparison)


@given(
    valid=st.fixed_dictionaries(
        {name: st.integers(0, 10) for name in ("flask", "flask-aa", "fastapi")}
    )
)
def test_nothing_is_compared_without_an_estimate_and_nothing_claimed_without_a_noise_floor(
    valid: dict[str, int],
) -> None:
    group = only(summary(with_valid(valid)).groups)
    estimated = {trial.label for trial in group.trials if trial.throughput is not None}
    assert group.noise_floor is not None
    for one in (*group.comparisons, group.noise_floor):
        both = {one.label, one.baseline} <= estimated
        assert both or isinstance(one.result, NoComparison)
    claimed = [one for one in group.comparisons if isinstance(one.result, Comparison)]
    assert not claimed or isinstance(group.noise_floor.result, RatioEstimate)


def test_a_rig_with_too_few_valid_runs_is_excluded_from_a_comparison_and_named() -> None:
    rigs = ("one", "two", "three", "four")
    records = [
        made for name in rigs for made in with_valid({"fastapi": 4} if name == "two" else {}, name)
    ]
    pooled = summary(records, *rigs).groups[-1]
    (compared,) = pooled.comparisons
    assert isinstance(compared.result, Comparison)
    assert (compared.result.replicate, compared.result.n) == (Replicate.RIG, 3)
    assert compared.excluded_rigs == ("two, where fastapi has 4 valid runs of 10 and needs 5",)
    assert pooled.noise_floor is not None
    assert pooled.noise_floor.excluded_rigs == ()


def test_a_single_rig_with_enough_valid_runs_is_not_pooled() -> None:
    records = [*session("one"), *with_valid({"fastapi": 4}, "two")]
    (compared,) = summary(records, "one", "two").groups[-1].comparisons
    assert isinstance(compared.result, NoComparison)
    assert compared.result.reason.startswith("only 1 rig has values of both, and 3 are needed")


def test_without_a_ratio_of_the_control_nothing_is_claimed() -> None:
    group = only(summary(with_valid({"flask-aa": 4})).groups)
    assert group.noise_floor is not None
    assert isinstance(group.noise_floor.result, NoComparison)
    (compared,) = group.comparisons
    assert type(compared.result) is RatioEstimate
    assert compared.result.ratio == pytest.approx(2, rel=0.02)
    assert compared.no_claim_reason == "the A/A control has no ratio, so the noise floor is unknown"
    (claimed,) = only(summary(session()).groups).comparisons
    assert claimed.no_claim_reason is None


def test_a_rig_does_not_stop_before_anything_can_be_claimed() -> None:
    planned = suite(blocks=20, stop=StoppingRule(within_percent=2))
    plan = make_plan(planned, [rig()])
    assert stopping_reason(planned, plan.trials, "one", results(session())) is not None
    fewer = with_valid({"flask-aa": 4})
    assert stopping_reason(planned, plan.trials, "one", results(fewer)) is None


@pytest.mark.parametrize("left", ["fastapi", "flask"])
def test_the_rest_of_a_session_may_have_one_contender_alone(left: str) -> None:
    head = header()
    plan = make_plan(head.suite, head.rigs)
    runs = tuple(run for run in plan.runs if run.trial.label == left)
    records = blocks(left, STEADY)
    group = only(
        summarise(head, plan.model_copy(update={"runs": runs}), session_results(records)).groups
    )
    assert [trial.label for trial in group.trials] == [left]
    assert group.noise_floor is not None
    assert isinstance(group.noise_floor.result, NoComparison)
    assert all(isinstance(one.result, NoComparison) for one in group.comparisons)


def test_the_rest_of_a_session_without_the_control_claims_nothing() -> None:
    head = header()
    plan = make_plan(head.suite, head.rigs)
    runs = tuple(run for run in plan.runs if not run.trial.aa_control)
    records = [made for made in session() if not made.run.trial.aa_control]
    group = only(
        summarise(head, plan.model_copy(update={"runs": runs}), session_results(records)).groups
    )
    assert group.comparisons[0].no_claim_reason is not None


def test_the_control_is_known_by_its_trial_and_not_by_its_name() -> None:
    planned = suite(contenders=("flask", "flask-aa"), baseline="flask-aa")
    records = [
        *blocks("flask", TWICE),
        *blocks("flask-aa", STEADY),
        *blocks("flask-aa", AA_CONTROL, aa_control=True),
    ]
    head = header(suite=planned)
    group = only(summarise(head, make_plan(planned, head.rigs), session_results(records)).groups)
    (compared,) = group.comparisons
    assert (compared.label, compared.baseline) == ("flask", "flask-aa")
    assert isinstance(compared.result, Comparison)
    assert compared.result.outcome is Outcome.FASTER
    assert group.noise_floor is not None
    assert group.noise_floor.label == "flask-aa-aa"


def test_suspect_runs_are_used() -> None:
    doubtful = record("flask", 1000, findings=(finding("drift", Level.SUSPECT),))
    flask = only(summary([doubtful]).groups).trials[0]
    assert (flask.used, flask.suspect) == (1, 1)


def test_a_smoke_test_compares_nothing() -> None:
    group = only(summary([record("flask"), record("fastapi")], preset=Preset.SMOKE).groups)
    assert group.comparisons == ()
    assert group.noise_floor is None
    assert [trial.label for trial in group.trials] == ["flask", "fastapi"]


def test_a_fixed_rate_is_compared_by_its_corrected_p99_where_less_is_better() -> None:
    load = Load(connections=10, rate=900, duration_s=3)

    def corrected(p99_us: int) -> Any:
        return log().latency.model_copy(update={"p99_us": p99_us})

    records = [
        under(load, made, corrected_latency=corrected(p99_us + made.run.block))
        for name, aa_control, p99_us in (
            ("flask", False, 20_000),
            ("flask", True, 20_000),
            ("fastapi", False, 10_000),
        )
        for made in blocks(name, STEADY, aa_control=aa_control)
    ]
    group = only(summary(records, loads=(load,)).groups)
    assert group.load_kind is LoadKind.FIXED_RATE
    assert group.trials[0].latency["p99"].median == 20_005.5
    assert group.trials[0].uncorrected_latency["p99"].median == 3000
    (compared,) = group.comparisons
    assert compared.metric is Metric.P99
    assert isinstance(compared.result, Comparison)
    assert compared.result.ratio == pytest.approx(0.5, rel=0.01)
    assert compared.result.outcome is Outcome.FASTER


def test_three_rigs_are_pooled_and_two_are_not() -> None:
    for rigs, replicate in ((("one", "two", "three"), Replicate.RIG), (("one", "two"), None)):
        records = [made for name in rigs for made in session(name)]
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
    records = [*session(), *(under(other, made) for made in session(fastapi=STEADY))]
    first, second = summary(records, loads=(TIMED, other)).groups
    ratios = [
        one.result.ratio
        for group in (first, second)
        for one in group.comparisons
        if isinstance(one.result, Comparison)
    ]
    assert ratios == [pytest.approx(2, rel=0.02), pytest.approx(1)]


SEARCH = Search(p99_ms=50, lowest=100, highest=6400, steps=6)


def searched(contender: str, capacities: list[float], *, aa_control: bool = False) -> list[Record]:
    """A search in each block, of a server that holds every rate up to the capacity."""
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
            made = under(
                load,
                record(contender, block=block, aa_control=aa_control),
                corrected_latency=percentiles,
            )
            name = f"r1-{block:02d}{number:02d}-{made.run.trial.label}"
            step = made.run.model_copy(update={"step": number, "id": name})
            observed = made.observation.model_copy(update={"offered_rate": rate})
            records.append(made.model_copy(update={"run": step, "observation": observed}))
    return records


def search_of(flask: list[float], fastapi: list[float]) -> ComparisonGroup:
    records = [
        *searched("flask", flask),
        *searched("flask", flask, aa_control=True),
        *searched("fastapi", fastapi),
    ]
    loads = (Load(connections=10, duration_s=3, search=SEARCH),)
    return only(summary(records, loads=loads).groups)


def test_a_search_is_compared_by_its_highest_rates() -> None:
    group = search_of([1000, 1100, 1050], [2000, 2200, 2100])
    (compared,) = group.comparisons
    assert compared.metric is Metric.HIGHEST_RATE
    assert isinstance(compared.result, Comparison)
    assert compared.result.ratio == pytest.approx(2, rel=0.07)


def test_a_search_that_passed_every_rate_has_a_lower_bound_and_no_comparison() -> None:
    group = search_of([10_000] * 10, [20_000] * 10)
    for trial in group.trials:
        assert trial.highest_rate is not None
        assert (trial.highest_rate.rate, trial.highest_rate.interval) == (None, None)
        assert trial.highest_rate.at_least == pytest.approx(6400 * 64 ** (-1 / 64), rel=1e-3)
        assert trial.highest_rate.below is None
    (compared,) = group.comparisons
    assert compared.result == NoComparison(
        reason="flask passed every rate tried in 10 of 10 blocks: raise `highest` of the search;"
        " fastapi passed every rate tried in 10 of 10 blocks: raise `highest` of the search"
    )


def test_a_search_that_failed_every_rate_has_an_upper_bound_and_no_comparison() -> None:
    group = search_of([1000] * 10, [50] * 10)
    fastapi = group.trials[-1].highest_rate
    assert fastapi is not None
    assert (fastapi.rate, fastapi.interval, fastapi.at_least) == (None, None, None)
    assert fastapi.below == pytest.approx(100 * 64 ** (1 / 64), rel=1e-3)
    assert group.comparisons[0].result == NoComparison(
        reason="fastapi failed every rate tried in 10 of 10 blocks: lower `lowest` of the search"
    )


@pytest.mark.parametrize("beyond", [50, 20_000])
def test_a_single_block_beyond_the_range_is_not_dropped(beyond: float) -> None:
    group = search_of([1000] * 10, [2000] * 9 + [beyond])
    fastapi = group.trials[-1].highest_rate
    assert fastapi is not None
    assert (fastapi.n, fastapi.rate) == (10, None)
    assert isinstance(group.comparisons[0].result, NoComparison)
    assert " in 1 of 10 blocks" in group.comparisons[0].result.reason


def test_blocks_beyond_both_ends_of_the_range_have_no_bound() -> None:
    fastapi = search_of([1000] * 10, [50, 20_000, 1000]).trials[-1].highest_rate
    assert fastapi is not None
    assert (fastapi.rate, fastapi.at_least, fastapi.below) == (None, None, None)


def test_a_search_with_an_answer_in_too_few_blocks_has_no_estimate_and_no_comparison() -> None:
    records = [*searched("flask", [1000] * 6), *searched("fastapi", [2000] * 6)]
    broken = record(findings=(finding(),)).verdict
    records = [
        made.model_copy(update={"verdict": broken})
        if made.run.trial.contender == "fastapi" and made.run.step == 1 and made.run.block > 2
        else made
        for made in records
    ]
    loads = (Load(connections=10, duration_s=3, search=SEARCH),)
    group = only(summary(records, loads=loads).groups)
    fastapi = group.trials[-1]
    assert fastapi.highest_rate is None
    assert fastapi.withheld == "an answer in 2 blocks of 6 and needs 3"
    assert group.comparisons[0].result == NoComparison(
        reason="fastapi has an answer in 2 blocks of 6 and needs 3"
    )


def test_a_stopping_rule_ends_a_rig_once_its_intervals_are_narrow() -> None:
    planned = suite(blocks=20, stop=StoppingRule(within_percent=2))
    plan = make_plan(planned, [rig()])
    assert stopping_reason(planned, plan.trials, "one", results(session())) is not None
    fewer = [made for made in session() if made.run.block < 10]
    assert stopping_reason(planned, plan.trials, "one", results(fewer)) is None
    strict = planned.model_copy(update={"stop": StoppingRule(within_percent=0.01)})
    assert stopping_reason(strict, plan.trials, "one", results(session())) is None
    assert stopping_reason(suite(), plan.trials, "one", results(session())) is None


def test_the_reason_to_stop_is_in_the_summary() -> None:
    result = summary(session(), blocks=20, stop=StoppingRule(within_percent=2))
    assert result.stopped_by["one"].startswith("every interval is narrow enough after 10 blocks")
    assert summary(session(), blocks=20).stopped_by == {}


def test_rigs_of_different_hardware_groups_are_never_pooled() -> None:
    rigs = tuple(rig(name) for name in ("one", "two", "three", "four"))
    facts = [client_facts(one.clients[0].name) for one in rigs]
    facts += [target_facts(one.target.name, cpus=4 if one.name == "four" else 2) for one in rigs]
    head = header(suite=suite(), rigs=rigs, facts=tuple(facts))
    records = [made for one in rigs for made in session(one.name)]
    result = summarise(head, make_plan(head.suite, rigs), session_results(records))
    assert [group.rigs for group in result.groups if group.rig is None] == [("one", "two", "three")]
    assert [group.rigs for group in result.hardware_groups] == [("one", "two", "three"), ("four",)]


def test_lost_attempts_are_listed_and_never_used() -> None:
    made = record("flask", 9e6, block=3)
    gone = made.observation.model_copy(
        update={"infrastructure_failure": True, "failure": "one-client: gone"}
    )
    lost = made.model_copy(update={"observation": gone, "attempt": 2})
    event = Event(
        at="2026-11-23T10:00:00+00:00", kind="quarantined", rig="one", reason="it went away"
    )
    head = header()
    result = summarise(
        head, make_plan(head.suite, head.rigs), session_results([*session(), lost]), [event]
    )
    assert result.lost_attempts == (
        LostAttempt(id=made.run.id, rig="one", attempt=2, reason="one-client: gone"),
    )
    assert result.events == (event,)
    without = summary(session())
    assert (result.executed, result.groups, result.runs) == (
        without.executed,
        without.groups,
        without.runs,
    )


@given(
    kept=st.lists(st.integers(0, 29), unique=True),
    bad=st.sets(st.integers(0, 29)),
    presets=st.sampled_from(list(Preset)),
)
def test_whatever_was_executed_gives_a_summary_that_can_be_read_again(
    kept: list[int], bad: set[int], presets: Preset
) -> None:
    everything = session()
    records = [
        everything[at].model_copy(update={"verdict": record(findings=(finding(),)).verdict})
        if at in bad
        else everything[at]
        for at in kept
    ]
    planned = Suite(**{**dict(suite()), "preset": presets})
    rigs_of_session = tuple(rig(name) for name in ("one", "b", "c", "d", "e"))
    result = summarise(
        header(suite=planned, rigs=rigs_of_session),
        make_plan(planned, rigs_of_session),
        session_results(records),
    )
    assert Summary.model_validate_json(result.model_dump_json()) == result
    assert result.executed == len(records)


def test_every_run_has_the_codes_of_the_checks_that_could_not_check_it() -> None:
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


def test_the_schema_is_as_documented(golden: Golden) -> None:
    """`docs/report.schema.json` is what `--format json` gives; --rewrite-golden writes it anew."""
    schema = json.dumps(Summary.model_json_schema(mode="serialization"), indent=1)
    golden.check("../../docs/report.schema.json", schema + "\n")
