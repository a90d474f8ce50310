"""What may be said of contenders beside their baseline: a line for each, and what it is worth."""

from collections.abc import Iterator

from fwbench.model.preset import Preset
from fwbench.model.suite import Suite
from fwbench.report.formatting import counted, wrap
from fwbench.stats.application import FrameworkPart, FrameworkTime, request_saving, request_speedup
from fwbench.stats.compare import Comparison, NoComparison, Outcome, RatioEstimate, Replicate
from fwbench.stats.estimate import Interval
from fwbench.stats.samples import Metric
from fwbench.stats.summary import ComparisonGroup, ContenderComparison


def comparison_lines(
    suite: Suite, group: ComparisonGroup, framework_share: FrameworkPart | None
) -> Iterator[str]:
    """A line for each contender beside the baseline, under that of the noise floor."""
    if len(suite.contenders) == 1 and group.noise_floor is None:
        return
    if suite.preset is Preset.SMOKE:
        blocks = counted(suite.blocks, "block")
        yield f"No comparison: a smoke test of {blocks} shows that everything works and no more."
    elif suite.baseline is None:
        yield "No comparison: the suite names no baseline."
    else:
        for one in group.comparisons:
            yield wrap(f"{_pair(one)}: {_said(one)}", hanging="  ")
            if framework_share is not None and isinstance(one.result, RatioEstimate):
                yield from _application(one, one.result, framework_share)
    if group.noise_floor is not None:
        yield from _noise(group.noise_floor)


def _pair(one: ContenderComparison) -> str:
    return f"{one.label} / {one.baseline}"


def _said(one: ContenderComparison) -> str:
    left_out = (
        f"; {counted(one.excluded_runs, 'invalid run')} left out" if one.excluded_runs else ""
    )
    left_out += _without(one)
    if isinstance(one.result, NoComparison):
        return f"no ratio: {one.result.reason}{left_out}"
    said = f"{_ratio(one.result)} {_unit(one.metric)}"
    if isinstance(one.result, Comparison):
        said += f": {_word(one.result)}"
    elif one.no_claim_reason is not None:
        said += f": nothing is claimed, since {one.no_claim_reason}"
    return f"{said}; {_units(one.result)}{left_out}"


def _without(one: ContenderComparison) -> str:
    return "".join(f"; without rig {rig}" for rig in one.excluded_rigs)


def _word(comparison: Comparison) -> str:
    if comparison.outcome is Outcome.EQUIVALENT:
        return f"equivalent within {comparison.margin:.0%}"
    if comparison.outcome is not Outcome.INCONCLUSIVE:
        return str(comparison.outcome)
    could = f"could have seen {comparison.detectable - 1:.1%}"
    if comparison.below_noise_floor:
        return f"inconclusive, being no further from 1 than the noise ({could})"
    return f"inconclusive ({could})"


def _ratio(pair: RatioEstimate) -> str:
    low, high = _digits(pair.interval.low), _digits(pair.interval.high)
    return f"{_digits(pair.ratio)} × [{low}, {high}]"


def _digits(ratio: float) -> str:
    return f"{ratio:.3f}" if ratio < 10 else f"{ratio:.4g}"


def _unit(metric: Metric) -> str:
    return {
        Metric.THROUGHPUT: "the throughput",
        Metric.P99: "the p99",
        Metric.HIGHEST_RATE: "the highest rate",
    }[metric]


def _units(pair: RatioEstimate) -> str:
    return counted(pair.n, "rig" if pair.unit is Replicate.RIG else "block")


def _noise(noise: ContenderComparison) -> Iterator[str]:
    result = noise.result
    if isinstance(result, NoComparison):
        yield wrap(
            f"{_pair(noise)}, the same thing twice: no ratio: {result.reason}{_without(noise)}",
            hanging="  ",
        )
        return
    floor = f"{_pair(noise)}, the same thing twice: {_ratio(result)}, which is the noise floor"
    floor += _without(noise)
    if not result.interval.low <= 1 <= result.interval.high:
        floor += "; its interval leaves out 1, so believe no small difference in this session"
    yield wrap(floor, hanging="  ")


def _application(
    one: ContenderComparison, pair: RatioEstimate, framework_share: FrameworkPart
) -> Iterator[str]:
    """What it means to a whole request; a ratio of latencies is turned over first."""
    ratio, interval = pair.ratio, pair.interval
    if not one.metric.higher_is_better:
        ratio, interval = 1 / ratio, Interval(low=1 / interval.high, high=1 / interval.low)
    if isinstance(framework_share, FrameworkTime):
        saved = request_saving(framework_share, ratio, interval)
        yield wrap(
            f"to a request in which the framework takes {framework_share.ms:g} ms:"
            f" {saved.ms:.2g} ms less"
            f" [{saved.interval.low:.2g}, {saved.interval.high:.2g}]",
            indent="  ",
            hanging="    ",
        )
        return
    whole = request_speedup(framework_share, ratio, interval)
    yield wrap(
        f"to an application that spends {framework_share.share:.0%} of a request in the framework:"
        f" {whole.less_time_percent:.1f} % less time"
        f" [{whole.less_time_interval.low:.1f}, {whole.less_time_interval.high:.1f}],"
        f" {whole.speedup:.3f} times as fast"
        f" [{whole.speedup_interval.low:.3f}, {whole.speedup_interval.high:.3f}]",
        indent="  ",
        hanging="    ",
    )
