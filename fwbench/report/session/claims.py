"""The outcome of each comparison, one line for each."""

from collections.abc import Iterator
from typing import NamedTuple

from fwbench.model.preset import Preset
from fwbench.model.suite import Suite
from fwbench.report.formatting import counted, percent, wrap
from fwbench.stats.application import FrameworkPart, FrameworkTime, request_saving, request_speedup
from fwbench.stats.estimate import Interval
from fwbench.stats.outcomes import Comparison, Outcome
from fwbench.stats.ratios import NoComparison, RatioEstimate, Replicate
from fwbench.stats.samples import Metric
from fwbench.stats.summary import ComparisonGroup, ContenderComparison


class Claim(NamedTuple):
    """A sentence about a comparison; `is_detail` if it belongs to the sentence before."""

    sentence: str
    is_detail: bool = False


def comparison_lines(
    suite: Suite, group: ComparisonGroup, framework_share: FrameworkPart | None
) -> Iterator[str]:
    """Return the sentences of `comparison_claims`, wrapped to a page of text."""
    for sentence, is_detail in comparison_claims(suite, group, framework_share):
        yield wrap(sentence, "  ", "    ") if is_detail else wrap(sentence, hanging="  ")


def comparison_claims(
    suite: Suite, group: ComparisonGroup, framework_share: FrameworkPart | None
) -> Iterator[Claim]:
    """Return one for each contender compared with the baseline, then one for the noise floor."""
    if len(suite.contenders) == 1 and group.noise_floor is None:
        return
    if (reason := reason_for_no_comparison(suite)) is not None:
        yield Claim(f"No comparison: {reason}.")
    else:
        for comparison in group.comparisons:
            yield Claim(f"{_pair(comparison)}: {_outcome(comparison)}")
            if framework_share is not None and isinstance(comparison.result, RatioEstimate):
                effect = _request_effect(comparison.metric, comparison.result, framework_share)
                yield Claim(effect, is_detail=True)
    if group.noise_floor is not None:
        yield Claim(_noise_floor(group.noise_floor))


def reason_for_no_comparison(suite: Suite) -> str | None:
    """Return why a suite of several contenders compares none; None if it does."""
    if suite.preset is Preset.SMOKE:
        blocks = counted(suite.blocks, "block")
        return f"a smoke test of {blocks} only shows that everything works"
    return "the suite names no baseline" if suite.baseline is None else None


def _pair(comparison: ContenderComparison) -> str:
    return f"{comparison.label} / {comparison.baseline}"


def _outcome(comparison: ContenderComparison) -> str:
    """Return `1.52 × [1.36, 1.70] throughput: faster (5 blocks)`, or why there is no ratio."""
    result = comparison.result
    if isinstance(result, NoComparison):
        return f"no ratio: {result.reason}{_details(_exclusions(comparison))}"
    details = [_replicates(result), *_exclusions(comparison)]
    text = ratio_of_metric(comparison.metric, result)
    if isinstance(result, Comparison):
        text += f": {_word(result)}"
        if result.outcome is Outcome.INCONCLUSIVE:
            details.insert(0, f"could have detected {percent(result.detectable_ratio - 1, 1)}")
    elif comparison.no_claim_reason is not None:
        text += f": no claim, because {comparison.no_claim_reason}"
    return text + _details(details)


def _exclusions(comparison: ContenderComparison) -> list[str]:
    runs = comparison.excluded_runs
    return [
        *([f"{counted(runs, 'invalid run')} not used"] if runs else []),
        *(f"without rig {rig_and_reason}" for rig_and_reason in comparison.excluded_rigs),
    ]


def _details(details: list[str]) -> str:
    return f" ({'; '.join(details)})" if details else ""


def _word(comparison: Comparison) -> str:
    if comparison.outcome is Outcome.EQUIVALENT:
        return f"equivalent within {percent(comparison.margin)}"
    if comparison.outcome is Outcome.INCONCLUSIVE and comparison.below_noise_floor:
        return "inconclusive, not beyond the noise floor"
    return str(comparison.outcome)


def format_ratio(estimate: RatioEstimate) -> str:
    """Return `1.522 × [1.360, 1.703]`: the ratio with its 95 % interval."""
    low, high = _digits(estimate.interval.low), _digits(estimate.interval.high)
    return f"{_digits(estimate.ratio)} × [{low}, {high}]"


def ratio_of_metric(metric: Metric, estimate: RatioEstimate) -> str:
    """Return `1.522 × [1.360, 1.703] throughput`."""
    return f"{format_ratio(estimate)} {METRIC_NAME[metric]}"


def _digits(ratio: float) -> str:
    return f"{ratio:.3f}" if ratio < 10 else f"{ratio:.4g}"


METRIC_NAME = {
    Metric.THROUGHPUT: "throughput",
    Metric.P99: "p99",
    Metric.HIGHEST_RATE: "highest rate",
}


def _replicates(estimate: RatioEstimate) -> str:
    return counted(estimate.n, "rig" if estimate.replicate is Replicate.RIG else "block")


def _noise_floor(comparison: ContenderComparison) -> str:
    result = comparison.result
    if isinstance(result, NoComparison):
        exclusions = _details(_exclusions(comparison))
        return f"{_pair(comparison)} (A/A control): no ratio: {result.reason}{exclusions}"
    details = _details([_replicates(result), *_exclusions(comparison)])
    text = (
        f"{_pair(comparison)} (A/A control): {ratio_of_metric(comparison.metric, result)}:"
        f" noise floor{details}"
    )
    if not result.interval.low <= 1 <= result.interval.high:
        text += "; its interval excludes 1, so do not trust small differences in this session"
    return text


def _request_effect(metric: Metric, estimate: RatioEstimate, framework_share: FrameworkPart) -> str:
    """Return the effect on a whole request; a ratio of latencies is inverted first."""
    ratio, interval = estimate.ratio, estimate.interval
    if not metric.higher_is_better:
        ratio, interval = 1 / ratio, Interval(low=1 / interval.high, high=1 / interval.low)
    if isinstance(framework_share, FrameworkTime):
        saving = request_saving(framework_share, ratio, interval)
        text = (
            f"a request that spends {framework_share.ms:g} ms in the framework:"
            f" {saving.ms:.2g} ms less"
            f" [{saving.interval.low:.2g}, {saving.interval.high:.2g}]"
        )
    else:
        request = request_speedup(framework_share, ratio, interval)
        text = (
            f"a request that spends {percent(framework_share.share)} of its time in the framework:"
            f" {request.less_time_percent:.1f} % less time"
            f" [{request.less_time_interval.low:.1f}, {request.less_time_interval.high:.1f}],"
            f" {request.speedup:.3f} times as fast"
            f" [{request.speedup_interval.low:.3f}, {request.speedup_interval.high:.3f}]"
        )
    return text
