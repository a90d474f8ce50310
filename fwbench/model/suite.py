from typing import Self

from pydantic import Field, model_validator

from fwbench.model.base import Frozen
from fwbench.model.load import Load
from fwbench.model.names import Name


class Limits(Frozen):
    """What the engine grants a contender's container; None is no limit."""

    cpus: float | None = Field(default=None, gt=0, le=1024)
    memory: str | None = Field(default=None, pattern=r"^[1-9][0-9]{0,14}[bkmg]$")

    @property
    def label(self) -> str:
        """The limits in words: `1 CPU, 512m`."""
        cpus = "all CPUs" if self.cpus is None else f"{self.cpus:g} CPU"
        return cpus if self.memory is None else f"{cpus}, {self.memory}"


class Suite(Frozen):
    """What somebody asks: which contenders, at which endpoints, under which loads and limits."""

    name: Name
    question: str
    contenders: tuple[Name, ...] = Field(min_length=1)
    baseline: Name | None = None
    endpoints: tuple[Name, ...] = Field(default=("hello",), min_length=1)
    loads: tuple[Load, ...] = Field(min_length=1)
    limits: tuple[Limits, ...] = Field(default=(Limits(),), min_length=1)
    blocks: int = Field(default=1, ge=1, le=1000)
    seed: int = 1
    start_timeout_s: int = Field(default=30, ge=1, le=3600)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        for key in ("contenders", "endpoints", "loads", "limits"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} has an entry twice")
        if self.baseline is not None and self.baseline not in self.contenders:
            raise ValueError(f"baseline {self.baseline!r} is not among the contenders")
        return self
