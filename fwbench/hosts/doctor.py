"""Whether every host can be reached and used, in one sentence for each that cannot."""

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from fwbench.agent.archive import archive
from fwbench.agent.protocol import AGENT
from fwbench.errors import FwbenchError, HostError, InventoryError
from fwbench.hosts import preflight
from fwbench.model.base import Frozen
from fwbench.model.host import Host, Rig, Target
from fwbench.model.record import HostFacts
from fwbench.ssh.remote import Remote, SshRemote


class HostCheck(Frozen):
    """One host: what it is made of, or what is wrong with it."""

    host: Host
    rig: str
    is_target: bool
    facts: HostFacts | None = None
    error: str | None = None


def check_hosts(rigs: Sequence[Rig]) -> tuple[HostCheck, ...]:
    """Every host of the rigs, all at once; nothing stays on them."""
    pairs = [(rig, host) for rig in rigs for host in rig.hosts]
    with ThreadPoolExecutor(min(32, len(pairs))) as threads:
        return tuple(threads.map(lambda pair: _check_host(*pair), pairs))


def _check_host(rig: Rig, host: Host) -> HostCheck:
    serves = isinstance(host, Target)
    try:
        to = _load_address(rig, host)
        with SshRemote(host) as remote:
            facts = _read_facts(remote, host, to)
    except FwbenchError as error:
        return HostCheck(host=host, rig=rig.name, is_target=serves, error=str(error))
    return HostCheck(host=host, rig=rig.name, is_target=serves, facts=facts)


def _load_address(rig: Rig, host: Host) -> str | None:
    """What a client loads. An address that is none is its target's trouble, not the client's."""
    try:
        address = preflight.load_address(rig.target)
    except InventoryError:
        if isinstance(host, Target):
            raise
        return None
    return None if isinstance(host, Target) else address


def _read_facts(remote: Remote, host: Host, to: str | None) -> HostFacts:
    remote.check(["true"], sudo=True)
    if remote.execute(["python3", "-c", "pass"]).exit_status:
        raise HostError(f"{host.name}: there is no python3; Ansible and fwbench need it there")
    folder = PurePosixPath("/var/tmp") / f"fwbench-doctor-{uuid.uuid4().hex}"  # noqa: S108 - made with 0700
    remote.check(["mkdir", "-m", "700", str(folder)])
    try:
        remote.put(archive(), str(folder / AGENT))
        return preflight.read_facts(remote, host, folder, to)
    finally:
        remote.check(["rm", "-rf", str(folder)])
