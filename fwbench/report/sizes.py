"""Contender × size: what each size serves, what that costs, and how sizes compare."""

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
from fwbench.report.tables import NAME_WIDTH, fit_name, format_table
from fwbench.stats.cells import SizeCell, ValueWithInterval
from fwbench.stats.compare import NoComparison, Outcome, Replicate
from fwbench.stats.hardware_groups import HardwareGroup, other_differences
from fwbench.stats.samples import Metric
from fwbench.stats.size_ratios import JudgedSizeRatio
from fwbench.stats.sizes import SizeComparison, SizeTable
from fwbench.stats.summary import Summary

_VARIABLE = "fwbench_price_per_hour"


def has_sizes(summary: Summary) -> bool:
    """Whether there is anything to say: several sizes, or a price."""
    priced = any(kind.price_per_hour is not None for kind in summary.hardware_groups)
    return len(summary.hardware_groups) > 1 or priced


def size_lines(summary: Summary) -> Iterator[str]:
    """The section about sizes; nothing where there is one size of unknown price."""
    kinds = summary.hardware_groups
    if not has_sizes(summary):
        return
    typed = all(kind.instance_type is not None for kind in kinds)
    title = "By instance type" if typed else "By size"
    yield "\n".join([title, "-" * len(title), *_about(summary)])
    for one in summary.size_tables:
        yield wrap(f"Endpoint {one.label}")
        yield _table(kinds, one)
        if one.comparisons:
            yield "\n".join(
                wrap(_compared(each, one.metric), hanging="  ") for each in one.comparisons
            )


def _about(summary: Summary) -> Iterator[str]:
    kinds = summary.hardware_groups
    for kind in kinds:
        has = [counted(len(kind.rigs), "rig"), f"fingerprint {kind.fingerprint}"]
        if kind.cpus is not None:
            has.insert(1, f"{kind.cpus:g} CPU{'' if kind.cpus == 1 else 's'}")
        if kind.price_per_hour is not None:
            has.append(f"{kind.price_per_hour:g} an hour")
        yield wrap(f"{kind.name}: {', '.join(has)}.", hanging="  ")
    for kind in kinds[1:]:
        differs = "; ".join(map(_differs, other_differences(kind))) or "nothing but the type's name"
        yield wrap(f"{kinds[0].name} and {kind.name} differ in: {differs}.", hanging="  ")
    fewest = min(len(kind.rigs) for kind in kinds)
    most = max(len(kind.rigs) for kind in kinds)
    if fewest < 3 and summary.suite.preset is not Preset.SMOKE:
        each = counted(fewest, "rig") if fewest == most else f"{fewest} to {most} rigs"
        yield wrap(
            f"These machines alone: {each} of each size. What holds for a size takes 3 of each."
        )
    wanted = summary.suite.preset.min_rigs
    if fewest < wanted:
        short = (f"{kind.name} has {len(kind.rigs)}" for kind in kinds if len(kind.rigs) < wanted)
        yield wrap(
            f"The preset {summary.suite.preset} means {wanted} rigs of a kind: {', '.join(short)}."
        )
    yield from _prices(kinds)
    if any(kind.cpus is not None for kind in kinds) and any(
        setting.limits.cpus is not None for setting in summary.suite.settings
    ):
        yield wrap(
            "Per CPU and cost are of the whole target, whatever share of it a container may use."
        )


def _prices(kinds: Sequence[HardwareGroup]) -> Iterator[str]:
    if any(kind.price_per_hour is not None for kind in kinds):
        yield wrap(
            f"Cost is that of a million answers in the currency of {_VARIABLE}, by the target's"
            " price alone: clients are not in it."
        )
    several = [kind.name for kind in kinds if kind.several_prices]
    if several:
        yield wrap(f"No cost of {', '.join(several)}: its targets have several prices.")
    unknown = [
        kind.name for kind in kinds if kind.price_per_hour is None and not kind.several_prices
    ]
    if unknown:
        yield wrap(f"No cost of {', '.join(unknown)}: {_VARIABLE} of its targets would give it.")


def _differs(one: Difference) -> str:
    return f"{one.subject} ({one.first} / {one.second})"


def _table(kinds: Sequence[HardwareGroup], one: SizeTable) -> str:
    """A line for each contender and size, of several lines where the page is too narrow."""
    counts = one.metric.higher_is_better
    head = ["contender", "size", "over", _METRIC[one.metric]]
    columns: list[tuple[str, Callable[[SizeCell], ValueWithInterval | None]]] = []
    if counts:
        columns.append(("per CPU", lambda cell: cell.per_cpu))
        if any(kind.price_per_hour is not None for kind in kinds):
            columns.append(("cost of a million", lambda cell: cell.per_million))
    head += [name for name, _ in columns]
    shown = format_rounded if counts else format_duration
    text = ""
    for between, width in ((" ", NAME_WIDTH), ("\n", 12)):
        rows = [
            [
                *(fit_name(one_line(name), width) for name in _names(cell)),
                _figure(cell, cell.value, shown, between),
                *(_figure(cell, of(cell), _digits, between) for _, of in columns),
            ]
            for cell in one.cells
        ]
        text = format_table(rows, head, "l" * len(head))
        if max(map(len, text.splitlines())) <= WIDTH:
            break
    return text


_METRIC = {
    Metric.THROUGHPUT: "throughput per s",
    Metric.P99: "p99",
    Metric.HIGHEST_RATE: "highest rate per s",
}


def _names(cell: SizeCell) -> tuple[str, str, str]:
    over = counted(cell.n, "rig") if cell.unit is Replicate.RIG else f"rig {', '.join(cell.rigs)}"
    return cell.contender, cell.size, over


def _figure(
    cell: SizeCell, figure: ValueWithInterval | None, shown: Callable[[float], str], between: str
) -> str:
    if figure is None:
        return NO_VALUE
    if cell.bound is not None:
        return f"{cell.bound} {shown(figure.value)}"
    if figure.interval is None:
        return shown(figure.value)
    ends = figure.interval
    return f"{shown(figure.value)}{between}[{shown(ends.low)}, {shown(ends.high)}]"


def _digits(value: float) -> str:
    return (
        format_rounded(value) if value >= 1 else f"{value:.4f}" if value >= 0.01 else f"{value:.3g}"
    )


def _compared(one: SizeComparison, metric: Metric) -> str:
    pair = f"{one.contender}, {one.size} / {one.beside}"
    result = one.result
    if isinstance(result, NoComparison):
        return f"{pair}: no ratio: {result.reason}"
    said = f"{pair}: {_ratio(result.ratio, result)} the {_RATIO[metric]}: {_word(result.outcome)}"
    if result.cost is not None:
        said += f", at {_ratio(result.cost.value, result.cost)} the cost"
    return f"{said}; {_units(result)}"


_RATIO = {
    Metric.THROUGHPUT: "throughput",
    Metric.P99: "p99",
    Metric.HIGHEST_RATE: "highest rate",
}


def _ratio(value: float, of: JudgedSizeRatio | ValueWithInterval) -> str:
    ends = of.interval
    return f"{value:.3f} ×" + ("" if ends is None else f" [{ends.low:.3f}, {ends.high:.3f}]")


def _word(word: Outcome) -> str:
    return "no difference shown" if word is Outcome.INCONCLUSIVE else str(word)


def _units(result: JudgedSizeRatio) -> str:
    counts = f"{result.n} and {result.n_beside}"
    if result.unit is Replicate.RIG:
        return f"{counts} rigs"
    of = "" if result.rigs == result.rigs_beside == 1 else " of several rigs"
    return f"{counts} blocks{of}, of these machines alone"
