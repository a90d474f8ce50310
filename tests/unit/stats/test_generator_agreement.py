import pytest
from builders import TIMED, header, percentiles, rig
from two_generators import BY_WRK, both, two_tools

from fwbench.model.record import Record
from fwbench.model.suite import Suite
from fwbench.plan import make_plan
from fwbench.stats.generator_agreement import GeneratorAgreement
from fwbench.stats.ratios import NoComparison, RatioEstimate
from fwbench.stats.session_results import session_results
from fwbench.stats.summarise import summarise
from fwbench.stats.summary import Summary


def summary(records: list[Record], session_suite: Suite | None = None) -> Summary:
    head = header(suite=session_suite or two_tools(), rigs=(rig(),))
    return summarise(head, make_plan(head.suite, head.rigs), session_results(records))


def single(session_summary: Summary) -> GeneratorAgreement:
    (agreement,) = session_summary.generator_agreements
    return agreement


@pytest.mark.parametrize(
    ("factor", "noise", "agree"),
    [(1.01, 0.001, True), (1.2, 0.001, False), (0.9, 0.001, False), (1.04, 0.03, None)],
)
def test_load_generators_agree_within_five_percent(
    factor: float, noise: float, agree: bool | None
) -> None:
    agreement = single(summary(both(factor, noise)))
    assert (agreement.generator, agreement.reference) == ("wrk", "h2load")
    assert isinstance(agreement.result, RatioEstimate)
    assert agreement.result.ratio == pytest.approx(factor, rel=0.02)
    assert agreement.agree is agree


def test_too_few_blocks_give_no_agreement() -> None:
    agreement = single(summary(both(1.0)[:4]))
    assert isinstance(agreement.result, NoComparison)
    assert agreement.agree is None


def test_loads_are_compared_only_if_just_the_generator_differs() -> None:
    other = BY_WRK.model_copy(update={"connections": 20})
    assert summary([], two_tools(loads=(TIMED, other))).generator_agreements == ()
    assert summary([], two_tools(loads=(TIMED,))).generator_agreements == ()


def test_each_contender_but_the_aa_control_has_an_agreement() -> None:
    result = summary([], two_tools(contenders=("flask", "fastapi"), baseline="flask"))
    assert [each.label for each in result.generator_agreements] == ["flask", "fastapi"]


def test_without_a_log_the_tools_own_numbers_are_used() -> None:
    result = summary(both(1.0))
    h2load, wrk = (group.trials[0] for group in result.groups)
    assert h2load.latency["p99"].median == percentiles().p99_us
    assert wrk.latency["p99"].median == 2561
    assert wrk.throughput is not None
    assert wrk.throughput.mean == pytest.approx(1000, rel=0.01)
