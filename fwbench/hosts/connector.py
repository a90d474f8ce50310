"""How a session comes to its hosts: entered all at once, and found to be what they were."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fwbench.errors import FwbenchError, SessionError
from fwbench.hosts import changes, lease, preflight
from fwbench.model.host import Client, Host, Rig
from fwbench.model.record import HostFacts, SessionHeader
from fwbench.model.setting import CpuMode
from fwbench.model.suite import Suite
from fwbench.ssh.remote import SshRemote

Connect = Callable[[Host], SshRemote]


@dataclass(frozen=True)
class ConnectedHosts:
    """The hosts that were entered, the images on them, and by rig why others cannot be used."""

    remotes: Mapping[str, SshRemote]
    facts: Mapping[str, HostFacts]
    images: Mapping[tuple[str, str], str]
    errors: Mapping[str, FwbenchError]

    def image_ids_of(self, target: Host) -> dict[str, str]:
        """The ids of the images on a target, by contender."""
        return {name: image for (host, name), image in self.images.items() if host == target.name}


@dataclass(frozen=True)
class HostConnector:
    """A session's way to its hosts; `addresses` are those that clients load, by rig."""

    header: SessionHeader
    session: Path
    addresses: Mapping[str, str]

    def connect(
        self,
        rigs: Sequence[Rig],
        connect: Connect,
        threads: ThreadPoolExecutor,
        pending: list[Future[Any]],
        exit_stack: ExitStack,
    ) -> ConnectedHosts:
        """Enter all hosts at once; a rig with a host that is in trouble is in trouble.

        They are left with `leaving`, once all that is `busy` has ended.
        """
        folder = lease.session_folder(self.session.name)
        at = {host.name: (rig, host) for rig in rigs for host in rig.hosts}
        remotes = {name: exit_stack.enter_context(connect(host)) for name, (_, host) in at.items()}
        exit_stack.callback(
            lambda: list(threads.map(lambda r: lease.release(r, folder), remotes.values()))
        )
        exit_stack.callback(wait, pending)
        arriving = {
            name: threads.submit(self._enter, remotes[name], rig, host)
            for name, (rig, host) in at.items()
        }
        pending += arriving.values()
        facts: dict[str, HostFacts] = {}
        errors: dict[str, list[FwbenchError]] = {}
        for name, (rig, _) in at.items():
            try:
                facts[name] = arriving[name].result()
            except FwbenchError as error:
                errors.setdefault(rig.name, []).append(error)
        troubles = {rig: merge_errors(each) for rig, each in errors.items()}
        readiness = preflight.check_rigs(
            [rig for rig in rigs if rig.name not in troubles],
            tuple(facts.values()),
            self.header.contenders,
            _max_pinned_cpus(self.header.suite),
        )
        return ConnectedHosts(remotes, facts, readiness.images, {**troubles, **readiness.errors})

    def reconnect(self, rig: Rig, remotes: Mapping[str, SshRemote]) -> None:
        """Enter a rig's hosts anew after one of them was lost.

        Raises `LostError` where one does not answer, `SessionError` where one is not what it was.
        """
        for host in rig.hosts:
            self._enter(remotes[host.name], rig, host)

    def _enter(self, remote: SshRemote, rig: Rig, host: Host) -> HostFacts:
        folder = lease.session_folder(self.session.name)
        continued = self.header.forked_from
        before = None if continued is None else lease.session_folder(continued)
        lease.enter(remote, folder, takeover_from=before)
        to = self.addresses[rig.name] if isinstance(host, Client) else None
        facts = preflight.read_facts(remote, host, folder, load_address=to)
        if found := changes.host_changes(self.header, facts):
            raise SessionError("; ".join(found))
        return facts


def merge_errors(errors: Iterable[FwbenchError]) -> FwbenchError:
    """All that is wrong, each thing once, as an error of the first one's kind."""
    first, *others = errors
    said = dict.fromkeys(map(str, (first, *others)))
    return type(first)("; ".join(said))


def _max_pinned_cpus(suite: Suite) -> int:
    """The most CPUs to which a container is pinned."""
    pinned = [limits for limits in suite.limits if limits.cpu_mode is CpuMode.PINNED]
    return max((int(limits.cpus or 0) for limits in pinned), default=0)
