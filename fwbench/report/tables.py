"""The table of one group: a line for each trial."""

import textwrap
from collections.abc import Sequence

from tabulate import tabulate

from fwbench.model.load import LoadKind
from fwbench.report.formatting import NO_VALUE, format_duration, format_rounded
from fwbench.stats.estimate import Estimate, Interval
from fwbench.stats.search import HighestRate
from fwbench.stats.summary import ComparisonGroup, Latency, TrialSummary

NAME_WIDTH = 20


def trial_table(group: ComparisonGroup, *, given_up: bool) -> str:
    """Each contender's runs, what came out of them, and their verdict.

    `given_up`: what is not executed will not be. What a closed load, a fixed rate and a search give
    never share a column.
    """
    head, alignment = {
        LoadKind.CLOSED: (["throughput per s", "cv", "p50 *", "p99 *"], "lrrr"),
        LoadKind.FIXED_RATE: (["answers per s", "p50", "p99", "p99.9", "max"], "lrlrr"),
        LoadKind.SEARCH: (["highest rate per s"], "l"),
    }[group.load_kind]
    rows = [
        [
            fit_name(trial.label),
            f"{trial.used} of {trial.executed}",
            *_figures(group.load_kind, trial),
            _verdict(trial, given_up=given_up),
        ]
        for trial in group.trials
    ]
    return format_table(rows, ["contender", "runs used", *head, "verdict"], f"lr{alignment}l")


def _figures(kind: LoadKind, trial: TrialSummary) -> list[str]:
    if kind is LoadKind.SEARCH:
        return [_highest(trial.highest_rate)]
    p50, p99 = _latency(trial, "p50"), _latency(trial, "p99")
    if kind is LoadKind.CLOSED:
        return [_mean(trial.throughput), _variation(trial.throughput), p50, p99]
    answers = NO_VALUE if trial.throughput is None else format_rounded(trial.throughput.mean)
    p99 += _bounds(trial.latency.get("p99"))
    return [answers, p50, p99, _latency(trial, "p99_9"), _latency(trial, "max")]


def _mean(estimate: Estimate | None) -> str:
    if estimate is None:
        return NO_VALUE
    return format_rounded(estimate.mean) + format_interval(estimate.interval)


def format_interval(interval: Interval | None) -> str:
    """An interval of rates behind its middle; nothing where there is none."""
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


def _bounds(latency: Latency | None) -> str:
    if latency is None or latency.interval is None:
        return ""
    return f" [{format_duration(latency.interval.low)}, {format_duration(latency.interval.high)}]"


def _highest(found: HighestRate | None) -> str:
    if found is None or not found.brackets:
        return NO_VALUE
    if found.rate is not None:
        return format_rounded(found.rate) + format_interval(found.interval)
    if found.at_least is not None:
        return f"at least {format_rounded(found.at_least)}"
    if found.below is not None:
        return f"below {format_rounded(found.below)}"
    return "beyond both ends of the range"


def _verdict(trial: TrialSummary, *, given_up: bool) -> str:
    """The worst of the runs' verdicts, and how many have it."""
    if not trial.executed:
        return "not executed" if given_up else "not executed yet"
    for word, number in (("invalid", trial.invalid), ("suspect", trial.suspect)):
        if number:
            return f"{word} ({number})"
    return "valid"


def fit_name(name: str, width: int = NAME_WIDTH) -> str:
    """A contender's name within its column."""
    return textwrap.fill(name, width)


def format_table(rows: Sequence[Sequence[str]], header: Sequence[str], alignment: str) -> str:
    """Text in columns, each aligned to the left (l) or to the right (r)."""
    sides = {"l": "left", "r": "right"}
    return tabulate(
        rows,
        headers=header,
        tablefmt="simple",
        colalign=[sides[letter] for letter in alignment],
        disable_numparse=True,
    )
