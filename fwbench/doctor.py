"""Whether every host can be reached and used, in one sentence for each that cannot."""

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from fwbench import ready
from fwbench.agent.archive import archive
from fwbench.errors import FwbenchError, HostError
from fwbench.model.base import Frozen
from fwbench.model.host import Host, Rig, Target
from fwbench.model.record import HostFacts
from fwbench.remote import Remote, SshRemote


class Examined(Frozen):
    """One host: what it is made of, or what is wrong with it."""

    host: Host
    rig: str
    serves: bool
    facts: HostFacts | None = None
    trouble: str | None = None


def examine(rigs: Sequence[Rig]) -> tuple[Examined, ...]:
    """Every host of the rigs, all at once; nothing stays on them."""
    pairs = [(rig, host) for rig in rigs for host in rig.hosts]
    with ThreadPoolExecutor(min(32, len(pairs))) as threads:
        return tuple(threads.map(lambda pair: _examine(*pair), pairs))


def _examine(rig: Rig, host: Host) -> Examined:
    serves = isinstance(host, Target)
    try:
        if isinstance(host, Target):
            ready.load_address(host)
        with SshRemote(host) as remote:
            facts = _facts(remote, host)
    except FwbenchError as error:
        return Examined(host=host, rig=rig.name, serves=serves, trouble=str(error))
    return Examined(host=host, rig=rig.name, serves=serves, facts=facts)


def _facts(remote: Remote, host: Host) -> HostFacts:
    remote.check(["true"], sudo=True)
    if remote.execute(["python3", "-c", "pass"]).exit_status:
        raise HostError(f"{host.name}: there is no python3; Ansible and fwbench need it there")
    folder = PurePosixPath("/var/tmp") / f"fwbench-{uuid.uuid4().hex}"  # noqa: S108 - made with 0700
    remote.check(["mkdir", "-m", "700", str(folder)])
    try:
        remote.put(archive(), str(folder / "agent.pyz"))
        return ready.facts(remote, host, folder)
    finally:
        remote.check(["rm", "-rf", str(folder)])
