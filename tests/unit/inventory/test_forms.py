"""Every form of an inventory, as the real `ansible-inventory` reads it."""

import json
from pathlib import Path

import pytest

from fwbench.inventory.rigs import parse_rigs
from fwbench.model.host import JumpHost, Rig
from fwbench.provisioning.playbook import list_inventory

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


def in_folder(folder: Path) -> Path:
    """Hosts in one file, variables in others, as larger inventories have it."""
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


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755 if text.startswith("#!") else 0o644)
    return path


@pytest.fixture(params=["yaml", "groups", "ini", "script", "folder"])
def inventory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    forms = {
        "yaml": ("hosts.yml", YAML),
        "groups": ("hosts.yaml", BY_GROUP),
        "ini": ("hosts", INI),
        "script": ("hosts.py", SCRIPT),
    }
    if request.param in forms:
        return written(tmp_path, *forms[request.param])
    return in_folder(tmp_path)


def read(inventory: Path) -> tuple[Rig, ...]:
    return parse_rigs(list_inventory(inventory), str(inventory))


def test_the_same_rigs_come_out_of_every_form(inventory: Path) -> None:
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
