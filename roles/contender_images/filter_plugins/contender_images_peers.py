"""Filters of the role `contender_images`: which target provides images for which others.

`hostvars` is Ansible's variable of that name; a plain mapping of host to variables will do.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError


class FilterModule:
    """The entry point of Ansible."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"contender_images_peers": peers, "contender_images_reference": reference}


def peers(play_hosts: Iterable[str], hostvars: Mapping[str, Any], architecture: str) -> list[str]:
    """Return the hosts of an architecture that have not failed, in the order of the play.

    Raise `AnsibleFilterError` if a host has no facts of the role `fwbench_host`.
    """
    return [
        host
        for host in play_hosts
        if _fact(hostvars, host, "fwbench_host_system")["architecture"] == architecture
    ]


def reference(hosts: Sequence[str], hostvars: Mapping[str, Any]) -> str:
    """Return the host whose images the others take: the first that has all of them.

    If there is none, return the host with the most memory, since it has to build: a small host is
    slow at it, or fails. Raise `AnsibleFilterError` if a host has not been asked for its images.
    """
    for host in hosts:
        if not _fact(hostvars, host, "contender_images_missing"):
            return host
    return max(hosts, key=lambda host: _fact(hostvars, host, "fwbench_host_system")["memory_bytes"])


def _fact(hostvars: Mapping[str, Any], host: str, name: str) -> Any:
    value = hostvars[host].get(name)
    if value is None:
        raise AnsibleFilterError(
            f"{host} has no fact {name}. Apply the role fwbench_host to all targets before "
            "contender_images, and contender_images with the strategy `linear`."
        )
    return value
