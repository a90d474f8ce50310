"""The tables and the comparisons of one section."""

import statistics
import textwrap
from collections.abc import Callable, Iterator, Sequence

from tabulate import tabulate

from fwbench.analyse.estimate import estimate
from fwbench.analyse.ratio import NoRatio, compare
from fwbench.analyse.sample import throughputs
from fwbench.model.figures import Spread
from fwbench.model.record import Record
from fwbench.model.suite import Suite
from fwbench.report.quantities import NONE, counted, duration, percent, rate, rounded, wrapped
from fwbench.report.section import Section

_NAME_WIDTH = 24


def as_h2load_gives_them(section: Section) -> str:
    """Time for request and req/s per connection of each contender, under h2load's own names."""
    rows: list[list[str]] = []
    for name in section.records:
        figures = section.figures(name)
        times = _cells([each.request_time_us for each in figures], duration)
        rates = _cells([each.rate_per_connection for each in figures], rate)
        rows += [[_name(name), "time for request", *times], ["", "req/s per connection", *rates]]
    repeated = any(len(section.figures(name)) > 1 for name in section.records)
    over = ", the median of each figure over the contender's runs" if repeated else ""
    table = _table(rows, ["contender", "", "min", "max", "mean", "sd", "± sd"], "llrrrrr")
    return f"As h2load gives them{over}:\n\n{table}"


def runs(section: Section) -> str:
    """Each contender's runs, throughput and verdict."""
    rows = [
        [
            _name(name),
            f"{len(section.believed(name))} of {len(records)}",
            _throughput(section.believed(name)),
            _verdict(records),
        ]
        for name, records in section.records.items()
    ]
    return _table(rows, ["contender", "runs used", "throughput per s", "verdict"], "lrll")


def comparisons(suite: Suite, section: Section) -> Iterator[str]:
    """A line for each contender beside the baseline: how much faster, or why nobody can say."""
    others = [name for name in suite.contenders if name != suite.baseline]
    if len(suite.contenders) == 1:
        return
    if suite.blocks == 1:
        yield "No comparison: one block. Repeat it (blocks: 10) to learn how sure a difference is."
    elif suite.baseline is None:
        yield "No comparison: the suite names no baseline."
    else:
        for name in others:
            comparison = _comparison(section.records[name], section.records[suite.baseline])
            yield wrapped(f"{name} / {suite.baseline}: {comparison}", hanging="  ")


def _comparison(contender: Sequence[Record], baseline: Sequence[Record]) -> str:
    found = compare(contender, baseline)
    left_out = f"; {counted(found.excluded_runs, 'invalid run')} left out"
    end = left_out if found.excluded_runs else ""
    if isinstance(found, NoRatio):
        return f"no ratio: {found.reason}{end}"
    low, high = found.interval.low, found.interval.high
    word = "" if found.shows_difference else ": no difference shown"
    return (
        f"{found.ratio:.2f} × [{low:.2f}, {high:.2f}], {found.blocks} blocks, 95 % interval"
        f"{word}{end}"
    )


def _cells(spreads: Sequence[Spread], shown: Callable[[float], str]) -> list[str]:
    if not spreads:
        return [NONE] * 5
    values = [
        shown(statistics.median(getattr(spread, column) for spread in spreads))
        for column in ("min", "max", "mean", "sd")
    ]
    return [*values, percent(statistics.median(spread.within_sd_percent for spread in spreads))]


def _throughput(believed: Sequence[Record]) -> str:
    found = estimate(throughputs(believed))
    if found is None:
        return NONE
    if found.interval is None:
        return rounded(found.mean)
    return f"{rounded(found.mean)} [{rounded(found.interval.low)}, {rounded(found.interval.high)}]"


def _verdict(records: Sequence[Record]) -> str:
    """The worst of the runs' verdicts, and how many have it."""
    words = [record.verdict.word for record in records]
    worst = next((word for word in ("invalid", "suspect") if word in words), None)
    if worst is not None:
        return f"{worst} ({words.count(worst)} of {len(words)})"
    return "valid" if words else "not executed yet"


def _name(name: str) -> str:
    return textwrap.fill(name, _NAME_WIDTH)


def _table(rows: Sequence[Sequence[str]], header: Sequence[str], alignment: str) -> str:
    sides = {"l": "left", "r": "right"}
    return tabulate(
        rows,
        headers=header,
        tablefmt="simple",
        colalign=[sides[letter] for letter in alignment],
        disable_numparse=True,
    )
