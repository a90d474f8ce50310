"""A host while a session has it: entered with a lease, left as it was.

The host's agent keeps the lease where no other user of the host can write. Whoever comes while it
runs is refused; once it is over, the session is dead, and what it left is anybody's to take away.
"""

import os
import socket
import tempfile
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError

from fwbench import paths
from fwbench.agent.archive import archive
from fwbench.agent.protocol import (
    AGENT,
    HELD_BY_ANOTHER_SESSION,
    HOLDER,
    SESSION_PREFIX,
    Acquire,
    Release,
    command_line,
)
from fwbench.errors import FwbenchError, HostError, NotReadyError
from fwbench.ssh.remote import Completed, Remote

ENTRY_LEASE_S = 180.0
AGENT_TIMEOUT_S = 90.0


class Lease(BaseModel):
    """What another session's lease says, as far as a host can be believed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    session: str = "another"
    owner: str = "somebody"
    until: float | None = None

    @property
    def description(self) -> str:
        """Whose it is and until when at the latest, by the host's clock."""
        said = f"session {self.session[:80]} of {self.owner[:80]}"
        if self.until is None or not 0 < self.until < 1e11:
            return said
        return f"{said}, until {datetime.fromtimestamp(self.until, UTC):%H:%M:%S} UTC at the latest"


def session_folder(session: str) -> PurePosixPath:
    """Where a session's files are on each of its hosts, with mode 0700."""
    return PurePosixPath("/var/tmp") / f"{SESSION_PREFIX}{session}"  # noqa: S108 - made with 0700


def owner() -> str:
    """Who executes sessions here, for whoever finds a host taken."""
    return f"{paths.user()} on {socket.gethostname()} (process {os.getpid()})"


def enter(
    remote: Remote, folder: PurePosixPath, takeover_from: PurePosixPath | None = None
) -> None:
    """Enter a host for the first time, or anew after it was lost: an empty folder, and the agent.

    `instead_of` is the folder of a session that is known to be dead, whatever its lease says.
    Raises `NotReadyError` where another session has the host.
    """
    make_session_folder(remote, folder)
    if takeover_from is not None:
        argv = command_line(Release(), takeover_from)
        remote.check(argv, timeout_s=AGENT_TIMEOUT_S, sudo=True, within=folder)
    acquire(remote, folder, None, ENTRY_LEASE_S)


def make_session_folder(remote: Remote, folder: PurePosixPath) -> None:
    """Make an empty folder for the login user alone, with the agent in it.

    Raises `HostError` where another user of the host has taken the name: nothing of his is used.
    """
    remote.execute(["rm", "-rf", str(folder)], timeout_s=AGENT_TIMEOUT_S)
    made = remote.execute(["mkdir", "-m", "700", str(folder)])
    if made.exit_status:
        raise HostError(
            f"{remote.name}: {folder} cannot be made ({_stderr_end(made)}); if it is there already,"
            " another user of that host made it: remove it as root"
        )
    remote.put(archive(), str(folder / AGENT))


def acquire(remote: Remote, folder: PurePosixPath, run: str | None, duration_s: float) -> None:
    """Have a host for so many seconds more, free of what was left; `run` gets a folder of its own.

    Raises `NotReadyError` where another session has the host.
    """
    argv = command_line(Acquire(owner(), duration_s, run), folder)
    done = remote.execute(argv, timeout_s=AGENT_TIMEOUT_S, sudo=True, within=folder)
    if done.exit_status == HELD_BY_ANOTHER_SESSION:
        raise NotReadyError(
            f"{remote.name}: is in use by {_read_holder(remote, folder).description};"
            " wait for its end, or take it away with `fwbench clean --force`"
        )
    if done.exit_status:
        raise HostError(f"{remote.name}: cannot be prepared: {_stderr_end(done)}")


def release(remote: Remote, folder: PurePosixPath) -> None:
    """Take the session off a host; from one that cannot be reached its warden does that, later."""
    argv = command_line(Release(), folder)
    try:
        if remote.execute(argv, timeout_s=AGENT_TIMEOUT_S, sudo=True, within=folder).exit_status:
            remote.check(["rm", "-rf", str(folder)])
    except FwbenchError:
        return


def session_folder_exists(remote: Remote, folder: PurePosixPath) -> bool:
    """Whether a session's folder is still there, and nobody else's.

    Raises `LostError` where the host does not answer.
    """
    return remote.execute(["test", "-f", AGENT], within=folder).exit_status == 0


def _stderr_end(done: Completed) -> str:
    return done.stderr.strip()[-300:] or "it said nothing"


def _read_holder(remote: Remote, folder: PurePosixPath) -> Lease:
    with tempfile.TemporaryDirectory(prefix="fwbench-") as private:
        to = Path(private) / HOLDER
        try:
            remote.get(str(folder / HOLDER), to)
            return Lease.model_validate_json(to.read_bytes())
        except (HostError, ValidationError):
            return Lease()
