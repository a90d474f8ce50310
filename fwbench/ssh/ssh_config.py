"""What OpenSSH has to be told, so that Ansible checks the keys that fwbench's connections check."""

from collections.abc import Iterable

from fwbench.model.host import Host, JumpHost
from fwbench.ssh import openssh
from fwbench.ssh.connection import known_hosts_files


def ssh_config(hosts: Iterable[Host]) -> str:
    """Return a configuration for `ssh -F` that knows the hosts' files of keys, and hops' logins."""
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
    """Return the hops as ssh's ProxyJump takes them, the nearest first."""
    return ",".join(map(_hop, hops))


def _hop(hop: JumpHost) -> str:
    user = f"{hop.user}@" if hop.user else ""
    port = f":{hop.port}" if hop.port else ""
    return f"{user}[{hop.address}]{port}" if ":" in hop.address else f"{user}{hop.address}{port}"
