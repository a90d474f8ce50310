"""The section about host sizes: what each size serves, what that costs, how sizes compare."""

from collections.abc import Callable, Iterator, Sequence

from fwbench.model.fingerprint import Difference
from fwbench.model.preset import Preset
from fwbench.report.formatting import (
    NO_VALUE,
    WIDTH,
    counted,
    format_duration,
    format_rounded,
    one_line,
    wrap,
)
from fwbench.report.session.claims import METRIC_NAME
from fwbench.report.session.tables import NAME_WIDTH, Table, fit_name, format_table
from fwbench.stats.estimate import ValueWithInterval
from fwbench.stats.hardware_groups import HardwareGroup, other_differences
from fwbench.stats.outcomes import JudgedSizeRatio
from fwbench.stats.ratios import NoComparison, Replicate
from fwbench.stats.samples import Metric
from fwbench.stats.sizes import SizeCell, SizeComparison, SizeTable
from fwbench.stats.summary import Summary

_PRICE_VARIABLE = "fwbench_price_per_hour"


def has_sizes(summary: Summary) -> bool:
    """Return whether the session has several sizes, or a price."""
    priced = any(group.price_per_hour is not None for group in summary.hardware_groups)
    return len(summary.hardware_groups) > 1 or priced


def size_lines(summary: Summary) -> Iterator[str]:
    """Return the section of a page of text about sizes; nothing for one size of unknown price."""
    if not has_sizes(summary):
        return
    title = size_title(summary)
    about = (wrap(sentence, hanging="  ") for sentence in size_sentences(summary))
    yield "\n".join([title, "-" * len(title), *about])
    for table in summary.size_tables:
        yield wrap(f"Endpoint {table.label}")
        yield _table(summary.hardware_groups, table)
        if table.comparisons:
            yield "\n".join(wrap(each, hanging="  ") for each in size_comparisons(table))


def size_title(summary: Summary) -> str:
    """Return the title of the section: sizes that are no instance types have made-up names."""
    typed = all(group.instance_type is not None for group in summary.hardware_groups)
    return "By instance type" if typed else "By size"


def size_comparisons(table: SizeTable) -> Iterator[str]:
    """Return a sentence for each hardware group compared with the first."""
    return (_comparison(comparison, table.metric) for comparison in table.comparisons)


def size_sentences(summary: Summary) -> Iterator[str]:
    """Return what the sizes are, how they differ, and what their number and prices allow."""
    groups = summary.hardware_groups
    yield from map(_group, groups)
    for group in groups[1:]:
        differences = "; ".join(map(_difference, other_differences(group)))
        yield (
            f"{groups[0].name} and {group.name} differ in:"
            f" {differences or 'nothing but the name of the type'}."
        )
    yield from _replication(summary)
    yield from _prices(groups)
    if any(group.cpus is not None for group in groups) and any(
        setting.limits.cpus is not None for setting in summary.suite.settings
    ):
        yield (
            "`per CPU` and cost refer to the whole target, even if the container may use only a"
            " part."
        )


def _group(group: HardwareGroup) -> str:
    facts = [counted(len(group.rigs), "rig"), f"fingerprint {group.fingerprint}"]
    if group.cpus is not None:
        facts.insert(1, f"{group.cpus:g} CPU{'' if group.cpus == 1 else 's'}")
    if group.price_per_hour is not None:
        facts.append(f"{group.price_per_hour:g} per hour")
    return f"{group.name}: {', '.join(facts)}."


def _replication(summary: Summary) -> Iterator[str]:
    """Return what the number of rigs of each size does not allow to claim."""
    groups, preset = summary.hardware_groups, summary.suite.preset
    fewest = min(len(group.rigs) for group in groups)
    most = max(len(group.rigs) for group in groups)
    if fewest < 3 and preset is not Preset.SMOKE:
        each = counted(fewest, "rig") if fewest == most else f"{fewest} to {most} rigs"
        yield (
            f"With {each} of each size, the results hold for these machines only. Claims about a"
            " size need 3 rigs of each."
        )
    required = preset.min_rigs
    if fewest < required:
        too_few = (
            f"{group.name} has {len(group.rigs)}" for group in groups if len(group.rigs) < required
        )
        yield (f"The preset {preset} requires {required} rigs of each size: {', '.join(too_few)}.")


def _prices(groups: Sequence[HardwareGroup]) -> Iterator[str]:
    if any(group.price_per_hour is not None for group in groups):
        yield (
            f"Cost is the price of a million answers in the currency of {_PRICE_VARIABLE}. It"
            " includes the target, but not the clients."
        )
    several = [group.name for group in groups if group.several_prices]
    if several:
        yield f"No cost for {', '.join(several)}: its targets have different prices."
    unknown = [
        group.name for group in groups if group.price_per_hour is None and not group.several_prices
    ]
    if unknown:
        yield f"No cost for {', '.join(unknown)}: set {_PRICE_VARIABLE} for its targets."


def _difference(difference: Difference) -> str:
    return f"{difference.subject} ({difference.first} / {difference.second})"


def _table(groups: Sequence[HardwareGroup], table: SizeTable) -> str:
    """Return the table of `size_rows`, each row in two lines if the page is too narrow."""
    text = ""
    for separator, width in ((" ", NAME_WIDTH), ("\n", 12)):
        head, rows, alignment = size_rows(groups, table, separator)
        fitted = [
            [*(fit_name(one_line(name), width) for name in row[:3]), *row[3:]] for row in rows
        ]
        text = format_table(fitted, head, alignment)
        if max(map(len, text.splitlines())) <= WIDTH:
            break
    return text


def size_rows(groups: Sequence[HardwareGroup], table: SizeTable, separator: str = " ") -> Table:
    """Return a row for each contender and size.

    Three columns of names come first: contender, size and sample. `separator` stands between a
    value and its interval.
    """
    is_rate = table.metric.higher_is_better
    columns: list[tuple[str, Callable[[SizeCell], ValueWithInterval | None]]] = []
    if is_rate:
        columns.append(("per CPU", lambda cell: cell.per_cpu))
        if any(group.price_per_hour is not None for group in groups):
            columns.append(("cost of a million", lambda cell: cell.cost_per_million))
    head = ["contender", "size", "sample", _METRIC_HEADING[table.metric]]
    head += [heading for heading, _ in columns]
    format_value = format_rounded if is_rate else format_duration
    rows = [
        [
            *_names(cell),
            _value(cell, cell.value, format_value, separator),
            *(_value(cell, get(cell), _digits, separator) for _, get in columns),
        ]
        for cell in table.cells
    ]
    return Table(head, rows, "l" * len(head))


_METRIC_HEADING = {
    Metric.THROUGHPUT: "throughput per s",
    Metric.P99: "p99",
    Metric.HIGHEST_RATE: "highest rate per s",
}


def _names(cell: SizeCell) -> tuple[str, str, str]:
    by_rig = cell.replicate is Replicate.RIG
    sample = counted(cell.n, "rig") if by_rig else f"rig {', '.join(cell.rigs)}"
    return cell.contender, cell.size, sample


def _value(
    cell: SizeCell,
    value: ValueWithInterval | None,
    format_value: Callable[[float], str],
    separator: str,
) -> str:
    if value is None:
        return NO_VALUE
    if cell.bound is not None:
        return f"{cell.bound} {format_value(value.value)}"
    if value.interval is None:
        return format_value(value.value)
    low, high = format_value(value.interval.low), format_value(value.interval.high)
    return f"{format_value(value.value)}{separator}[{low}, {high}]"


def _digits(value: float) -> str:
    return (
        format_rounded(value) if value >= 1 else f"{value:.4f}" if value >= 0.01 else f"{value:.3g}"
    )


def _comparison(comparison: SizeComparison, metric: Metric) -> str:
    pair = f"{comparison.contender}, {comparison.size} / {comparison.reference_size}"
    result = comparison.result
    if isinstance(result, NoComparison):
        return f"{pair}: no ratio: {result.reason}"
    cost = (
        ""
        if result.cost_ratio is None
        else f", {_ratio(result.cost_ratio.value, result.cost_ratio)} cost"
    )
    ratio = _ratio(result.ratio, result)
    return f"{pair}: {ratio} {METRIC_NAME[metric]}{cost}: {result.outcome} ({_replicates(result)})"


def _ratio(value: float, estimate: JudgedSizeRatio | ValueWithInterval) -> str:
    interval = estimate.interval
    return f"{value:.3f} ×" + (
        "" if interval is None else f" [{interval.low:.3f}, {interval.high:.3f}]"
    )


def _replicates(result: JudgedSizeRatio) -> str:
    counts = f"{result.n} and {result.reference_n}"
    if result.replicate is Replicate.RIG:
        return f"{counts} rigs"
    several = "" if result.rigs == result.reference_rigs == 1 else " of several rigs"
    return f"{counts} blocks{several}; holds for these machines only"
