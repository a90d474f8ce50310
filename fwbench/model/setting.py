"""Settings: everything but the contender."""

from enum import StrEnum

from pydantic import Field, ValidationInfo, field_validator

from fwbench.model.base import Frozen
from fwbench.model.load import Load
from fwbench.model.names import Name


class CpuMode(StrEnum):
    """How the engine limits a container's CPUs."""

    PINNED = "pinned"
    QUOTA = "quota"


class Limits(Frozen):
    """The limits that the engine sets for a contender's container; None is no limit.

    `pinned` restricts the container to that many CPUs. `quota` limits its CPU time in each period
    of 0.1 s, on any CPU, and stops it for the rest of the period. By default, whole numbers are
    pinned: FastAPI's p99 was 68 ms under a quota of one CPU. Pinned to one CPU, it was 23 ms, with
    16 % more throughput.
    """

    cpus: float | None = Field(default=None, gt=0, le=1024)
    cpu_mode: CpuMode | None = Field(default=None, validate_default=True)
    memory: str | None = Field(default=None, pattern=r"^[1-9][0-9]{0,14}[bkmg]$")

    @field_validator("cpu_mode")
    @classmethod
    def _default_mode(cls, mode: CpuMode | None, info: ValidationInfo) -> CpuMode | None:
        cpus = info.data.get("cpus")
        if cpus is None:
            if mode is not None:
                raise ValueError("needs cpus")
            return None
        if mode is CpuMode.PINNED and cpus % 1:
            raise ValueError(
                f"{cpus:g} CPUs cannot be pinned; set a whole number, or cpu_mode: quota"
            )
        return mode or (CpuMode.QUOTA if cpus % 1 else CpuMode.PINNED)

    @property
    def label(self) -> str:
        """Return the limits in words: `1 CPU pinned, 512m`."""
        cpus = "all CPUs" if self.cpus is None else f"{self.cpus:g} CPU {self.cpu_mode}"
        return cpus if self.memory is None else f"{cpus}, {self.memory}"


class Concurrency(Frozen):
    """Numbers of workers and threads; None is the contender's default."""

    workers: int | None = Field(default=None, ge=1, le=1024)
    threads: int | None = Field(default=None, ge=1, le=1024)

    @property
    def label(self) -> str:
        """Return `2 workers, 8 threads`; empty for the contender's defaults."""
        parts = [
            f"{number} {noun}" if number == 1 else f"{number} {noun}s"
            for number, noun in ((self.workers, "worker"), (self.threads, "thread"))
            if number is not None
        ]
        return ", ".join(parts)


class Network(StrEnum):
    """How clients reach a container: through a published port, or on the host's network."""

    PUBLISHED = "published"
    HOST = "host"


class Setting(Frozen):
    """Everything but the contender. Only runs with equal settings are compared."""

    endpoint: Name
    load: Load
    limits: Limits = Limits()
    concurrency: Concurrency = Concurrency()
    network: Network = Network.PUBLISHED

    @property
    def label(self) -> str:
        """Return the setting in words, the endpoint first."""
        container = [self.limits.label]
        if self.concurrency.label:
            container.append(self.concurrency.label)
        if self.network is Network.HOST:
            container.append("the host's network")
        return f"{self.endpoint}: {self.load.label}; each container has {', '.join(container)}"
