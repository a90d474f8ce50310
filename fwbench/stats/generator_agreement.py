"""Whether two load generators measure the same throughput of the same contender."""

from collections.abc import Collection, Sequence
from itertools import combinations

from fwbench.model.base import Frozen
from fwbench.model.load import LoadKind
from fwbench.model.run import Trial
from fwbench.model.suite import Suite
from fwbench.stats import samples
from fwbench.stats.ratios import NoComparison, RatioEstimate, paired_ratio
from fwbench.stats.run_result import ResultsByRig
from fwbench.stats.samples import Metric

MARGIN = 0.05


class GeneratorAgreement(Frozen):
    """The throughput by one load generator, divided by that of another, on one rig.

    `agree` is True if the whole 95 % interval of the ratio lies within 5 % of 1, False if the whole
    interval lies beyond, and None if neither. This is no comparison of contenders: it is not part
    of their family, and nothing is ranked by it.
    """

    rig: str
    label: str
    setting: str
    generator: str
    reference: str
    result: RatioEstimate | NoComparison
    agree: bool | None


def generator_agreements(
    suite: Suite, trials: Collection[Trial], rigs: Sequence[str], by_rig: ResultsByRig
) -> tuple[GeneratorAgreement, ...]:
    """Return one for each contender, rig and pair of load generators with otherwise equal trials.

    Raises nothing: where there are too few blocks, the result says so.
    """
    by_question: dict[Trial, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: _order(suite, trial)):
        if trial.load.kind is LoadKind.CLOSED and not trial.aa_control:
            by_question.setdefault(_without_generator(trial), []).append(trial)
    return tuple(
        _agreement(reference, other, rig, by_rig)
        for of_question in by_question.values()
        for reference, other in combinations(of_question, 2)
        for rig in rigs
    )


def _order(suite: Suite, trial: Trial) -> tuple[int, int]:
    return suite.contenders.index(trial.contender), suite.loads.index(trial.load)


def _without_generator(trial: Trial) -> Trial:
    return trial.model_copy(update={"load": trial.load.model_copy(update={"generator": ""})})


def _agreement(
    reference: Trial, other: Trial, rig: str, by_rig: ResultsByRig
) -> GeneratorAgreement:
    values = [
        {rig: samples.by_block(samples.usable_results(results), Metric.THROUGHPUT)}
        for results in (by_rig[rig].get(trial.id, ()) for trial in (other, reference))
    ]
    result = paired_ratio(*values)
    return GeneratorAgreement(
        rig=rig,
        label=reference.label,
        setting=reference.setting.label,
        generator=other.load.generator,
        reference=reference.load.generator,
        result=result,
        agree=_agree(result),
    )


def _agree(result: RatioEstimate | NoComparison) -> bool | None:
    if isinstance(result, NoComparison):
        return None
    low, high = result.interval.low, result.interval.high
    if low >= 1 - MARGIN and high <= 1 + MARGIN:
        return True
    return False if high < 1 - MARGIN or low > 1 + MARGIN else None
