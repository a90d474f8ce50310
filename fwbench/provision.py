"""Playbooks to ready hosts: provisioning, verifying and tearing down have one face."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fwbench.errors import ProvisionError
from fwbench.model.host import Host
from fwbench.playbook import Played, play
from fwbench.remote import SshRemote, known_hosts_files


def meet(hosts: Iterable[Host]) -> None:
    """Log in to every host once, which records the keys of first contacts for Ansible to check.

    Raises `HostError` for the first host that does not answer, refuses, or shows another key.
    """
    for host in hosts:
        with SshRemote(host) as remote:
            remote.check(["true"])


def provision(
    name: str,
    inventory: Path,
    hosts: Iterable[Host],
    *,
    variables: Mapping[str, Any] | None = None,
    check: bool = False,
    on_task: Callable[[str], None] = lambda _: None,
) -> Played:
    """Run one of fwbench's playbooks over all hosts of the rigs.

    Raises `ProvisionError` naming every host on which it failed, and why.
    """
    hosts = tuple(hosts)
    played = play(
        name,
        inventory,
        [host.name for host in hosts],
        known_hosts=[path for host in hosts for path in known_hosts_files(host)],
        variables=variables,
        check=check,
        on_task=on_task,
    )
    if played.failed:
        raise ProvisionError("; ".join(f"{host.host}: {host.trouble}" for host in played.failed))
    return played
