"""Tables of hosts: `fwbench doctor`, `provision`, `teardown` and `lab`."""

from collections.abc import Sequence

from tabulate import tabulate

from fwbench.model.host import Rig
from fwbench.model.host_check import NOT_YET, HostCheck
from fwbench.model.lab import LabHost
from fwbench.model.play import PlayResult
from fwbench.model.record import HostFacts
from fwbench.report.formatting import one_line


def host_check_table(hosts: Sequence[HostCheck]) -> str:
    """Return a row for each host that `fwbench doctor` checked, and what is wrong with them."""
    head = ["host", "rig", "role", "SSH, sudo", "system", "size", "installed", "provisioned"]
    table = _table([_host_check_row(host) for host in hosts], head)
    notes = [_incomplete_line(host) for host in hosts if host.missing not in (None, NOT_YET)]
    notes += _shared_keys(hosts)
    return "\n".join([table, "", *notes] if notes else [table])


def _shared_keys(hosts: Sequence[HostCheck]) -> list[str]:
    """Return a line for each host key that several hosts show."""
    names: dict[str, list[str]] = {}
    for host in hosts:
        if host.host_key is not None:
            names.setdefault(host.host_key, []).append(host.host.name)
    return [
        one_line(
            f"{', '.join(sharing)} show the same host key ({key}), as machines do that were cloned:"
            " whoever controls one can pose as the others. Make new keys on all but one:"
            " `sudo rm /etc/ssh/ssh_host_*_key* && sudo ssh-keygen -A`, and restart sshd."
        )
        for key, sharing in names.items()
        if len(sharing) > 1
    ]


def _incomplete_line(check: HostCheck) -> str:
    name, missing = check.host.name, check.missing or ""
    return one_line(missing if missing.startswith(name) else f"{name}: {missing}")


def _host_check_row(check: HostCheck) -> list[str]:
    row = [check.host.name, check.rig, "target" if check.is_target else "client"]
    if check.error is not None:
        return [*row, "failed: see below"]
    facts = [""] * 3 if check.facts is None else _facts_cells(check.facts, check.is_target)
    provisioned = {None: "yes", NOT_YET: NOT_YET}.get(check.missing, "incomplete: see below")
    return [*row, "ok", *facts, provisioned]


def _facts_cells(facts: HostFacts, is_target: bool) -> list[str]:
    """Return the cells for system, size and installed software."""
    cpus = f"{facts.cpus:g} CPU{'' if facts.cpus == 1 else 's'}"
    size = f"{cpus}, {facts.memory_bytes / 2**30:.1f} GiB"
    if facts.instance_type is not None:
        size = f"{facts.instance_type}: {size}"
    if is_target:
        engine = [f"Docker {facts.engine}"] if facts.engine else []
        installed = [*engine, *(image.name for image in facts.images)]
    else:
        installed = [f"{name} {version}" for name, version in facts.versions.items()]
    return [facts.system, size, ", ".join(installed) or "nothing"]


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
