"""How far two hosts' clocks are apart."""

from fwbench.collection.telemetry_file import Number
from fwbench.model.base import Frozen
from fwbench.model.telemetry import ClockOffset


class ClockReading(Frozen):
    """What a host's clock showed, and when the driver asked and was answered by its own clock."""

    asked_s: Number
    host_s: Number
    answered_s: Number

    @property
    def round_trip_s(self) -> float:
        """How long asking took; the reading may be off by half of it."""
        return self.answered_s - self.asked_s

    @property
    def ahead_s(self) -> float:
        """By how much the host's clock is ahead of the driver's."""
        return self.host_s - (self.asked_s + self.answered_s) / 2


def clock_offset(target: ClockReading, client: ClockReading) -> ClockOffset:
    """By how much the client's clock is ahead; each reading may be off by half its round trip."""
    return ClockOffset(
        client_minus_target_s=client.ahead_s - target.ahead_s,
        uncertainty_s=max(0.0, (client.round_trip_s + target.round_trip_s) / 2),
    )
