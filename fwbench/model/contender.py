from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.names import Name


class Contract(Frozen):
    """The exact answer that a contender must return at an endpoint."""

    path: str = Field(pattern=r"^/[!-~]*$")
    status: int = 200
    content_type: str
    body: str


class Contender(Frozen):
    """One thing to compare: its port, its processes, and its contract at each endpoint."""

    name: Name
    summary: str
    port: int = Field(ge=1, le=65535)
    workers: int = Field(ge=1)
    threads: int = Field(default=1, ge=1)
    processes: int = Field(ge=1, description="processes of the container after its start")
    endpoints: dict[Name, Contract] = Field(min_length=1)

    def expected_processes(self, workers: int | None) -> int:
        """Return the number of processes with that many workers; None keeps the contender's own."""
        return self.processes - self.workers + (workers or self.workers)

    @property
    def image(self) -> str:
        """Return the tag that provisioning gives the image on every target."""
        return f"fwbench/{self.name}:current"
