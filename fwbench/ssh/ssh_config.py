"""The ssh configuration with which Ansible checks the same host keys as fwbench."""

from collections.abc import Iterable
from pathlib import Path

from fwbench.model.host import Host, JumpHost
from fwbench.ssh import host_keys, openssh
from fwbench.ssh.connection import Connection


def ssh_config(hosts: Iterable[Host], pinned: Path) -> str:
    """Return a configuration for `ssh -F` with the jump hosts' keys and the files of host keys.

    `pinned` is a file with the content of `pinned_host_keys`. ssh does not read an inventory's own
    file: in there, a pattern or an authority would count that fwbench's connections do not accept.
    """
    return openssh.configuration(
        known_hosts=[pinned, *host_keys.own_known_hosts_files()],
        key_files={
            hop.address: key
            for host in hosts
            for hop in host.jump_hosts or ()
            if (key := hop.key_file or host.key_file)
        },
    )


def pinned_host_keys(hosts: Iterable[Host]) -> str:
    """Return known_hosts with the keys that fwbench's own connections accept of each host and hop.

    Raise `HostKeyError` if files contradict each other, `HostError` if one cannot be read.
    """
    lines = (
        host_keys.known_hosts_line(hop.known_as, key)
        for host in hosts
        for hop in Connection(host).hops()
        if host_keys.is_known_hosts_name(hop.known_as)
        for key in host_keys.pinned_keys(host, hop.known_as).values()
    )
    return "".join(dict.fromkeys(lines))


def proxy_jump(hops: Iterable[JumpHost]) -> str:
    """Return the hops as a ProxyJump value, the nearest first."""
    return ",".join(map(_hop, hops))


def _hop(hop: JumpHost) -> str:
    user = f"{hop.user}@" if hop.user else ""
    port = f":{hop.port}" if hop.port else ""
    return f"{user}[{hop.address}]{port}" if ":" in hop.address else f"{user}{hop.address}{port}"
