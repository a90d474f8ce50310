"""Every inventory format, parsed by the real `ansible-inventory`."""

import json
from pathlib import Path

import pytest

from fwbench.errors import InventoryError
from fwbench.inventory.rigs import parse_rigs
from fwbench.model.host import JumpHost, Rig
from fwbench.provisioning.inventory import Inventory, list_inventory, parse_source

YAML = """
all:
  vars: {ansible_user: admin, ansible_ssh_common_args: "-J bastion"}
  children:
    targets:
      hosts:
        t1: {fwbench_rig: small, fwbench_price_per_hour: 0.05}
        t2: {fwbench_rig: large, fwbench_price_per_hour: 0.1}
    clients:
      hosts:
        c1: {fwbench_rig: small, ansible_port: 2222}
        c2: {fwbench_rig: large}
        c3: {fwbench_rig: large}
"""
BY_GROUP = """
all:
  vars: {ansible_user: admin, ansible_ssh_common_args: "-J bastion"}
  children:
    small:
      hosts: {t1: , c1: {ansible_port: 2222}}
      vars: {fwbench_rig: small, fwbench_price_per_hour: 0.05}
    large:
      hosts: {t2: , c2: , c3: }
      vars: {fwbench_rig: large, fwbench_price_per_hour: 0.1}
    targets: {hosts: {t1: , t2: }}
    clients: {hosts: {c1: , c2: , c3: }}
"""
INI = """
[targets]
t1 fwbench_rig=small fwbench_price_per_hour=0.05
t2 fwbench_rig=large fwbench_price_per_hour=0.10

[clients]
c1 fwbench_rig=small ansible_port=2222
c[2:3] fwbench_rig=large

[all:vars]
ansible_user=admin
ansible_ssh_common_args=-J bastion
"""
SCRIPT = """#!/usr/bin/env python3
import json
def of(rig, **more):
    return {"fwbench_rig": rig, **more}
print(json.dumps({
    "targets": ["t1", "t2"],
    "clients": {"hosts": ["c1", "c2", "c3"]},
    "all": {"vars": {"ansible_user": "admin", "ansible_ssh_common_args": "-J bastion"}},
    "_meta": {"hostvars": {
        "t1": of("small", fwbench_price_per_hour=0.05),
        "t2": of("large", fwbench_price_per_hour=0.1),
        "c1": of("small", ansible_port=2222),
        "c2": of("large"),
        "c3": of("large"),
    }},
}))
"""


def write_folder(folder: Path) -> Path:
    """Write an inventory folder with hosts and variables in separate files."""
    (folder / "group_vars").mkdir()
    (folder / "host_vars").mkdir()
    (folder / "hosts.ini").write_text(
        "[targets]\nt1\nt2\n\n[small]\nt1\nc1\n\n[large]\nt2\nc[2:3]\n"
    )
    (folder / "clients.yml").write_text("clients: {hosts: {c1: , c2: , c3: }}\n")
    common = {"ansible_user": "admin", "ansible_ssh_common_args": "-J bastion"}
    (folder / "group_vars" / "all.yml").write_text(json.dumps(common))
    (folder / "group_vars" / "small.yml").write_text("fwbench_rig: small\n")
    (folder / "group_vars" / "large.yml").write_text("fwbench_rig: large\n")
    (folder / "host_vars" / "c1.yml").write_text("ansible_port: 2222\n")
    (folder / "host_vars" / "t1.yml").write_text("fwbench_price_per_hour: 0.05\n")
    (folder / "host_vars" / "t2.yml").write_text("fwbench_price_per_hour: 0.1\n")
    return folder


def write_file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755 if text.startswith("#!") else 0o644)
    return path


@pytest.fixture(params=["yaml", "groups", "ini", "script", "folder"])
def inventory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    formats = {
        "yaml": ("hosts.yml", YAML),
        "groups": ("hosts.yaml", BY_GROUP),
        "ini": ("hosts", INI),
        "script": ("hosts.py", SCRIPT),
    }
    if request.param in formats:
        return write_file(tmp_path, *formats[request.param])
    return write_folder(tmp_path)


def read(
    *sources: Path | str, targets: tuple[str, ...] = (), clients: tuple[str, ...] = ()
) -> tuple[Rig, ...]:
    listing = list_inventory(Inventory(sources, targets, clients))
    return parse_rigs(listing, "hosts", targets, clients)


def names(rigs: tuple[Rig, ...]) -> list[tuple[str, ...]]:
    return [tuple(host.name for host in rig.hosts) for rig in rigs]


def test_every_inventory_format_gives_the_same_rigs(inventory: Path) -> None:
    small, large = read(inventory)
    assert (small.name, small.target.name, [c.name for c in small.clients]) == (
        "small",
        "t1",
        ["c1"],
    )
    assert (large.name, large.target.name, [c.name for c in large.clients]) == (
        "large",
        "t2",
        ["c2", "c3"],
    )
    assert [rig.target.price_per_hour for rig in (small, large)] == [0.05, 0.1]
    assert small.clients[0].port == 2222
    for host in (*small.hosts, *large.hosts):
        assert host.user == "admin"
        assert host.jump_hosts == (JumpHost(address="bastion"),)


# Several sources, host lists, and selected hosts


def test_several_sources_are_merged(tmp_path: Path) -> None:
    hosts = write_file(tmp_path, "hosts.ini", "[targets]\nt1\n\n[clients]\nc1\n")
    more = write_file(
        tmp_path, "more.yml", "clients: {hosts: {c2: }, vars: {ansible_port: 2222}}\n"
    )
    (rig,) = read(hosts, more)
    assert names((rig,)) == [("t1", "c1", "c2")]
    assert [client.port for client in rig.clients] == [2222, 2222]


def test_targets_and_clients_are_selected_from_a_host_list() -> None:
    rigs = read("a,b:2222,10.0.0.3,d", targets=("b", "a"), clients=("d", "10.0.0.3"))
    assert names(rigs) == [("b", "d"), ("a", "10.0.0.3")]
    assert rigs[0].target.port == 2222


def test_host_list_of_one_host_is_merged_with_a_file(tmp_path: Path) -> None:
    targets = write_file(tmp_path, "hosts.ini", "[targets]\nt1\n")
    assert names(read(targets, "c1,", clients=("c1",))) == [("t1", "c1")]


def test_selected_groups_include_their_child_groups(tmp_path: Path) -> None:
    inventory = write_file(
        tmp_path,
        "hosts.yml",
        "all:\n"
        "  children:\n"
        "    web: {children: {eu: {hosts: {w1: }}, us: {hosts: {w2: }}}}\n"
        "    load: {hosts: {l1: , l2: , l3: }}\n"
        "    targets: {hosts: {unused: }, vars: {fwbench_region: chosen}}\n",
    )
    rigs = read(inventory, targets=("web",), clients=("l3", "l1"))
    assert names(rigs) == [("w1", "l3"), ("w2", "l1")]
    assert [rig.target.region for rig in rigs] == ["chosen", "chosen"]  # as in the playbook


@pytest.mark.parametrize(("group", "targets"), [("clients", ("both",)), ("targets", ("web",))])
def test_host_with_both_roles_is_refused(
    tmp_path: Path, group: str, targets: tuple[str, ...]
) -> None:
    """The playbooks would install the software of both roles."""
    text = f"[{group}]\nboth\n\n[web]\nw1\n\n[load]\nl1\n"
    inventory = write_file(tmp_path, "hosts.ini", text)
    clients = ("both",) if group == "targets" else ("load",)
    with pytest.raises(InventoryError, match="host 'both' is in targets and in clients"):
        read(inventory, targets=targets, clients=clients)


@pytest.mark.parametrize(
    ("name", "hint"), [("wob", r"; did you mean 'web'\?"), ("x{{ 1 }}", ""), ("wéb", ".*")]
)
def test_unknown_name_is_reported_with_a_suggestion(tmp_path: Path, name: str, hint: str) -> None:
    inventory = write_file(tmp_path, "hosts.ini", "[web]\nw1\n\n[clients]\nc1\n")
    with pytest.raises(InventoryError, match=rf"neither a host nor a group with hosts{hint}$"):
        read(inventory, targets=(name,))


def test_missing_clients_are_an_error_that_names_the_option() -> None:
    with pytest.raises(InventoryError, match=r"group 'clients' has no host: .* with --clients$"):
        read("a,b", targets=("a",))


def test_files_in_a_host_list_are_an_error_that_names_the_option(tmp_path: Path) -> None:
    file = write_file(tmp_path, "one.yml", YAML)
    with pytest.raises(InventoryError, match=f"but {file} is a file: repeat -i for each file"):
        parse_source(f"{file},two.yml")
    assert parse_source("one.yml,two.yml") == "one.yml,two.yml"  # Hosts may have these names.
    file_with_comma = write_file(tmp_path, "a,b.yml", YAML)
    assert parse_source(str(file_with_comma)) == file_with_comma
