"""The table of one group: a row for each trial."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from tabulate import tabulate

from fwbench.loadgen.registry import generator_of
from fwbench.model.load import LoadKind
from fwbench.report.formatting import NO_VALUE, format_duration, format_rounded
from fwbench.stats.estimate import Estimate, Interval
from fwbench.stats.search import HighestRate
from fwbench.stats.summary import ComparisonGroup, Latency, TrialSummary

NAME_WIDTH = 20


class Table(NamedTuple):
    """The cells of a table; `alignment` has l (left) or r (right) for each column."""

    head: list[str]
    rows: list[list[str]]
    alignment: str


def trial_table(group: ComparisonGroup, *, quarantined: bool) -> str:
    """Return the table of `trial_rows` as text."""
    head, rows, alignment = trial_rows(group, quarantined=quarantined)
    return format_table([[fit_name(name), *cells] for name, *cells in rows], head, alignment)


def trial_rows(group: ComparisonGroup, *, quarantined: bool) -> Table:
    """Return the runs, results and verdict of each trial.

    `quarantined`: runs that were not executed yet never will be. The results of different kinds of
    load never share a column.
    """
    mark = "**" if correcting_generators([group]) else "*"
    head, alignment = {
        LoadKind.CLOSED: (["throughput per s", "cv", f"p50 {mark}", f"p99 {mark}"], "lrrr"),
        LoadKind.FIXED_RATE: (["answers per s", "p50", "p99", "p99.9", "max"], "lrlrr"),
        LoadKind.SEARCH: (["highest rate per s"], "l"),
    }[group.load_kind]
    rows = [
        [
            trial.label,
            f"{trial.used} of {trial.executed}",
            *_results(group.load_kind, trial),
            _verdict(trial, quarantined=quarantined),
        ]
        for trial in group.trials
    ]
    return Table(["contender", "runs used", *head, "verdict"], rows, f"lr{alignment}l")


def correcting_generators(groups: Sequence[ComparisonGroup]) -> list[str]:
    """Return the load generators of closed loads that correct their latencies themselves."""
    loads = [group.setting.load for group in groups if group.load_kind is LoadKind.CLOSED]
    found = [load.generator for load in loads if generator_of(load).corrects_latencies]
    return list(dict.fromkeys(found))


def _results(kind: LoadKind, trial: TrialSummary) -> list[str]:
    if kind is LoadKind.SEARCH:
        return [_highest_rate(trial.highest_rate)]
    p50, p99 = _latency(trial, "p50"), _latency(trial, "p99")
    if kind is LoadKind.CLOSED:
        return [_mean(trial.throughput), _variation(trial.throughput), p50, p99]
    answers = NO_VALUE if trial.throughput is None else format_rounded(trial.throughput.mean)
    p99 += _latency_interval(trial.latency.get("p99"))
    return [answers, p50, p99, _latency(trial, "p99_9"), _latency(trial, "max")]


def _mean(estimate: Estimate | None) -> str:
    if estimate is None:
        return NO_VALUE
    return format_rounded(estimate.mean) + format_interval(estimate.interval)


def format_interval(interval: Interval | None) -> str:
    """Return ` [low, high]` of an interval of rates, or nothing if there is none."""
    return (
        ""
        if interval is None
        else f" [{format_rounded(interval.low)}, {format_rounded(interval.high)}]"
    )


def _variation(estimate: Estimate | None) -> str:
    if estimate is None or estimate.coefficient_of_variation is None:
        return NO_VALUE
    return f"{estimate.coefficient_of_variation:.1%}"


def _latency(trial: TrialSummary, name: str) -> str:
    latency = trial.latency.get(name)
    return NO_VALUE if latency is None else format_duration(latency.median)


def _latency_interval(latency: Latency | None) -> str:
    if latency is None or latency.interval is None:
        return ""
    return f" [{format_duration(latency.interval.low)}, {format_duration(latency.interval.high)}]"


def _highest_rate(result: HighestRate | None) -> str:
    if result is None or not result.brackets:
        return NO_VALUE
    if result.rate is not None:
        return format_rounded(result.rate) + format_interval(result.interval)
    if result.at_least is not None:
        return f"at least {format_rounded(result.at_least)}"
    if result.below is not None:
        return f"below {format_rounded(result.below)}"
    return "beyond both ends of the range"


def _verdict(trial: TrialSummary, *, quarantined: bool) -> str:
    """Return the worst verdict of the runs, and how many runs have it."""
    if not trial.executed:
        return "not executed" if quarantined else "not executed yet"
    for verdict, runs in (("invalid", trial.invalid), ("suspect", trial.suspect)):
        if runs:
            return f"{verdict} ({runs})"
    return "valid"


def fit_name(name: str, width: int = NAME_WIDTH) -> str:
    """Return a name wrapped to its column."""
    return textwrap.fill(name, width)


def format_table(rows: Sequence[Sequence[str]], header: Sequence[str], alignment: str) -> str:
    """Return a table of text; `alignment` has l (left) or r (right) for each column."""
    sides = {"l": "left", "r": "right"}
    return tabulate(
        rows,
        headers=header,
        tablefmt="simple",
        colalign=[sides[letter] for letter in alignment],
        disable_numparse=True,
    )
