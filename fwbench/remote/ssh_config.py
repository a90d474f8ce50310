"""What OpenSSH has to be told, so that Ansible checks the keys that fwbench's connections check."""

from collections.abc import Iterable
from pathlib import Path

from fwbench.model.host import Host
from fwbench.remote.connection import known_hosts_files


def ssh_config(hosts: Iterable[Host]) -> str:
    """A configuration for `ssh -F`, which goes before the user's own and includes it.

    ssh hands it on to the hops of a ProxyJump, as it does with no option: without it a hop's key
    would be looked for in the user's own known_hosts alone, and its login tried without the key.
    """
    hosts = tuple(hosts)
    files = dict.fromkeys(path for host in hosts for path in known_hosts_files(host))
    lines = ["StrictHostKeyChecking yes"]
    if files:
        lines.append(f"UserKnownHostsFile {' '.join(map(_quoted, files))}")
    keys = {
        hop.address: key
        for host in hosts
        for hop in host.jump or ()
        if (key := hop.key_file or host.key_file)
    }
    for address, key in keys.items():
        lines += [f"Host {address}", f"  IdentityFile {_quoted(key)}"]
    lines += ["Match all", "  Include ~/.ssh/config", "  Include /etc/ssh/ssh_config"]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    text = str(path.absolute()).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
