"""Remove what interrupted sessions left on the hosts of an inventory."""

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import ValidationError

from fwbench import paths
from fwbench.agent.protocol import CLEANUP, Cleanup, command_line
from fwbench.errors import FwbenchError, HostError
from fwbench.hosts import lease
from fwbench.model.cleanup import AgentCleanup, CleanupResult
from fwbench.model.host import Host, Rig
from fwbench.ssh.remote import Remote, SshRemote

TIMEOUT_S = 120


def clean_hosts(rigs: Sequence[Rig], *, force: bool) -> tuple[CleanupResult, ...]:
    """Clean all hosts in parallel; `force` also removes sessions that may still be running."""
    hosts = [host for rig in rigs for host in rig.hosts]
    with ThreadPoolExecutor(min(32, len(hosts))) as threads:
        return tuple(threads.map(lambda host: _clean_host(host, force=force), hosts))


def _clean_host(host: Host, *, force: bool) -> CleanupResult:
    try:
        with SshRemote(host) as remote:
            return CleanupResult(host=host.name, result=_run_cleanup(remote, force=force))
    except FwbenchError as error:
        return CleanupResult(host=host.name, error=str(error))


def _run_cleanup(remote: Remote, *, force: bool) -> AgentCleanup:
    folder = lease.session_folder(f"clean-{uuid.uuid4().hex}")
    lease.make_session_folder(remote, folder)
    try:
        argv = command_line(Cleanup(force), folder)
        remote.check(argv, timeout_s=TIMEOUT_S, sudo=True, within=folder)
        with paths.temporary_folder() as private:
            to = private / CLEANUP
            remote.get(str(folder / CLEANUP), to)
            try:
                return AgentCleanup.model_validate_json(to.read_bytes())
            except ValidationError as error:
                raise HostError(
                    f"{remote.name}: its answer about the cleanup is not valid: {error}"
                ) from error
    finally:
        remote.check(["rm", "-rf", str(folder)])
