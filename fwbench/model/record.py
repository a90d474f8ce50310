from pathlib import Path
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

SCHEMA: Literal[1] = 1


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
    cpu_flags: tuple[str, ...] = Field(default=(), description="those that make a difference")
    mitigations: dict[str, str] = Field(default_factory=dict, description="by vulnerability")
    cpus: float = Field(gt=0, description="that it may use at a time; a share where it has a quota")
    cpu_numbers: tuple[int, ...] = Field(default=(), description="those that can be used")
    memory_bytes: int = Field(ge=0, lt=2**63)
    cgroup_version: int
    engine: str | None = None
    h2load: str | None = None
    images: tuple[ImageFacts, ...] = ()
    listening_ports: tuple[int, ...] = Field(default=(), description="TCP ports in use")
    network_path: str | None = Field(
        default=None, description="of a client: how it reaches the address that it loads"
    )
    instance_type: str | None = None
    region: str | None = None
    price_per_hour: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="in whatever currency the user has"
    )


class Record(Frozen):
    """A stored run. Facts of its hosts are in the session's header, once.

    An attempt that was lost for a reason outside the measurement is a record of its own, with the
    next attempt after it; a run has at most one record that is none of these.
    """

    schema_version: Literal[1] = SCHEMA
    run: Run
    attempt: int = Field(default=1, ge=1)
    observation: Observation
    verdict: Verdict

    @property
    def load(self) -> Load:
        """What was asked of the server: of a search, what this step offered."""
        planned, rate = self.run.trial.load, self.observation.offered_rate
        return planned if rate is None else planned.at_rate(rate)


class SessionHeader(Frozen):
    """What all records of a session share."""

    schema_version: Literal[1] = SCHEMA
    fwbench: str
    created_at: str
    suite: Suite
    suite_file: Path | None = None
    forked_from: str | None = Field(
        default=None, description="the session of which this is the rest"
    )
    contenders: tuple[Contender, ...]
    rigs: tuple[Rig, ...]
    facts: tuple[HostFacts, ...]
