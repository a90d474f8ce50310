"""Findings, and the verdict that follows from them."""

from enum import StrEnum

from fwbench.model.base import Frozen


class Level(StrEnum):
    """The severity of a finding."""

    INVALID = "invalid"
    SUSPECT = "suspect"
    NOTE = "note"


class Finding(Frozen):
    """A reason to doubt a run: its code, the evidence in numbers, and advice."""

    code: str
    level: Level
    evidence: str
    advice: str


class Verdict(Frozen):
    """Whether a run's numbers can be trusted, and why not."""

    findings: tuple[Finding, ...] = ()

    @property
    def status(self) -> str:
        """Return `invalid`, `suspect` or `valid`, by the most severe finding that is no note."""
        levels = {finding.level for finding in self.findings}
        if Level.INVALID in levels:
            return "invalid"
        return "suspect" if Level.SUSPECT in levels else "valid"
