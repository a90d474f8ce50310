import hashlib

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.names import Name, aa_control_name
from fwbench.model.setting import Setting


class Trial(Setting):
    """What is repeated: one contender in one setting.

    The `twin` of the baseline's trial is the same thing under another name: whatever difference
    there seems to be between the two is noise.
    """

    contender: Name
    aa_control: bool = False

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits over every field: equal trials, and only these, share it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """The contender; its twin under the other name."""
        return aa_control_name(self.contender) if self.aa_control else self.contender

    @property
    def setting(self) -> Setting:
        """All but the contender."""
        return Setting(**{key: getattr(self, key) for key in Setting.model_fields})


class Run(Frozen):
    """One execution of a trial, in one block, on one rig; of a search, one step."""

    id: Name
    rig: str
    block: int = Field(ge=1)
    step: int | None = Field(default=None, ge=1, description="of a search, within its block")
    trial: Trial


class Plan(Frozen):
    """All runs of a session in the order in which each rig executes its own."""

    seed: int
    runs: tuple[Run, ...]

    def runs_of_rig(self, rig: str) -> tuple[Run, ...]:
        """The runs of one rig, in the order in which they are executed."""
        return tuple(run for run in self.runs if run.rig == rig)
