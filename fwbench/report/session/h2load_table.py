"""The table of h2load's own figures, for comparison with other publications."""

import statistics
from collections.abc import Callable, Mapping, Sequence

from fwbench.model.figures import SummaryStatistics
from fwbench.report.formatting import NO_VALUE, format_duration, format_percent, format_rate
from fwbench.report.session.tables import fit_name, format_table
from fwbench.stats.run_result import RunResult


def h2load_table(results: Mapping[str, Sequence[RunResult]]) -> str:
    """Return request times and rates per connection of the contenders of a setting on a rig.

    `results` are those of each contender, by its label.
    """
    rows: list[list[str]] = []
    repeated = False
    for name, of_contender in results.items():
        times = [r.request_time_us for r in of_contender if r.request_time_us is not None]
        rates = [r.rate_per_connection for r in of_contender if r.rate_per_connection is not None]
        repeated = repeated or len(times) > 1
        rows += [
            [fit_name(name), "time for request", *_cells(times, format_duration)],
            ["", "req/s per connection", *_cells(rates, format_rate)],
        ]
    median = "; each figure is the median over the contender's runs" if repeated else ""
    head = ["contender", "", "min", "max", "mean", "sd", "± sd"]
    return f"Figures printed by h2load{median}:\n\n{format_table(rows, head, 'llrrrrr')}"


def _cells(
    statistics_of_runs: Sequence[SummaryStatistics], format_value: Callable[[float], str]
) -> list[str]:
    if not statistics_of_runs:
        return [NO_VALUE] * 5
    values = [
        format_value(statistics.median(getattr(run, column) for run in statistics_of_runs))
        for column in ("min", "max", "mean", "sd")
    ]
    within = [
        run.within_sd_percent for run in statistics_of_runs if run.within_sd_percent is not None
    ]
    return [*values, format_percent(statistics.median(within)) if within else NO_VALUE]
