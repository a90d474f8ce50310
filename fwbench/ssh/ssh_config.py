"""The ssh configuration with which Ansible checks the same host keys as fwbench."""

from collections.abc import Iterable

from fwbench.model.host import Host, JumpHost
from fwbench.ssh import openssh
from fwbench.ssh.connection import known_hosts_files


def ssh_config(hosts: Iterable[Host]) -> str:
    """Return a configuration for `ssh -F` with the hosts' known_hosts and jump hosts' keys."""
    hosts = tuple(hosts)
    return openssh.configuration(
        known_hosts=dict.fromkeys(path for host in hosts for path in known_hosts_files(host)),
        key_files={
            hop.address: key
            for host in hosts
            for hop in host.jump_hosts or ()
            if (key := hop.key_file or host.key_file)
        },
    )


def proxy_jump(hops: Iterable[JumpHost]) -> str:
    """Return the hops as a ProxyJump value, the nearest first."""
    return ",".join(map(_hop, hops))


def _hop(hop: JumpHost) -> str:
    user = f"{hop.user}@" if hop.user else ""
    port = f":{hop.port}" if hop.port else ""
    return f"{user}[{hop.address}]{port}" if ":" in hop.address else f"{user}{hop.address}{port}"
