"""What each rig tells of a contender in a setting, in logarithms, so that sizes can be compared."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fwbench.model.setting import Setting
from fwbench.stats import samples
from fwbench.stats.run_result import RunResult
from fwbench.stats.samples import Metric


class RigValues(NamedTuple):
    """One logarithm a block: of what held, and of what was too high.

    But for a search both are the same. `upper` is None where a block held every rate tried, `lower`
    where one held none.
    """

    lower: tuple[float, ...] | None
    upper: tuple[float, ...] | None


Told = Mapping[str, RigValues]
"""By rig, of those that tell."""


def rig_values(results: Sequence[RunResult], setting: Setting) -> RigValues | None:
    """From the runs of one contender in one setting on one rig; None if these are too few."""
    if setting.load.search is None:
        values = samples.by_block(
            samples.usable_results(results), samples.metric(setting.load.kind)
        )
        logs = tuple(math.log(value) for value in values.values())
        return RigValues(logs, logs) if logs else None
    found = [] if samples.too_few(results) else samples.brackets(results)
    if not found:
        return None
    return RigValues(
        _all([one.passed and math.log(one.passed) for one in found]),
        _all([one.failed and math.log(one.failed) for one in found]),
    )


def rig_medians(told: Told, metric: Metric) -> RigValues:
    """One number for each rig: of p99s the median of its runs, of everything else the mean."""
    middle = statistics.median if metric is Metric.P99 else statistics.fmean
    return RigValues(
        _all([None if one.lower is None else middle(one.lower) for one in told.values()]),
        _all([None if one.upper is None else middle(one.upper) for one in told.values()]),
    )


def _all(values: Sequence[float | None]) -> tuple[float, ...] | None:
    """Every one of them; None where one is not known."""
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else None
