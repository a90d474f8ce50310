from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.names import Name


class Contract(Frozen):
    """The exact answer that a contender must give at one endpoint."""

    path: str = Field(pattern=r"^/[!-~]*$")
    status: int = 200
    content_type: str
    body: str


class Contender(Frozen):
    """One thing to be compared: how it is reached, what it is made of, and what it answers."""

    name: Name
    summary: str
    port: int = Field(ge=1, le=65535)
    workers: int = Field(ge=1)
    threads: int = Field(default=1, ge=1)
    processes: int = Field(ge=1, description="processes of the container once it is up")
    endpoints: dict[Name, Contract] = Field(min_length=1)

    def expected_processes(self, workers: int | None) -> int:
        """The container's processes once it is up with another number of workers, if any."""
        return self.processes - self.workers + (workers or self.workers)

    @property
    def image(self) -> str:
        """The tag under which provisioning leaves the image on every target."""
        return f"fwbench/{self.name}:current"
