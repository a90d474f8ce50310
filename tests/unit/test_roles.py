"""What the roles may change on a host, and which files of the controller they send there.

`docs/security.md` lists the promises. Most tests here read the roles as text. Some play them in
Ansible's check mode, or execute their scripts.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from repository import ROOT

from fwbench import paths
from fwbench.provisioning.inventory import Inventory
from fwbench.provisioning.playbook import play


def tasks() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every task of the roles and playbooks, after the name of its file."""
    files = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]
    for file in sorted(files):
        for task in mappings_in(yaml.safe_load(file.read_text())):
            yield file.name, task


def mappings_in(value: Any) -> Iterator[dict[str, Any]]:
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, dict | list):
            yield from mappings_in(part)
    if isinstance(value, dict):
        yield value


def modules() -> Iterator[tuple[str, str, Any]]:
    """Yield file name, module and arguments of every task."""
    for file, task in tasks():
        for key, arguments in task.items():
            if isinstance(key, str) and key.startswith("ansible.builtin."):
                yield file, key.removeprefix("ansible.builtin."), arguments


# Changes on a host

FILE_MODULES = {"blockinfile", "copy", "fetch", "file", "lineinfile", "tempfile"}
OTHER_MODULES = {
    *["assert", "debug", "fail", "find", "meta", "set_fact", "set_stats", "stat"],
    *["import_tasks", "include_role", "include_tasks"],
}
COMMAND_MODULES = {"command", "raw", "shell"}
# fwbench's own folders, and files of the system that it changes.
WRITABLE = (
    "/etc/default/docker",
    "/usr/local/share/ca-certificates/",
    "{{ contender_images_build.path }}",
    "{{ contender_images_controller_dir.path }}",
    "{{ contender_images_installations }}",
    "{{ contender_images_records_dir",
    "{{ contender_images_target_dir.path }}",
    "{{ contender_images_tmp_dir }}",
    "{{ docker_engine_state_dir }}",
    "{{ fwbench_host_state_dir }}",
)
FORBIDDEN = re.compile(
    r"\b(reboot|shutdown|poweroff|halt|kexec|telinit|sshd|ssh_config|authorized_keys"
    r"|ssh-keygen|ssh-copy-id|sudoers|visudo|su|sudo|passwd|chpasswd|shadow|chage|chsh|vipw"
    r"|user(?:add|mod|del)|group(?:add|mod|del)|add(?:user|group)|del(?:user|group)|gpasswd|newusers"
    r"|crontab|systemd-run|setcap|ufw|firewall-cmd|nft|ipset|ebtables|arptables"
    r"|ip6?tables(?:-\w+)?|sysctl|modprobe|insmod|mkfs|fdisk|swapoff|swapon|curl|wget|nc|ncat)\b"
)
ALLOWED = {
    ("network.py", "iptables"),  # reads what was there, and puts it back
    ("network.py", "ip6tables"),
    ("network.py", "iptables-save"),  # a comment
    ("before.py", "groupdel"),  # the group that the engine's package made
    ("packages_remove.yml", "passwd"),  # `getent passwd`: where the login's home folder is
}
# The tasks whose commands change a host, by file. All other commands only read.
CHANGING_COMMANDS = {
    "base.yml": {"Try to pull the base image"},
    "base_debian.yml": {"Make the base image from packages of Debian 13"},
    "build_images.yml": {
        "Label the base image with the id of this installation",
        "Build the images",
    },
    "provide.yml": {"Tag the images as `current`"},
    "prune.yml": {"Remove what the builds left"},
    "ship.yml": {"Save the images", "Load the images"},
    "install.yml": {
        "Record the state of the host before the engine",
        "Record the state of the network before the engine",
    },
    "remove.yml": {
        "Remove or stop the remaining containers",
        "Stop the engine, and restore folders and services",
        "Restore the network",
        "Rebuild the system's bundle of authorities",
    },
    "packages_remove.yml": {"Remove the packages that fwbench installed, and its records"},
    "remove_own.yml": {"Remove fwbench's containers and images from the engine"},
    "authorities.yml": {"Update the system's bundle of authorities"},
    "packages_install.yml": {
        "Finish an installation of fwbench's that was interrupted",
        "Update the package lists",
        "Record which packages will be new",
        "Install the packages",
    },
    "python.yml": {"Install Python with a raw command"},
}


def test_roles_write_only_in_the_documented_places() -> None:
    used = set()
    for file, module, arguments in modules():
        assert module in FILE_MODULES | OTHER_MODULES | COMMAND_MODULES | {"service"}, file
        if module in FILE_MODULES - {"tempfile"}:
            path = arguments.get("dest") or arguments["path"]
            assert path.startswith(WRITABLE), f"{file}: {path}"
            used.add(next(prefix for prefix in WRITABLE if path.startswith(prefix)))
        elif module == "service":
            assert arguments["name"] == "docker"
    assert used == set(WRITABLE)


def strings_in(value: Any) -> str:
    """Return the strings in a value, one a line; JSON would escape their line breaks as `\\n`."""
    parts = value.values() if isinstance(value, dict) else value
    return value if isinstance(value, str) else "\n".join(map(strings_in, parts))


def test_roles_change_no_login_sudo_or_firewall_and_never_reboot() -> None:
    lines = [
        (file, strings_in(arguments))
        for file, module, arguments in modules()
        if module in COMMAND_MODULES
    ]
    assert len(lines) > 30
    lines += [(file.name, file.read_text()) for file in ROOT.glob("roles/*/files/*.py")]
    matches = {(file, word) for file, line in lines for word in FORBIDDEN.findall(line)}
    assert matches == ALLOWED
    network = (ROOT / "roles/docker_engine/files/network.py").read_text()
    assert set(re.findall(r'"(-[A-Z])"', network)) == {"-S", "-P", "-N", "-D", "-X"}  # no -A, no -I


def test_commands_that_change_a_host_are_listed() -> None:
    changing: dict[str, set[str]] = {}
    for file, task in tasks():
        if COMMAND_MODULES & {str(key).removeprefix("ansible.builtin.") for key in task}:
            assert "changed_when" in task, f"{file}: {task['name']}"
            if task["changed_when"] is not False:
                changing.setdefault(file, set()).add(task["name"])
    assert changing == CHANGING_COMMANDS


def test_build_and_image_folders_are_made_by_tempfile() -> None:
    """Ansible's `tempfile` makes folders with mode 0700."""
    tempfiles = [arguments for _, module, arguments in modules() if module == "tempfile"]
    assert [arguments["state"] for arguments in tempfiles] == ["directory"] * 3
    assert {arguments["prefix"] for arguments in tempfiles} == {"fwbench-build-", "fwbench-images-"}


def test_no_command_contains_values_from_another_host() -> None:
    """Such values only go into files and messages. The content of images.tar.gz is images."""
    lines = [
        (file, json.dumps(arguments))
        for file, module, arguments in modules()
        if module in COMMAND_MODULES
    ]
    assert [file for file, line in lines if "hostvars" in line] == []


# Source of the base image


@pytest.mark.parametrize(
    ("sources", "keyring", "mirror"),
    [
        (
            "http://mirror.example/debian\nhttp://second.example/debian\n",
            [],
            "http://mirror.example/debian",
        ),
        (
            "",  # Ubuntu's sources have no Debian mirror
            ["--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"],
            "http://deb.debian.org/debian",
        ),
    ],
    ids=["debian", "ubuntu"],
)
def test_debian_base_uses_debians_mirror_and_keyring(
    tmp_path: Path, sources: str, keyring: list[str], mirror: str
) -> None:
    (script,) = (
        arguments["cmd"]
        for file, module, arguments in modules()
        if file == "base_debian.yml" and module == "shell"
    )
    log = tmp_path / "log"
    (tmp_path / "sources").write_text(sources)
    programs = {
        "apt-get": f'case "$*" in *"Origin: Debian Label: Debian"*) cat {tmp_path}/sources ;; esac',
        "apt-config": "true",
        "mmdebstrap": f'printf "%s\\n" "$@" >{log}',
        "docker": "true",
    }
    for name, command in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{command}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-c", re.sub(r"\{\{.*?\}\}", str(tmp_path), script)],
        env={**os.environ, "PATH": path},
        check=True,
    )
    argv = log.read_text().splitlines()
    assert [word for word in argv if "keyring" in word] == keyring
    assert (argv[-3], argv[-1]) == ("trixie", mirror)


# Files of the controller


def role_error(folder: Path, role: str, tasks_from: str, variables: dict[str, Any]) -> str:
    """Return the error of a role that is played on this machine in check mode."""
    role_to_include = {"name": str(paths.data_folder() / "roles" / role), "tasks_from": tasks_from}
    playbook = [
        {
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable, **variables},
            "tasks": [{"ansible.builtin.include_role": role_to_include}],
        }
    ]
    (folder / "play.yml").write_text(yaml.safe_dump(playbook))
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"box": None}}}))
    result = play(str(folder / "play.yml"), Inventory((folder / "hosts.yml",)), ["box"], check=True)
    return result.hosts[0].error or ""


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nsesame\n-----END OPENSSH PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nsesame\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("content", [KEY, CERTIFICATE + KEY, "sesame\n"])
def test_authority_file_that_is_no_certificate_is_not_sent(tmp_path: Path, content: str) -> None:
    file = tmp_path / "id_ed25519"
    file.write_text(content)
    variables = {
        "fwbench_host_ca_certs": [str(file)],
        "fwbench_host_state_dir": str(tmp_path),
    }
    error = role_error(tmp_path, "fwbench_host", "authorities", variables)
    assert f"{file} is not a certificate in PEM, or also contains a key" in error
    assert "sesame" not in error


def test_folder_without_a_dockerfile_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").write_text(KEY)
    variables = {"contender_images_dir": str(tmp_path), "contender_images_names": [".ssh"]}
    error = role_error(tmp_path, "contender_images", "wanted", variables)
    assert "has no folder with a Dockerfile for .ssh" in error


def test_pip_settings_are_private_and_stay_in_the_first_stage() -> None:
    (arguments,) = (
        arguments
        for _, module, arguments in modules()
        if module == "copy" and arguments["dest"].endswith("/pip.conf")
    )
    assert arguments["mode"] == "0600"
    for file in ROOT.glob("contenders/*/Dockerfile"):
        *_, first_stage, last_stage = re.split("^FROM ", file.read_text(), flags=re.MULTILINE)
        copy_sources = [
            line.split()[1:-1] for line in last_stage.splitlines() if line.startswith("COPY ")
        ]
        assert "pip.conf" in first_stage, file
        assert "pip.conf" not in last_stage, file
        assert "ADD" not in last_stage.split(), file
        assert not {".", "./", "*", "/build"} & {
            word for sources in copy_sources for word in sources
        }, file


# Removal of containers and images


def load_holdings() -> Any:
    file = ROOT / "roles/docker_engine/files/holdings.py"
    spec = importlib.util.spec_from_file_location("holdings", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OWN, FOREIGN = "fwbench.installation=mine", "fwbench.installation=another"
IMAGES = {
    "fwbench/flask:current i1": [OWN],
    "mine/flask:kept i1": [OWN],
    "<none>:<none> i2": [OWN],
    "fwbench/flask:theirs i3": [FOREIGN],
    "<none>:<none> i4": [FOREIGN],
    "fwbench/named-so:1 i5": [],
    "fwbench-web:1 i6": ["fwbench.session=s"],
}
CONTAINERS = {
    "of-a-session": [OWN, "fwbench.session=s"],
    "of-an-image": [OWN],
    "of-another": [FOREIGN, "fwbench.session=s"],
    "labelled-so": ["fwbench.session=s"],
    "fwbench-named-so": [],
}


def matches(filters: set[str], labels: list[str]) -> bool:
    """Filter like Docker, by label or by label and value."""
    known = {*labels, *(label.partition("=")[0] for label in labels)}
    return filters <= known


class FakeEngine:
    """An engine with containers and images of fwbench and of others. It records removals."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def docker(self, *argv: str, **_: Any) -> str:
        filters = {
            argument.removeprefix("--filter=label=") for argument in argv if "--filter" in argument
        }
        if argv[0] == "info":
            return '{"DockerRootDir": "/var/lib/docker"}'
        if argv[0] == "ps":
            return "\n".join(
                name for name, labels in CONTAINERS.items() if matches(filters, labels)
            )
        if argv[:2] == ("image", "ls"):
            return "\n".join(name for name, labels in IMAGES.items() if matches(filters, labels))
        if argv[:2] in (("image", "rm"), ("container", "rm")):
            self.removed.append(argv[-1])
            return ""
        raise AssertionError(argv)


def test_removal_keeps_containers_and_images_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holdings, engine = load_holdings(), FakeEngine()
    monkeypatch.setattr(holdings, "docker", engine.docker)
    monkeypatch.setattr(holdings, "engine", lambda: {"DockerRootDir": "/var/lib/docker"})
    (tmp_path / "installations").write_text("mine\n")
    reported = list(holdings.remove(tmp_path, dry_run=False))
    assert engine.removed == ["of-a-session", "fwbench/flask:current", "i2"]
    assert reported == ["container of-a-session", "image fwbench/flask:current", "image i2"]


@pytest.mark.parametrize(
    ("has_engine", "data", "command"),
    [(False, "absent", "rm"), (False, "use", "stop"), (True, "use", "stop")],
)
def test_earlier_containers_are_stopped_and_never_removed(
    monkeypatch: pytest.MonkeyPatch, has_engine: bool, data: str, command: str
) -> None:
    holdings, calls = load_holdings(), []
    monkeypatch.setattr(holdings, "engine", lambda: {"DockerRootDir": "/var/lib/docker"})
    monkeypatch.setattr(holdings, "docker", lambda *argv: calls.append(argv) or "c1\n")
    holdings.end({"has_engine": has_engine, "folders": {"/var/lib/docker": data}})
    list_argv, end_argv = calls
    assert ("--all" in list_argv) == (command == "rm")
    assert end_argv[0] == command


@pytest.mark.parametrize("has_containerd", [False, True])
def test_containerd_namespace_keeps_an_unresponsive_engine(
    monkeypatch: pytest.MonkeyPatch, has_containerd: bool
) -> None:
    holdings = load_holdings()
    monkeypatch.setattr(holdings, "engine", lambda: None)
    monkeypatch.setattr(holdings, "remaining_data", list)
    monkeypatch.setattr(holdings, "foreign_namespaces", lambda: ["namespace owner"])
    foreign_data = holdings.foreign([], {"has_engine": False, "has_containerd": has_containerd})
    assert foreign_data == ([] if has_containerd else ["namespace owner in containerd"])


def test_nothing_is_removed_without_fwbench_records(tmp_path: Path) -> None:
    program = ROOT / "roles/docker_engine/files/holdings.py"
    argv = [sys.executable, str(program), "remove", str(tmp_path)]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == []


def test_network_without_a_record_is_left_as_it_is(tmp_path: Path) -> None:
    script = ROOT / "roles/docker_engine/files/network.py"
    result = subprocess.run(
        [sys.executable, str(script), "restore", str(tmp_path / "network.json")],
        capture_output=True,
        text=True,
        env={"PATH": ""},  # no iptables: an attempt to change anything would fail
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
