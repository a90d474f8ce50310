"""Presets: how often a suite repeats everything."""

from enum import StrEnum


class Preset(StrEnum):
    """How much a suite may claim, and so how often everything is repeated."""

    SMOKE = "smoke"
    STANDARD = "standard"
    PUBLISH = "publish"

    @property
    def blocks(self) -> int:
        """Return the number of blocks."""
        return {Preset.SMOKE: 1, Preset.STANDARD: 10, Preset.PUBLISH: 30}[self]

    @property
    def min_rigs(self) -> int:
        """Return the number of rigs that a claim needs: machines differ more than runs do."""
        return 5 if self is Preset.PUBLISH else 1
