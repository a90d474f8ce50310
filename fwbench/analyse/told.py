"""What each rig tells of a contender in a setting, in logarithms, so that sizes can be compared."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fwbench.analyse import samples
from fwbench.analyse.samples import Metric
from fwbench.analyse.search import highest_rate
from fwbench.model.record import Record
from fwbench.model.setting import Setting


class OfRig(NamedTuple):
    """One logarithm a block: of what held, and of what was too high.

    But for a search both are the same. `upper` is None where a block held every rate tried.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...] | None


Told = Mapping[str, OfRig]
"""By rig, of those that tell."""


def of_rig(records: Sequence[Record], setting: Setting) -> OfRig | None:
    """From the runs of one contender in one setting on one rig; None if they do not tell.

    Of a search, that is where a block held no rate at all: it lies below what can be told.
    """
    if setting.load.search is None:
        values = samples.by_block(samples.believed(records), samples.metric(setting.load.kind))
        logs = tuple(math.log(value) for value in values.values())
        return OfRig(logs, logs) if logs else None
    found = highest_rate(setting.load.search, samples.steps(records, setting.load.search))
    lower = tuple(math.log(one.held) for one in found.brackets if one.held is not None)
    upper = tuple(math.log(one.too_high) for one in found.brackets if one.too_high is not None)
    if found.rate is None:
        return None
    return OfRig(lower, upper if len(upper) == len(lower) else None)


def middles(told: Told, metric: Metric) -> OfRig:
    """One number for each rig: of p99s the median of its runs, of everything else the mean."""
    middle = statistics.median if metric is Metric.P99 else statistics.fmean
    lower = tuple(middle(one.lower) for one in told.values())
    upper = tuple(middle(one.upper) for one in told.values() if one.upper is not None)
    return OfRig(lower, upper if len(upper) == len(lower) else None)
