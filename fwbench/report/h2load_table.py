"""The table of h2load's own figures, for comparison with other publications."""

import statistics
from collections.abc import Callable, Sequence

from fwbench.model.figures import LoadSummary, SummaryStatistics
from fwbench.model.record import Record
from fwbench.model.setting import Setting
from fwbench.report.formatting import NO_VALUE, format_duration, format_percent, format_rate
from fwbench.report.tables import fit_name, format_table
from fwbench.stats.samples import is_believed


def h2load_table(
    setting: Setting, names: Sequence[str], rig: str, records: Sequence[Record]
) -> str:
    """Return request times and rates per connection of the contenders of a setting on a rig."""
    rows: list[list[str]] = []
    repeated = False
    for name in names:
        summaries = [
            summary
            for record in records
            if record.run.rig == rig
            and record.run.trial.label == name
            and record.run.trial.setting == setting
            and (summary := _summary(record)) is not None
        ]
        repeated = repeated or len(summaries) > 1
        times = _cells([summary.request_time_us for summary in summaries], format_duration)
        rates = _cells([summary.rate_per_connection for summary in summaries], format_rate)
        rows += [[fit_name(name), "time for request", *times], ["", "req/s per connection", *rates]]
    median = "; each figure is the median over the contender's runs" if repeated else ""
    head = ["contender", "", "min", "max", "mean", "sd", "± sd"]
    return f"Figures printed by h2load{median}:\n\n{format_table(rows, head, 'llrrrrr')}"


def _summary(record: Record) -> LoadSummary | None:
    result = record.observation.load
    return result.summary if is_believed(record) and result is not None else None


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
