import hashlib

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.load import Load
from fwbench.model.names import Name
from fwbench.model.suite import Limits


class Trial(Frozen):
    """What is repeated: one contender at one endpoint under one load within limits."""

    contender: Name
    endpoint: Name
    load: Load
    limits: Limits

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits over every field: equal trials, and only these, share it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


class Run(Frozen):
    """One execution of a trial, in one block, on one rig."""

    id: Name
    rig: str
    block: int = Field(ge=1)
    trial: Trial


class Plan(Frozen):
    """All runs of a session in the order in which each rig executes its own."""

    seed: int
    runs: tuple[Run, ...]

    def of_rig(self, rig: str) -> tuple[Run, ...]:
        """The runs of one rig, in the order in which they are executed."""
        return tuple(run for run in self.runs if run.rig == rig)
