"""Tables of hosts: `fwbench doctor`, `provision`, `teardown` and `lab`."""

from collections.abc import Sequence

from tabulate import tabulate

from fwbench.model.host import Rig
from fwbench.model.host_check import HostCheck
from fwbench.model.lab import LabHost
from fwbench.model.play import PlayResult
from fwbench.report.formatting import one_line


def host_check_table(hosts: Sequence[HostCheck]) -> str:
    """Return a row for each host that `fwbench doctor` checked."""
    rows = []
    for host in hosts:
        facts, role = host.facts, "target" if host.is_target else "client"
        if facts is None:
            rows.append([host.host.name, host.rig, role, "failed: see below"])
            continue
        cpus = f"{facts.cpus:g} CPU{'' if facts.cpus == 1 else 's'}"
        size = f"{cpus}, {facts.memory_bytes / 2**30:.1f} GiB"
        if facts.instance_type is not None:
            size = f"{facts.instance_type}: {size}"
        if host.is_target:
            images = ", ".join(image.name for image in facts.images) or "no images"
            installed = (
                f"Docker {facts.engine}, {images}" if facts.engine else "not provisioned yet"
            )
        else:
            loadgens = [f"{name} {version}" for name, version in facts.versions.items()]
            installed = ", ".join(loadgens) or "not provisioned yet"
        rows.append([host.host.name, host.rig, role, "ok", facts.system, size, installed])
    return _table(rows, ["host", "rig", "role", "SSH, sudo", "system", "size", "installed"])


def play_table(result: PlayResult, rigs: Sequence[Rig]) -> str:
    """Return a row for each host that a playbook was to run on."""
    rig_of = {host.name: rig.name for rig in rigs for host in rig.hosts}
    rows = []
    for host in result.hosts:
        outcome = "ok"
        if host.skipped:
            outcome = "skipped: see below"
        elif host.error is not None:
            outcome = "failed: see below"
        elif host.foreign_engine_data:
            outcome = "ok, engine kept: see below"
        rows.append([host.host, rig_of[host.host], outcome, host.changed])
    return _table(rows, ["host", "rig", "result", "changed tasks"])


def lab_table(hosts: Sequence[LabHost]) -> str:
    """Return a row for each host of the lab."""
    if not hosts:
        return "The lab has no hosts. Create some with `fwbench lab up`."
    rows = [
        [
            host.name,
            host.system,
            str(host.size or "–"),
            "up" if host.running else "down",
            f"127.0.0.1:{host.ssh_port}",
            host.load_address,
        ]
        for host in hosts
    ]
    return _table(rows, ["host", "system", "size", "state", "SSH", "load address"])


def _table(rows: Sequence[Sequence[object]], head: Sequence[str]) -> str:
    """Return untrusted text in columns; a host named 007 keeps its zeros."""
    cells = [[one_line(str(cell)) for cell in row] for row in rows]
    return tabulate(cells, headers=head, disable_numparse=True)
