from enum import StrEnum

from fwbench.model.base import Frozen


class Level(StrEnum):
    """How much a finding weighs."""

    INVALID = "invalid"
    SUSPECT = "suspect"
    NOTE = "note"


class Finding(Frozen):
    """One reason for doubt: its code, what was seen in numbers, and what to do about it."""

    code: str
    level: Level
    evidence: str
    advice: str


class Verdict(Frozen):
    """Whether a run's numbers may be believed, and why not."""

    findings: tuple[Finding, ...] = ()

    @property
    def status(self) -> str:
        """`invalid`, `suspect` or `valid`: the heaviest of the findings; notes weigh nothing."""
        levels = {finding.level for finding in self.findings}
        if Level.INVALID in levels:
            return "invalid"
        return "suspect" if Level.SUSPECT in levels else "valid"
