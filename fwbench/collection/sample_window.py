"""Selects the samples of the measured window, and computes changes over it."""

from collections.abc import Sequence
from typing import NamedTuple

from fwbench.collection.telemetry_file import TelemetryFile


class TimeWindow(NamedTuple):
    """The time in which a load was measured, in epoch seconds by the host's clock."""

    start_s: float
    end_s: float


def sample_range(times: Sequence[float], window: TimeWindow, interval_s: float) -> tuple[int, int]:
    """Return the indexes of the first and last sample in the window.

    If the window is shorter than two intervals, use the samples around it.
    """
    inside = [index for index, time in enumerate(times) if window.start_s <= time <= window.end_s]
    if len(inside) >= 2 and times[inside[-1]] - times[inside[0]] >= 2 * interval_s:
        return inside[0], inside[-1]
    before = [index for index, time in enumerate(times) if time <= window.start_s]
    after = [index for index, time in enumerate(times) if time >= window.end_s]
    first, last = max(before, default=0), min(after, default=len(times) - 1)
    return (first, last) if last > first else (0, len(times) - 1)


class SampleWindow:
    """The samples of the measured window, and the changes between its first and last."""

    def __init__(self, raw: TelemetryFile, first: int, last: int) -> None:
        self.raw, self.first, self.last = raw, first, last
        self.period_s = raw.after.monotonic_s - raw.before.monotonic_s
        self.seconds = self.delta("monotonic_s") or 0.0

    @property
    def samples(self) -> int:
        """Return the number of samples."""
        return self.last - self.first + 1

    def at_end(self, name: str) -> float | None:
        """Return the value of the last sample."""
        return self.raw.series.get(name, [None] * (self.last + 1))[self.last]

    def delta(self, name: str) -> float | None:
        """Return the change; None if an end is unknown or the counter decreased."""
        column = self.raw.series.get(name)
        if column is None:
            return None
        before, after = column[self.first], column[self.last]
        return None if before is None or after is None or after < before else after - before

    def cores(self, name: str, per_s: float) -> float | None:
        """Return a CPU time as a number of CPUs; `per_s` of its unit are a second."""
        change = self.delta(name)
        return None if change is None else change / per_s / self.seconds
