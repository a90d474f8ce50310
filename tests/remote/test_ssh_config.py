"""The SSH configuration by which Ansible checks the same host keys as fwbench."""

import getpass
import json
import os
import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sshd import Server, keygen

from fwbench import paths
from fwbench.inventory.rigs import parse_rigs
from fwbench.model.host import Host, JumpHost
from fwbench.provisioning.inventory import Inventory, list_inventory
from fwbench.ssh.jump_hosts import parse_proxy_jump
from fwbench.ssh.remote import SshRemote
from fwbench.ssh.ssh_config import pinned_host_keys, proxy_jump, ssh_config

ANSIBLE = Path(sysconfig.get_path("scripts")) / "ansible"


def effective_config(config: Path, name: str) -> list[str]:
    argv = ["ssh", "-G", "-F", str(config), name]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.fixture
def inventory(sshd: Server, tmp_path: Path) -> Path:
    """Return an inventory with two names of the server, behind a jump host: a third name."""
    variables = {
        "ansible_user": getpass.getuser(),
        "ansible_port": sshd.port,
        "ansible_ssh_private_key_file": str(sshd.user_key),
        "ansible_ssh_common_args": f"-J {getpass.getuser()}@localhost:{sshd.port}",
    }
    groups = {
        "targets": {"hosts": {"t": {"ansible_host": "127.0.0.1"}}},
        "clients": {"hosts": {"c": {"ansible_host": "127.1"}}},
    }
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"all": {"vars": variables, "children": groups}}))
    return path


def write_config(folder: Path, hosts: Sequence[Host]) -> Path:
    pinned, config = folder / "pinned", folder / "ssh_config"
    pinned.write_text(pinned_host_keys(hosts))
    config.write_text(ssh_config(hosts, pinned))
    return config


def ansible(inventory: Path, config: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [ANSIBLE, "-i", inventory, "all", "-m", "raw", "-a", "echo here"],
        env={**os.environ, "ANSIBLE_SSH_ARGS": f"-F {config}", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_fwbench_and_ansible_use_the_same_jump_host(inventory: Path, tmp_path: Path) -> None:
    (rig,) = parse_rigs(list_inventory(Inventory((inventory,))), "x")
    for host in rig.hosts:
        with SshRemote(host) as box:
            box.check(["true"])
    config = write_config(tmp_path, rig.hosts)
    result = ansible(inventory, config)
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("here") == 2


def test_ansible_refuses_a_changed_key_of_a_jump_host(
    sshd: Server, inventory: Path, tmp_path: Path
) -> None:
    (rig,) = parse_rigs(list_inventory(Inventory((inventory,))), "x")
    with SshRemote(rig.target) as box:
        box.check(["true"])
    other = Path(f"{keygen(tmp_path / 'other')}.pub").read_text().split()[:2]
    known = paths.known_hosts()
    lines = [line for line in known.read_text().splitlines() if "localhost" not in line]
    known.write_text("\n".join([*lines, f"[localhost]:{sshd.port} {' '.join(other)}", ""]))
    config = write_config(tmp_path, [rig.target])
    assert ansible(inventory, config).returncode != 0


def test_paths_with_special_characters_are_written_correctly(
    host: Callable[..., Host], tmp_path: Path
) -> None:
    path = tmp_path / "a b%h"
    config = tmp_path / "ssh_config"
    config.write_text(
        ssh_config([host(jump_hosts=(JumpHost(address="bastion", key_file=path),))], path)
    )
    lines = effective_config(config, "bastion")
    assert "stricthostkeychecking true" in lines
    assert any("a b" in line for line in lines if line.startswith("identityfile "))
    (files,) = [line for line in lines if line.startswith("userknownhostsfile ")]
    assert str(paths.known_hosts()) in files
    assert not any("a b" in line for line in effective_config(config, "x") if "identity" in line)


def test_pinned_keys_are_only_those_that_fwbench_accepts(
    sshd: Server, host: Callable[..., Host], tmp_path: Path
) -> None:
    """ssh itself would also accept the file's patterns, and its keys of other hosts."""
    kind, data = Path(f"{keygen(tmp_path / 'other')}.pub").read_text().split()[:2]
    file = tmp_path / "inventory known hosts"
    name = sshd.name_in_known_hosts
    file.write_text(
        f"* {kind} {data}\nelsewhere.invalid {kind} {data}\n"
        f"bastion {kind} {data}\n{name} {kind} {data}\n"
    )
    other = host(name="other", address="elsewhere.invalid", port=22)
    behind = host(known_hosts=file, jump_hosts=(JumpHost(address="bastion"),))
    pinned = pinned_host_keys(
        [behind, other, host(name="star", address="*", port=22, known_hosts=file)]
    )
    assert pinned == f"bastion {kind} {data}\n{name} {kind} {data}\n"
    config = "\n".join(effective_config(write_config(tmp_path, [behind]), "x"))
    assert str(file) not in config


@pytest.mark.parametrize("text", ["bastion", "me@one:2222,[fd00::1]:22,me@fd00", "[fd00::1]"])
def test_parsed_proxy_jump_is_written_unchanged(text: str) -> None:
    assert proxy_jump(parse_proxy_jump(text)) == text
