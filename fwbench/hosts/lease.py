"""Take and release the lease of a host.

The host's agent stores the lease where no other user can write. Until it expires, every other
session is refused. After that, the session counts as dead, and any session may remove its remains.
"""

import os
import socket
import uuid
from pathlib import PurePosixPath

from pydantic import ValidationError

from fwbench import paths
from fwbench.agent.archive import build_archive
from fwbench.agent.protocol import (
    AGENT,
    HELD_BY_ANOTHER_SESSION,
    HOLDER,
    SESSION_PREFIX,
    Acquire,
    CheckUnused,
    Release,
    command_line,
)
from fwbench.errors import FwbenchError, HostError, NotReadyError
from fwbench.model.lease import Lease
from fwbench.ssh.remote import Completed, Remote

ENTRY_LEASE_S = 180.0
AGENT_TIMEOUT_S = 90.0


def session_folder(session: str) -> PurePosixPath:
    """Return the folder of a session on each of its hosts. It has mode 0700."""
    return PurePosixPath("/var/tmp") / f"{SESSION_PREFIX}{session}"  # noqa: S108 - made with 0700


def owner() -> str:
    """Return who executes sessions here; other sessions show it when they find a host in use."""
    return f"{paths.user()} on {socket.gethostname()} (process {os.getpid()})"


def enter(
    remote: Remote, folder: PurePosixPath, takeover_from: PurePosixPath | None = None
) -> None:
    """Copy the agent into an empty session folder on a host, and take a lease.

    `takeover_from` is the folder of a session that is known to have ended; it is removed even if
    its lease has not expired. Raise `NotReadyError` if another session has the host.
    """
    make_session_folder(remote, folder)
    if takeover_from is not None:
        argv = command_line(Release(), takeover_from)
        remote.check(argv, timeout_s=AGENT_TIMEOUT_S, sudo=True, within=folder)
    acquire(remote, folder, None, ENTRY_LEASE_S)


def make_session_folder(remote: Remote, folder: PurePosixPath) -> None:
    """Make a session folder that only the login user can read, and copy the agent into it.

    Raise `HostError` if another user of the host has made a folder of that name.
    """
    remote.execute(["rm", "-rf", str(folder)], timeout_s=AGENT_TIMEOUT_S)
    mkdir = remote.execute(["mkdir", "-m", "700", str(folder)])
    if mkdir.exit_status:
        raise HostError(
            f"{remote.name}: {folder} cannot be made ({_stderr_end(mkdir)}); if it exists,"
            " another user of that host made it: remove it as root"
        )
    remote.put(build_archive(), str(folder / AGENT))


def acquire(remote: Remote, folder: PurePosixPath, run: str | None, duration_s: float) -> None:
    """Take or renew the lease for `duration_s` seconds, and make a folder for `run` if given.

    The agent removes what dead sessions left. Raise `NotReadyError` if another session has the
    host.
    """
    argv = command_line(Acquire(owner(), duration_s, run), folder)
    result = remote.execute(argv, timeout_s=AGENT_TIMEOUT_S, sudo=True, within=folder)
    _raise_if_held(remote, folder, result)
    if result.exit_status:
        raise HostError(f"{remote.name}: the agent cannot prepare it: {_stderr_end(result)}")


def check_unused(remote: Remote) -> None:
    """Raise `NotReadyError` if a session has the host.

    A host without Python has none, since the agent needs it.
    """
    remote.check(["true"])  # `execute` would take a host that refuses the login for one without
    if remote.execute(["python3", "-c", "pass"]).exit_status:
        return
    folder = session_folder(f"check-{uuid.uuid4().hex}")
    make_session_folder(remote, folder)
    try:
        argv = command_line(CheckUnused(), folder)
        result = remote.execute(argv, timeout_s=AGENT_TIMEOUT_S, sudo=True, within=folder)
        _raise_if_held(remote, folder, result)
        if result.exit_status:
            raise HostError(f"{remote.name}: the agent cannot read leases: {_stderr_end(result)}")
    finally:
        remote.check(["rm", "-rf", str(folder)])


def release(remote: Remote, folder: PurePosixPath) -> None:
    """Remove the session from a host. If the host is lost, its watchdog does so later."""
    argv = command_line(Release(), folder)
    try:
        if remote.execute(argv, timeout_s=AGENT_TIMEOUT_S, sudo=True, within=folder).exit_status:
            remote.check(["rm", "-rf", str(folder)])
    except FwbenchError:
        return


def session_folder_exists(remote: Remote, folder: PurePosixPath) -> bool:
    """Return whether the session's folder still exists and belongs to the login user.

    Raise `LostError` if the host does not answer.
    """
    return remote.execute(["test", "-f", AGENT], within=folder).exit_status == 0


def _stderr_end(completed: Completed) -> str:
    return completed.stderr.strip()[-300:] or "no output"


def _raise_if_held(remote: Remote, folder: PurePosixPath, result: Completed) -> None:
    if result.exit_status == HELD_BY_ANOTHER_SESSION:
        raise NotReadyError(
            f"{remote.name}: is in use by {_read_holder(remote, folder).description};"
            " wait for its end, or remove that session with `fwbench prune --force`"
        )


def _read_holder(remote: Remote, folder: PurePosixPath) -> Lease:
    with paths.temporary_folder() as private:
        to = private / HOLDER
        try:
            remote.get(str(folder / HOLDER), to)
            return Lease.model_validate_json(to.read_bytes())
        except (HostError, ValidationError):
            return Lease()
