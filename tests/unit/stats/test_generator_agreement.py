from typing import Any

import pytest
from builders import TIMED, header, load_result, percentiles, record, rig, suite
from golden import Golden

from fwbench.loadgen.wrk import GENERATOR as WRK
from fwbench.model.record import Record
from fwbench.model.suite import Suite
from fwbench.plan import make_plan
from fwbench.report.text import render_session
from fwbench.stats.generator_agreement import GeneratorAgreement
from fwbench.stats.ratios import NoComparison, RatioEstimate
from fwbench.stats.session_results import session_results
from fwbench.stats.summarise import summarise
from fwbench.stats.summary import Summary

STEADY = [1000.0, 1010.0, 990.0, 1005.0, 995.0]
BY_WRK = TIMED.model_copy(update={"generator": "wrk"})


def recorded_by_wrk(per_s: float) -> Any:
    """The summary of a load of three seconds, as `loadgen.wrk` makes it."""
    line = (
        f'fwbench-wrk {{"duration_us": 3000000.000, "requests": {round(per_s * 3)}.000,'
        ' "bytes": 1.000, "errors_connect": 0.000, "errors_read": 0.000, "errors_write": 0.000,'
        ' "errors_status": 0.000, "errors_timeout": 0.000, "min_us": 17.000, "max_us": 7059.000,'
        ' "mean_us": 222.842, "sd_us": 438.266, "p50_us": 124.000, "p75_us": 172.000,'
        ' "p90_us": 231.000, "p95_us": 741.000, "p99_us": 2561.000, "p999_us": 4308.000}\n'
    )
    return WRK.parse_output(line)


def by_wrk(contender: str, per_s: float, **more: Any) -> Record:
    made = record(contender, per_s, **more)
    trial = made.run.trial.model_copy(update={"load": BY_WRK})
    load = load_result(summary=recorded_by_wrk(per_s)).model_copy(update={"log": None})
    return made.model_copy(
        update={
            "run": made.run.model_copy(update={"trial": trial}),
            "observation": made.observation.model_copy(update={"load": load}),
        }
    )


def two_tools(**changes: Any) -> Suite:
    return suite(
        **({"contenders": ("flask",), "baseline": None, "loads": (TIMED, BY_WRK)} | changes)
    )


def summary(records: list[Record], asked: Suite | None = None) -> Summary:
    head = header(suite=asked or two_tools(), rigs=(rig(),))
    return summarise(head, make_plan(head.suite, head.rigs), session_results(records))


def both(factor: float, noise: float = 0.001) -> list[Record]:
    """Blocks in which wrk measures `factor` times what h2load does."""
    records = []
    for block, per_s in enumerate(STEADY, start=1):
        wobble = 1 + noise * (-1) ** block
        records += [record("flask", per_s, block=block)]
        records += [by_wrk("flask", per_s * factor * wobble, block=block)]
    return records


def only(made: Summary) -> GeneratorAgreement:
    (agreement,) = made.generator_agreements
    return agreement


@pytest.mark.parametrize(
    ("factor", "noise", "agree"),
    [(1.01, 0.001, True), (1.2, 0.001, False), (0.9, 0.001, False), (1.04, 0.03, None)],
)
def test_two_load_generators_agree_within_five_percent(
    factor: float, noise: float, agree: bool | None
) -> None:
    agreement = only(summary(both(factor, noise)))
    assert (agreement.generator, agreement.reference) == ("wrk", "h2load")
    assert isinstance(agreement.result, RatioEstimate)
    assert agreement.result.ratio == pytest.approx(factor, rel=0.02)
    assert agreement.agree is agree


def test_without_enough_blocks_nothing_is_said() -> None:
    agreement = only(summary(both(1.0)[:4]))
    assert isinstance(agreement.result, NoComparison)
    assert agreement.agree is None


def test_loads_that_differ_in_more_than_the_tool_are_not_compared() -> None:
    other = BY_WRK.model_copy(update={"connections": 20})
    assert summary([], two_tools(loads=(TIMED, other))).generator_agreements == ()
    assert summary([], two_tools(loads=(TIMED,))).generator_agreements == ()


def test_each_contender_has_one_agreement_and_the_control_has_none() -> None:
    made = summary([], two_tools(contenders=("flask", "fastapi"), baseline="flask"))
    assert [each.label for each in made.generator_agreements] == ["flask", "fastapi"]


def test_without_a_log_the_figures_are_those_of_the_tool() -> None:
    made = summary(both(1.0))
    h2load, wrk = (group.trials[0] for group in made.groups)
    assert h2load.latency["p99"].median == percentiles().p99_us
    assert wrk.latency["p99"].median == 2561
    assert wrk.throughput is not None
    assert wrk.throughput.mean == pytest.approx(1000, rel=0.01)


def test_a_session_with_two_load_generators(golden: Golden) -> None:
    records = both(1.01)
    head = header(suite=two_tools(), rigs=(rig(),))
    results = session_results(records)
    made = summarise(head, make_plan(head.suite, head.rigs), results)
    page = render_session(head, made, results.runs)
    golden.check("two-load-generators.txt", page)
