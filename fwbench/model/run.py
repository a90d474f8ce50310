"""Trials, and the plan of their runs."""

import hashlib
from typing import cast
from weakref import WeakValueDictionary

from pydantic import Field, ValidatorFunctionWrapHandler, field_validator

from fwbench.model.base import Frozen
from fwbench.model.names import Name, aa_control_name
from fwbench.model.setting import Setting


class Trial(Setting):
    """A contender in a setting: the unit that is repeated.

    The A/A control is the baseline's trial a second time under another label. Any difference
    between the two is noise.
    """

    contender: Name
    aa_control: bool = False

    @property
    def id(self) -> str:
        """Return twelve hexadecimal digits, a hash of all fields."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """Return the contender's name, or the label of its A/A control."""
        return aa_control_name(self.contender) if self.aa_control else self.contender

    @property
    def setting(self) -> Setting:
        """Return everything but the contender."""
        return Setting(**{key: getattr(self, key) for key in Setting.model_fields})


_parsed_trials: WeakValueDictionary[str, Trial] = WeakValueDictionary()


class Run(Frozen):
    """One execution of a trial, in one block, on one rig; in a search, one step."""

    id: Name
    rig: str
    block: int = Field(ge=1)
    step: int | None = Field(
        default=None, ge=1, description="number of the step of a search, within its block"
    )
    trial: Trial

    @field_validator("trial", mode="wrap")
    @classmethod
    def _share(cls, value: object, validate: ValidatorFunctionWrapHandler) -> Trial:
        """Return one object for equal JSON: a session has thousands of runs of each trial."""
        if not isinstance(value, dict):
            return cast(Trial, validate(value))
        text = repr(value)
        if (known := _parsed_trials.get(text)) is None:
            known = _parsed_trials[text] = validate(value)
        return known


class Plan(Frozen):
    """All runs of a session, in the order in which each rig executes its own."""

    seed: int
    runs: tuple[Run, ...]

    @property
    def trials(self) -> frozenset[Trial]:
        """The planned trials."""
        return frozenset(run.trial for run in self.runs)

    def runs_of_rig(self, rig: str) -> tuple[Run, ...]:
        """Return the runs of a rig in the order of execution."""
        return tuple(run for run in self.runs if run.rig == rig)
