"""The result of `fwbench prune`, host by host."""

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.lease import Lease


class RemovedSession(Frozen):
    """A session that was removed from a host, with the number of its processes and containers."""

    session: str
    processes: int = Field(ge=0)
    containers: int = Field(ge=0)
    folder_removed: bool


class AgentCleanup(Frozen):
    """The agent's answer about the cleanup of its host.

    Orphan containers and abandoned folders belong to no session; they were removed, except for
    `unremovable` folders. So were `provisioning_folders`, which an interrupted provisioning left.
    """

    removed: tuple[RemovedSession, ...]
    live_sessions: tuple[Lease, ...]
    orphan_containers: int = Field(ge=0)
    abandoned_folders: int = Field(ge=0)
    provisioning_folders: int = Field(ge=0)
    unremovable: int = Field(ge=0)


class CleanupResult(Frozen):
    """A host with the result of its cleanup, or the error."""

    host: str
    result: AgentCleanup | None = None
    error: str | None = None
