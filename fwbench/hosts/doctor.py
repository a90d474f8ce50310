"""Check that every host can be reached and used; one sentence about each that cannot."""

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fwbench.errors import FwbenchError, HostError, InventoryError
from fwbench.hosts import lease, preflight
from fwbench.loadgen.registry import LOADGENS
from fwbench.model.host import Host, Rig, Target
from fwbench.model.host_check import HostCheck
from fwbench.model.record import HostFacts
from fwbench.ssh.remote import Remote, SshRemote


def check_hosts(rigs: Sequence[Rig]) -> tuple[HostCheck, ...]:
    """Check the hosts of all rigs in parallel, and leave nothing on them."""
    pairs = [(rig, host) for rig in rigs for host in rig.hosts]
    with ThreadPoolExecutor(min(32, len(pairs))) as threads:
        return tuple(threads.map(lambda pair: _check_host(*pair), pairs))


def _check_host(rig: Rig, host: Host) -> HostCheck:
    is_target = isinstance(host, Target)
    try:
        load_address = _load_address(rig, host)
        with SshRemote(host) as remote:
            facts = _read_facts(remote, host, load_address)
    except FwbenchError as error:
        return HostCheck(host=host, rig=rig.name, is_target=is_target, error=str(error))
    return HostCheck(host=host, rig=rig.name, is_target=is_target, facts=facts)


def _load_address(rig: Rig, host: Host) -> str | None:
    """Return the address that a client loads; None for a target, and if the address is wrong.

    A wrong address is an error of the target, not of its clients.
    """
    try:
        address = preflight.load_address(rig.target)
    except InventoryError:
        if isinstance(host, Target):
            raise
        return None
    return None if isinstance(host, Target) else address


def _read_facts(remote: Remote, host: Host, load_address: str | None) -> HostFacts:
    remote.check(["true"], sudo=True)
    if remote.execute(["python3", "-c", "pass"]).exit_status:
        raise HostError(f"{host.name}: there is no python3; run `fwbench provision`, or install it")
    folder = lease.session_folder(f"doctor-{uuid.uuid4().hex}")
    lease.make_session_folder(remote, folder)
    try:
        return preflight.read_facts(remote, host, folder, load_address, LOADGENS)
    finally:
        remote.check(["rm", "-rf", str(folder)])
