"""Findings, and the verdict that follows from them."""

from enum import StrEnum

from pydantic import Field

from fwbench.model.base import Frozen


class Level(StrEnum):
    """The severity of a finding."""

    INVALID = "invalid"
    SUSPECT = "suspect"
    NOTE = "note"


class Effect(StrEnum):
    """What a finding means to estimates, apart from its level."""

    OVERLOAD = "overload"  # the rate was too high: a result, if the run is a step of a search
    CLIENT_LIMITED = "client-limited"  # the rig needs more clients


class Finding(Frozen):
    """A reason to doubt a run: its code, the evidence in numbers, and advice."""

    code: str
    level: Level
    evidence: str
    advice: str
    effect: Effect | None = None
    excess: float | None = Field(
        default=None,
        description="how many times its threshold the value is; only of `client-limited`",
    )


class Verdict(Frozen):
    """Whether a run's numbers can be trusted, and why not.

    A check that is named nowhere passed.
    """

    findings: tuple[Finding, ...] = ()
    not_applicable: tuple[str, ...] = Field(
        default=(), description="codes of checks that cannot be made on such a run"
    )
    not_observed: tuple[str, ...] = Field(
        default=(), description="codes of checks for which something was not observed"
    )

    @property
    def status(self) -> str:
        """Return `invalid`, `suspect` or `valid`, by the most severe finding that is no note."""
        levels = {finding.level for finding in self.findings}
        if Level.INVALID in levels:
            return "invalid"
        return "suspect" if Level.SUSPECT in levels else "valid"
