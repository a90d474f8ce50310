"""What may be said of contenders beside their baseline: a line for each, and what it is worth."""

from collections.abc import Iterator

from fwbench.model.suite import Preset, Suite
from fwbench.report.formatting import counted, wrapped
from fwbench.stats.application import Milliseconds, Serving, of_milliseconds, of_share
from fwbench.stats.compare import Comparison, NoComparison, Paired, Unit, Word
from fwbench.stats.estimate import Interval
from fwbench.stats.samples import Metric
from fwbench.stats.summary import Compared, Group


def claims(suite: Suite, group: Group, serving: Serving | None) -> Iterator[str]:
    """A line for each contender beside the baseline, under that of the noise floor."""
    if len(suite.contenders) == 1 and group.noise is None:
        return
    if suite.preset is Preset.SMOKE:
        blocks = counted(suite.blocks, "block")
        yield f"No comparison: a smoke test of {blocks} shows that everything works and no more."
    elif suite.baseline is None:
        yield "No comparison: the suite names no baseline."
    else:
        for one in group.comparisons:
            yield wrapped(f"{_pair(one)}: {_said(one)}", hanging="  ")
            if serving is not None and isinstance(one.result, Paired):
                yield from _application(one, one.result, serving)
    if group.noise is not None:
        yield from _noise(group.noise)


def _pair(one: Compared) -> str:
    return f"{one.name} / {one.baseline}"


def _said(one: Compared) -> str:
    left_out = f"; {counted(one.left_out, 'invalid run')} left out" if one.left_out else ""
    left_out += _without(one)
    if isinstance(one.result, NoComparison):
        return f"no ratio: {one.result.reason}{left_out}"
    said = f"{_ratio(one.result)} {_unit(one.metric)}"
    if isinstance(one.result, Comparison):
        said += f": {_word(one.result)}"
    elif one.unclaimed is not None:
        said += f": nothing is claimed, since {one.unclaimed}"
    return f"{said}; {_units(one.result)}{left_out}"


def _without(one: Compared) -> str:
    return "".join(f"; without rig {rig}" for rig in one.without)


def _word(comparison: Comparison) -> str:
    if comparison.word is Word.EQUAL:
        return f"equal within {comparison.margin:.0%}"
    if comparison.word is not Word.NOT_SHOWN:
        return str(comparison.word)
    could = f"could have seen {comparison.detectable - 1:.1%}"
    if comparison.below_noise_floor:
        return f"not shown, being no further from 1 than the noise ({could})"
    return f"not shown ({could})"


def _ratio(pair: Paired) -> str:
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


def _units(pair: Paired) -> str:
    return counted(pair.n, "rig" if pair.unit is Unit.RIG else "block")


def _noise(noise: Compared) -> Iterator[str]:
    result = noise.result
    if isinstance(result, NoComparison):
        yield wrapped(
            f"{_pair(noise)}, the same thing twice: no ratio: {result.reason}{_without(noise)}",
            hanging="  ",
        )
        return
    floor = f"{_pair(noise)}, the same thing twice: {_ratio(result)}, which is the noise floor"
    floor += _without(noise)
    if not result.interval.low <= 1 <= result.interval.high:
        floor += "; its interval leaves out 1, so believe no small difference in this session"
    yield wrapped(floor, hanging="  ")


def _application(one: Compared, pair: Paired, serving: Serving) -> Iterator[str]:
    """What it means to a whole request; a ratio of latencies is turned over first."""
    ratio, interval = pair.ratio, pair.interval
    if not one.metric.higher_is_better:
        ratio, interval = 1 / ratio, Interval(low=1 / interval.high, high=1 / interval.low)
    if isinstance(serving, Milliseconds):
        saved = of_milliseconds(serving, ratio, interval)
        yield wrapped(
            f"to a request in which serving takes {serving.ms:g} ms: {saved.ms:.2g} ms less"
            f" [{saved.interval.low:.2g}, {saved.interval.high:.2g}]",
            indent="  ",
            hanging="    ",
        )
        return
    whole = of_share(serving, ratio, interval)
    yield wrapped(
        f"to an application that spends {serving.share:.0%} of a request on serving:"
        f" {whole.less_time_percent:.1f} % less time"
        f" [{whole.less_time_interval.low:.1f}, {whole.less_time_interval.high:.1f}],"
        f" {whole.speedup:.3f} times as fast"
        f" [{whole.speedup_interval.low:.3f}, {whole.speedup_interval.high:.3f}]",
        indent="  ",
        hanging="    ",
    )
