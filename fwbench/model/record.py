from typing import Literal

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.contender import Contender
from fwbench.model.host import Rig
from fwbench.model.load import Load
from fwbench.model.observation import Observation
from fwbench.model.run import Run
from fwbench.model.suite import Suite
from fwbench.model.verdict import Verdict

SCHEMA: Literal[2] = 2


class ImageFacts(Frozen):
    """The image of one contender as it lies on a target."""

    name: str = Field(description="of the contender")
    image_id: str
    base: str
    base_origin: str
    packages: tuple[str, ...] = Field(description="what `pip freeze` says in it")


class HostFacts(Frozen):
    """What a host is made of; None where it has no such thing."""

    host: str
    system: str
    kernel: str
    architecture: str
    cpu_model: str
    cpus: int
    cpu_numbers: tuple[int, ...] = Field(default=(), description="those that can be used")
    memory_bytes: int
    cgroup_version: int
    engine: str | None = None
    h2load: str | None = None
    images: tuple[ImageFacts, ...] = ()
    listening: tuple[int, ...] = Field(default=(), description="TCP ports in use")


class Record(Frozen):
    """A stored run. Facts of its hosts are in the session's header, once."""

    schema_version: Literal[2] = SCHEMA
    run: Run
    observation: Observation
    verdict: Verdict

    @property
    def load(self) -> Load:
        """What was asked of the server: of a search, what this step offered."""
        planned, rate = self.run.trial.load, self.observation.offered_rate
        return planned if rate is None else planned.at(rate)


class Header(Frozen):
    """What all records of a session share."""

    schema_version: Literal[2] = SCHEMA
    fwbench: str
    created_at: str
    suite: Suite
    contenders: tuple[Contender, ...]
    rigs: tuple[Rig, ...]
    facts: tuple[HostFacts, ...]
