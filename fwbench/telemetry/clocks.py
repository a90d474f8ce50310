"""How far two hosts' clocks are apart."""

from fwbench.model.base import Frozen
from fwbench.model.telemetry import ClockOffset
from fwbench.telemetry.form import Number


class ClockReading(Frozen):
    """What a host's clock showed, and when the driver asked and was answered by its own clock."""

    asked_s: Number
    told_s: Number
    answered_s: Number


def clock_offset(target: ClockReading, client: ClockReading) -> ClockOffset:
    """By how much the client's clock is ahead; each reading may be off by half its round trip."""
    trips_s = sum(reading.answered_s - reading.asked_s for reading in (client, target))
    return ClockOffset(
        client_minus_target_s=_ahead_s(client) - _ahead_s(target),
        uncertainty_s=max(0.0, trips_s / 2),
    )


def _ahead_s(reading: ClockReading) -> float:
    return reading.told_s - (reading.asked_s + reading.answered_s) / 2
