"""Takes off every host of an inventory what dead sessions left there."""

import tempfile
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import Field, ValidationError

from fwbench.agent.archive import command
from fwbench.errors import FwbenchError, HostError
from fwbench.hosts import lease
from fwbench.hosts.lease import Lease
from fwbench.model.base import Frozen
from fwbench.model.host import Host, Rig
from fwbench.ssh.remote import Remote, SshRemote

TIMEOUT_S = 120


class Swept(Frozen):
    """One session that was taken off a host, and how much of it there was."""

    session: str
    processes: int = Field(ge=0)
    containers: int = Field(ge=0)
    gone: bool


class Told(Frozen):
    """What a host says of its cleaning.

    `orphans` are containers of no session, `abandoned` folders of no session that were removed, and
    `stuck` those that could not be.
    """

    swept: tuple[Swept, ...]
    living: tuple[Lease, ...]
    orphans: int = Field(ge=0)
    abandoned: int = Field(ge=0)
    stuck: int = Field(ge=0)


class Cleaned(Frozen):
    """One host: what was taken off it, and who has it still, or what is wrong with it."""

    host: str
    told: Told | None = None
    trouble: str | None = None


def clean(rigs: Sequence[Rig], *, force: bool) -> tuple[Cleaned, ...]:
    """Clean all hosts at once; `force` takes living sessions away too."""
    hosts = [host for rig in rigs for host in rig.hosts]
    with ThreadPoolExecutor(min(32, len(hosts))) as threads:
        return tuple(threads.map(lambda host: _clean(host, force=force), hosts))


def _clean(host: Host, *, force: bool) -> Cleaned:
    try:
        with SshRemote(host) as remote:
            return Cleaned(host=host.name, told=_told(remote, force=force))
    except FwbenchError as error:
        return Cleaned(host=host.name, trouble=str(error))


def _told(remote: Remote, *, force: bool) -> Told:
    folder = lease.folder_of(f"clean-{uuid.uuid4().hex}")
    lease.make_folder(remote, folder)
    try:
        argv = command("clean", *(["--force"] if force else []), str(folder))
        remote.check(argv, timeout_s=TIMEOUT_S, sudo=True, within=folder)
        with tempfile.TemporaryDirectory(prefix="fwbench-") as private:
            to = Path(private) / "cleaned.json"
            remote.get(str(folder / "cleaned.json"), to)
            try:
                return Told.model_validate_json(to.read_bytes())
            except ValidationError as error:
                raise HostError(f"{remote.name}: its answer makes no sense: {error}") from error
    finally:
        remote.check(["rm", "-rf", str(folder)])
