from enum import StrEnum

from pydantic import Field, ValidationInfo, field_validator

from fwbench.model.base import Frozen
from fwbench.model.load import Load
from fwbench.model.names import Name


class CpuMode(StrEnum):
    """How a number of CPUs is granted."""

    PINNED = "pinned"
    QUOTA = "quota"


class Limits(Frozen):
    """What the engine grants a contender's container; None is no limit.

    `pinned` gives it so many CPUs and no others; `quota` gives it so much CPU time in each tenth of
    a second, on whichever CPUs, and stops it for the rest. Where nothing is said, whole numbers are
    pinned: under a quota FastAPI's p99 was 68 ms, pinned to one CPU 23 ms, at 16 % more throughput.
    """

    cpus: float | None = Field(default=None, gt=0, le=1024)
    cpu_mode: CpuMode | None = Field(default=None, validate_default=True)
    memory: str | None = Field(default=None, pattern=r"^[1-9][0-9]{0,14}[bkmg]$")

    @field_validator("cpu_mode")
    @classmethod
    def _fits_the_number(cls, mode: CpuMode | None, info: ValidationInfo) -> CpuMode | None:
        cpus = info.data.get("cpus")
        if cpus is None:
            if mode is not None:
                raise ValueError("means nothing without cpus")
            return None
        if mode is CpuMode.PINNED and cpus % 1:
            raise ValueError(f"{cpus:g} CPUs cannot be pinned; take a whole number, or quota")
        return mode or (CpuMode.QUOTA if cpus % 1 else CpuMode.PINNED)

    @property
    def label(self) -> str:
        """The limits in words: `1 CPU pinned, 512m`."""
        cpus = "all CPUs" if self.cpus is None else f"{self.cpus:g} CPU {self.cpu_mode}"
        return cpus if self.memory is None else f"{cpus}, {self.memory}"


class Concurrency(Frozen):
    """How many workers and threads serve; None is what the contender has by itself."""

    workers: int | None = Field(default=None, ge=1, le=1024)
    threads: int | None = Field(default=None, ge=1, le=1024)

    @property
    def label(self) -> str:
        """In words: `2 workers, 8 threads`; empty where the contender has its own."""
        words = [
            f"{number} {noun}" if number == 1 else f"{number} {noun}s"
            for number, noun in ((self.workers, "worker"), (self.threads, "thread"))
            if number is not None
        ]
        return ", ".join(words)


class Network(StrEnum):
    """How clients reach a container: through a published port, or in the host's own network."""

    PUBLISHED = "published"
    HOST = "host"


class Setting(Frozen):
    """All but the contender: only what shares it may be compared."""

    endpoint: Name
    load: Load
    limits: Limits = Limits()
    concurrency: Concurrency = Concurrency()
    network: Network = Network.PUBLISHED

    @property
    def label(self) -> str:
        """The setting in words, the endpoint first."""
        has = [self.limits.label]
        if self.concurrency.label:
            has.append(self.concurrency.label)
        if self.network is Network.HOST:
            has.append("the host's network")
        return f"{self.endpoint}: {self.load.label}; each container has {', '.join(has)}"
