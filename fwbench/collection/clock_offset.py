"""Offsets between the clocks of hosts."""

from fwbench.collection.telemetry_file import Number
from fwbench.model.base import Frozen
from fwbench.model.telemetry import ClockOffset


class ClockReading(Frozen):
    """A host's clock, with the controller's clock before and after it was read."""

    asked_s: Number
    host_s: Number
    answered_s: Number

    @property
    def round_trip_s(self) -> float:
        """Return how long the reading took; its error is up to half of that."""
        return self.answered_s - self.asked_s

    @property
    def ahead_s(self) -> float:
        """Return by how much the host's clock is ahead of the controller's."""
        return self.host_s - (self.asked_s + self.answered_s) / 2


def clock_offset(target: ClockReading, client: ClockReading) -> ClockOffset:
    """Return by how much the client's clock is ahead, and the uncertainty from both readings."""
    return ClockOffset(
        client_minus_target_s=client.ahead_s - target.ahead_s,
        uncertainty_s=max(0.0, (client.round_trip_s + target.round_trip_s) / 2),
    )
