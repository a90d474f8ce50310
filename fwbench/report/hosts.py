"""Tables about hosts: what they are, and what a playbook did on them."""

from collections.abc import Sequence

from tabulate import tabulate

from fwbench.doctor import Examined
from fwbench.lab.hosts import LabHost
from fwbench.playbook import Played


def examined(hosts: Sequence[Examined]) -> str:
    """One line for each host that `fwbench doctor` looked at."""
    rows = []
    for host in hosts:
        facts, role = host.facts, "target" if host.serves else "client"
        if facts is None:
            rows.append([host.host.name, host.rig, role, "trouble: see below"])
            continue
        size = f"{facts.cpus:g} CPUs, {facts.memory_bytes / 2**30:.1f} GiB"
        if host.serves:
            images = ", ".join(image.name for image in facts.images) or "no images"
            has = f"engine {facts.engine}, {images}" if facts.engine else "not provisioned yet"
        else:
            has = f"h2load {facts.h2load}" if facts.h2load else "not provisioned yet"
        rows.append([host.host.name, host.rig, role, "ok", facts.system, size, has])
    return tabulate(rows, headers=["host", "rig", "role", "SSH, sudo", "system", "size", "has"])


def played(result: Played) -> str:
    """One line for each host that a playbook went through."""
    rows = [[host.host, "ok", host.changed] for host in result.hosts]
    return tabulate(rows, headers=["host", "result", "tasks that changed something"])


def lab(hosts: Sequence[LabHost]) -> str:
    """One line for each host of the lab."""
    if not hosts:
        return "the lab has no hosts; `fwbench lab up` brings some up"
    rows = [
        [
            host.name,
            host.system,
            "up" if host.running else "down",
            f"127.0.0.1:{host.ssh_port}",
            host.load_address,
        ]
        for host in hosts
    ]
    return tabulate(rows, headers=["host", "system", "state", "SSH", "load address"])
