"""Which samples of a series count, and how much each thing grew within them."""

from collections.abc import Sequence
from typing import NamedTuple

from fwbench.collection.telemetry_file import TelemetryFile


class TimeWindow(NamedTuple):
    """From when until when a load was measured, in epoch seconds by the host's own clock."""

    start_s: float
    end_s: float


def sample_range(times: Sequence[float], window: TimeWindow, interval_s: float) -> tuple[int, int]:
    """The first and the last sample that count."""
    inside = [at for at, time in enumerate(times) if window.start_s <= time <= window.end_s]
    if len(inside) >= 2 and times[inside[-1]] - times[inside[0]] >= 2 * interval_s:
        return inside[0], inside[-1]
    before = [at for at, time in enumerate(times) if time <= window.start_s]
    after = [at for at, time in enumerate(times) if time >= window.end_s]
    first, last = max(before, default=0), min(after, default=len(times) - 1)
    return (first, last) if last > first else (0, len(times) - 1)


class SampleWindow:
    """The samples that count, and how much each thing grew between their first and last."""

    def __init__(self, raw: TelemetryFile, first: int, last: int) -> None:
        self.raw, self.first, self.last = raw, first, last
        self.period_s = raw.after.monotonic_s - raw.before.monotonic_s
        self.seconds = self.delta("monotonic_s") or 0.0

    @property
    def samples(self) -> int:
        """How many."""
        return self.last - self.first + 1

    def at_end(self, name: str) -> float | None:
        """What the last of them says."""
        return self.raw.series.get(name, [None] * (self.last + 1))[self.last]

    def delta(self, name: str) -> float | None:
        """By how much; None where one end is unknown, or where a counter went back."""
        column = self.raw.series.get(name)
        if column is None:
            return None
        before, after = column[self.first], column[self.last]
        return None if before is None or after is None or after < before else after - before

    def cores(self, name: str, per_s: float) -> float | None:
        """How many CPUs were busy with it; of its unit there are `per_s` in a second of CPU."""
        grown = self.delta(name)
        return None if grown is None else grown / per_s / self.seconds
