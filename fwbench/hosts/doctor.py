"""Check that every host can be reached and used, and has what provisioning installs."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from fwbench.errors import FwbenchError, InventoryError
from fwbench.hosts import lease, preflight
from fwbench.loadgen.registry import LOADGENS
from fwbench.model.host import Host, Rig, Target
from fwbench.model.host_check import NOT_YET, HostCheck
from fwbench.model.play import HostResult
from fwbench.model.record import HostFacts
from fwbench.provisioning.inventory import Inventory
from fwbench.provisioning.provision import run_playbook
from fwbench.ssh.remote import Remote, SshRemote

STATE_FOLDER = "/var/lib/fwbench"  # provisioning makes it first, and teardown removes it last


def check_hosts(rigs: Sequence[Rig]) -> tuple[HostCheck, ...]:
    """Check the hosts of all rigs in parallel, and leave nothing on them.

    `missing` is only what a login shows; `verify_hosts` looks closer.
    """
    pairs = [(rig, host) for rig in rigs for host in rig.hosts]
    with ThreadPoolExecutor(min(32, len(pairs))) as threads:
        return tuple(threads.map(lambda pair: _check_host(*pair), pairs))


def verify_hosts(
    checks: Sequence[HostCheck],
    inventory: Inventory,
    variables: Mapping[str, object] | None = None,
    on_task: Callable[[str], None] = lambda _: None,
) -> tuple[HostCheck, ...]:
    """Run the playbook `verify.yml` on the provisioned hosts; return the checks with its results.

    `variables` are the playbook's. It changes nothing on hosts. Raise `ProvisionError` if Ansible
    itself fails.
    """
    hosts = [check.host for check in checks if is_verifiable(check)]
    if not hosts:
        return tuple(checks)
    play_result = run_playbook("verify.yml", inventory, hosts, variables=variables, on_task=on_task)
    results = {result.host: result for result in play_result.failed}
    return tuple(_with_result(check, results.get(check.host.name)) for check in checks)


def is_verifiable(check: HostCheck) -> bool:
    """Return whether a login found nothing wrong with the host."""
    return check.error is None and check.missing is None


def _with_result(check: HostCheck, result: HostResult | None) -> HostCheck:
    if result is None or result.error is None:
        return check
    if result.unreachable or result.key_refused:
        return check.model_copy(update={"error": f"{result.host}: {result.error}"})
    # The messages of assertions need no name of a task.
    return check.model_copy(update={"missing": re.sub(r"^Assert [^:]*: ", "", result.error)})


def _check_host(rig: Rig, host: Host) -> HostCheck:
    check = HostCheck(host=host, rig=rig.name, is_target=isinstance(host, Target))
    try:
        load_address = _load_address(rig, host)
        with SshRemote(host) as remote:
            remote.check(["true"], sudo=True)
            check = check.model_copy(update={"host_key": remote.host_key})
            missing = None if remote.exists(STATE_FOLDER) else NOT_YET
            if remote.execute(["python3", "-c", "pass"]).exit_status:
                return check.model_copy(update={"missing": missing or "There is no python3."})
            facts = _read_facts(remote, host, load_address)
    except FwbenchError as error:
        return check.model_copy(update={"error": str(error)})
    return check.model_copy(update={"facts": facts, "missing": missing})


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
    folder = lease.session_folder(f"doctor-{uuid.uuid4().hex}")
    lease.make_session_folder(remote, folder)
    try:
        return preflight.read_facts(remote, host, folder, load_address, LOADGENS)
    finally:
        remote.check(["rm", "-rf", str(folder)])
