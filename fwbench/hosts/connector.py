"""Connect a session to its hosts: take leases, and check that the hosts are unchanged."""

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
from fwbench.ssh.remote import SshRemote

Connect = Callable[[Host], SshRemote]


@dataclass(frozen=True)
class ConnectedHosts:
    """The connections to all hosts, the facts of usable ones, and the errors by rig.

    `images` maps a target's name and a contender to the image's id.
    """

    remotes: Mapping[str, SshRemote]
    facts: Mapping[str, HostFacts]
    images: Mapping[tuple[str, str], str]
    errors: Mapping[str, FwbenchError]

    def image_ids_of(self, target: Host) -> dict[str, str]:
        """Return the ids of the images on a target, by contender."""
        return {name: image for (host, name), image in self.images.items() if host == target.name}


@dataclass(frozen=True)
class HostConnector:
    """Connects a session to its hosts; `addresses` maps a rig to the address that clients load."""

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
        """Enter all hosts in parallel; an error of a host is an error of its rig.

        `exit_stack` releases the hosts, once all `pending` futures have ended. The futures of this
        call are added to `pending`.
        """
        folder = lease.session_folder(self.session.name)
        hosts = {host.name: (rig, host) for rig in rigs for host in rig.hosts}
        remotes = {
            name: exit_stack.enter_context(connect(host)) for name, (_, host) in hosts.items()
        }
        exit_stack.callback(
            lambda: list(threads.map(lambda r: lease.release(r, folder), remotes.values()))
        )
        exit_stack.callback(wait, pending)
        futures = {
            name: threads.submit(self._enter, remotes[name], rig, host)
            for name, (rig, host) in hosts.items()
        }
        pending += futures.values()
        facts: dict[str, HostFacts] = {}
        host_errors: dict[str, list[FwbenchError]] = {}
        for name, (rig, _) in hosts.items():
            try:
                facts[name] = futures[name].result()
            except FwbenchError as error:
                host_errors.setdefault(rig.name, []).append(error)
        rig_errors = {rig: merge_errors(errors) for rig, errors in host_errors.items()}
        result = preflight.check_rigs(
            [rig for rig in rigs if rig.name not in rig_errors],
            tuple(facts.values()),
            self.header.contenders,
            self.header.suite,
        )
        return ConnectedHosts(remotes, facts, result.images, {**rig_errors, **result.errors})

    def reconnect(self, rig: Rig, remotes: Mapping[str, SshRemote]) -> None:
        """Enter a rig's hosts again after the connection to one was lost.

        Raise `LostError` if a host does not answer, `SessionError` if it has changed.
        """
        for host in rig.hosts:
            self._enter(remotes[host.name], rig, host)

    def _enter(self, remote: SshRemote, rig: Rig, host: Host) -> HostFacts:
        folder = lease.session_folder(self.session.name)
        origin = self.header.forked_from
        takeover_from = None if origin is None else lease.session_folder(origin)
        lease.enter(remote, folder, takeover_from=takeover_from)
        address = self.addresses[rig.name] if isinstance(host, Client) else None
        loadgens = self.header.suite.loadgens if isinstance(host, Client) else ()
        facts = preflight.read_facts(remote, host, folder, address, loadgens)
        if host_changes := changes.host_changes(self.header, facts):
            raise SessionError("; ".join(host_changes))
        return facts


def merge_errors(errors: Iterable[FwbenchError]) -> FwbenchError:
    """Return one error with all messages, each once, of the first error's class."""
    first, *others = errors
    messages = dict.fromkeys(map(str, (first, *others)))
    return type(first)("; ".join(messages))
