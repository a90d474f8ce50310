"""The lab's hosts as an Ansible inventory, with the variables that a cloud's would have."""

from collections.abc import Sequence
from pathlib import Path

from fwbench.model.lab import LabHost, Size


def make_inventory(
    hosts: Sequence[LabHost], key: Path, known_hosts: Path, ca_certs: Sequence[Path]
) -> dict[str, object]:
    """Return the inventory of these hosts; clients are assigned to targets in turn."""
    targets = [host for host in hosts if host.name.startswith("target-")]
    clients = [host for host in hosts if host.name.startswith("client-")]
    return {
        "all": {
            "vars": {
                "ansible_user": "admin",
                "ansible_ssh_private_key_file": str(key),
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={known_hosts}",
                "fwbench_known_hosts": str(known_hosts),
                "fwbench_ca_certs": [str(path) for path in ca_certs],
            },
            "children": {
                "targets": {"hosts": _members(targets, len(targets))},
                "clients": {"hosts": _members(clients, len(targets))},
            },
        }
    }


def _members(hosts: Sequence[LabHost], rigs: int) -> dict[str, dict[str, object]]:
    return {
        host.name: {
            "ansible_host": "127.0.0.1",
            "ansible_port": host.ssh_port,
            "fwbench_load_address": host.load_address,
            "fwbench_rig": f"rig-{number % rigs + 1}",
            **_instance(host.size),
        }
        for number, host in enumerate(hosts)
    }


def _instance(size: Size | None) -> dict[str, object]:
    """Return the variables for a size, named as for a cloud's instance type."""
    if size is None:
        return {}
    price = size.price_per_hour
    return {
        "fwbench_instance_type": size.name,
        **({} if price is None else {"fwbench_price_per_hour": price}),
    }
