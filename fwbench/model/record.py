"""What a session stores: its header, and a record of each run."""

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
    """The image of a contender on a target."""

    name: str = Field(description="the contender's name")
    image_id: str
    base: str
    base_origin: str
    packages: tuple[str, ...] = Field(description="the output of `pip freeze` in the image")


class HostFacts(Frozen):
    """Facts of a host; None for what it does not have or does not expose."""

    host: str
    system: str
    kernel: str
    architecture: str
    cpu_model: str
    cpu_flags: tuple[str, ...] = Field(default=(), description="the flags that affect performance")
    mitigations: dict[str, str] = Field(default_factory=dict, description="by vulnerability")
    cpus: float = Field(gt=0, description="usable CPUs; fractional under a quota")
    cpu_numbers: tuple[int, ...] = Field(default=(), description="numbers of the usable CPUs")
    memory_bytes: int = Field(ge=0, lt=2**63)
    cgroup_version: int
    engine: str | None = None
    versions: dict[str, str] = Field(
        default_factory=dict, description="versions of the load generators, by name"
    )
    images: tuple[ImageFacts, ...] = ()
    listening_ports: tuple[int, ...] = Field(default=(), description="TCP ports in use")
    open_files_limit: int | None = Field(
        default=None, description="files that a process of the login may have open"
    )
    local_ports: int | None = Field(
        default=None, description="ports that connections to one address and port may use"
    )
    network_path: str | None = Field(
        default=None, description="on a client, its route to the target's load address"
    )
    instance_type: str | None = None
    region: str | None = None
    price_per_hour: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="in the user's currency"
    )


class Record(Frozen):
    """A stored run. The facts of its hosts are in the session's header.

    A lost attempt is a separate record, followed by the next attempt. A run has at most one record
    that is not a lost attempt.
    """

    schema_version: Literal[1] = SCHEMA
    run: Run
    attempt: int = Field(default=1, ge=1)
    observation: Observation
    verdict: Verdict

    @property
    def load(self) -> Load:
        """Return the load of the run; for a step of a search, at the rate of that step."""
        return self.run.trial.load.at_rate(self.observation.offered_rate)


class SessionHeader(Frozen):
    """What all records of a session have in common."""

    schema_version: Literal[1] = SCHEMA
    fwbench: str
    created_at: str
    suite: Suite
    suite_file: Path | None = None
    overrides: tuple[str, ...] = Field(
        default=(), description="what replaced values of the suite's file, such as `blocks=3`"
    )
    forked_from: str | None = Field(
        default=None, description="the session whose remaining runs this one executes"
    )
    contenders: tuple[Contender, ...]
    rigs: tuple[Rig, ...]
    facts: tuple[HostFacts, ...]
