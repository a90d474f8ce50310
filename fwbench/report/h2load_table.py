"""Time for request and req/s per connection, as publications of h2load's output have them."""

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
    """Both for each contender of a setting on a rig, under h2load's own names."""
    rows: list[list[str]] = []
    repeated = False
    for name in names:
        found = [
            figures
            for record in records
            if record.run.rig == rig
            and record.run.trial.label == name
            and record.run.trial.setting == setting
            and (figures := _figures(record)) is not None
        ]
        repeated = repeated or len(found) > 1
        times = _cells([each.request_time_us for each in found], format_duration)
        rates = _cells([each.rate_per_connection for each in found], format_rate)
        rows += [[fit_name(name), "time for request", *times], ["", "req/s per connection", *rates]]
    over = ", the median of each figure over the contender's runs" if repeated else ""
    head = ["contender", "", "min", "max", "mean", "sd", "± sd"]
    return f"As h2load gives them{over}:\n\n{format_table(rows, head, 'llrrrrr')}"


def _figures(record: Record) -> LoadSummary | None:
    loaded = record.observation.load
    return loaded.summary if is_believed(record) and loaded is not None else None


def _cells(spreads: Sequence[SummaryStatistics], shown: Callable[[float], str]) -> list[str]:
    if not spreads:
        return [NO_VALUE] * 5
    values = [
        shown(statistics.median(getattr(spread, column) for spread in spreads))
        for column in ("min", "max", "mean", "sd")
    ]
    within = [each.within_sd_percent for each in spreads if each.within_sd_percent is not None]
    return [*values, format_percent(statistics.median(within)) if within else NO_VALUE]
