"""What the roles may do to a host, and what of the controller they send there.

`docs/security.md` says what is promised. The roles are read here as text, except where a play in
Ansible's check mode shows more.
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
    """Every task of the roles and playbooks, and the file it is in."""
    files = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]
    for file in sorted(files):
        for task in within(yaml.safe_load(file.read_text())):
            yield file.name, task


def within(value: Any) -> Iterator[dict[str, Any]]:
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, dict | list):
            yield from within(part)
    if isinstance(value, dict):
        yield value


def modules() -> Iterator[tuple[str, str, Any]]:
    """Of every task the file, the module and what that is given."""
    for file, task in tasks():
        for key, given in task.items():
            if isinstance(key, str) and key.startswith("ansible.builtin."):
                yield file, key.removeprefix("ansible.builtin."), given


# What is changed on a host

THAT_CHANGE_FILES = {"blockinfile", "copy", "fetch", "file", "lineinfile", "tempfile"}
THAT_CHANGE_NO_FILE = {
    *["assert", "debug", "fail", "find", "meta", "set_fact", "set_stats", "stat"],
    *["import_tasks", "include_role", "include_tasks"],
}
COMMANDS = {"command", "raw", "shell"}
# Folders that fwbench makes and removes, and the files of others that it changes.
WRITTEN = (
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
NOT_FOR_FWBENCH = re.compile(
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
# Commands that change a host, by what they are for. Any other only reads.
THAT_CHANGE_HOSTS = {
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
        "Update the package lists",
        "Record which packages will be new",
        "Install the packages",
    },
    "python.yml": {"Install Python with a raw command"},
}


def test_roles_change_files_in_the_places_that_the_page_names_and_no_others() -> None:
    seen = set()
    for file, module, given in modules():
        assert module in THAT_CHANGE_FILES | THAT_CHANGE_NO_FILE | COMMANDS | {"service"}, file
        if module in THAT_CHANGE_FILES - {"tempfile"}:
            place = given.get("dest") or given["path"]
            assert place.startswith(WRITTEN), f"{file}: {place}"
            seen.add(next(each for each in WRITTEN if place.startswith(each)))
        elif module == "service":
            assert given["name"] == "docker"
    assert seen == set(WRITTEN)


def words(value: Any) -> str:
    """The texts of a value on lines of their own: in JSON, `\\n` would join a line's first word."""
    parts = value.values() if isinstance(value, dict) else value
    return value if isinstance(value, str) else "\n".join(map(words, parts))


def test_roles_touch_no_login_no_sudo_no_firewall_and_reboot_nothing() -> None:
    lines = [(file, words(given)) for file, module, given in modules() if module in COMMANDS]
    assert len(lines) > 30
    lines += [(file.name, file.read_text()) for file in ROOT.glob("roles/*/files/*.py")]
    found = {(file, word) for file, line in lines for word in NOT_FOR_FWBENCH.findall(line)}
    assert found == ALLOWED
    network = (ROOT / "roles/docker_engine/files/network.py").read_text()
    assert set(re.findall(r'"(-[A-Z])"', network)) == {"-S", "-P", "-N", "-D", "-X"}  # no -A, no -I


def test_each_command_that_changes_a_host_is_known() -> None:
    found: dict[str, set[str]] = {}
    for file, task in tasks():
        if COMMANDS & {str(key).removeprefix("ansible.builtin.") for key in task}:
            assert "changed_when" in task, f"{file}: {task['name']}"
            if task["changed_when"] is not False:
                found.setdefault(file, set()).add(task["name"])
    assert found == THAT_CHANGE_HOSTS


def test_the_folders_of_builds_and_images_are_made_by_nobody_but_tempfile() -> None:
    """Ansible makes these with mode 0700."""
    made = [given for _, module, given in modules() if module == "tempfile"]
    assert [given["state"] for given in made] == ["directory"] * 3
    assert {given["prefix"] for given in made} == {"fwbench-build-", "fwbench-images-"}


def test_no_command_holds_the_words_of_another_host() -> None:
    """What comes of them is in files and messages; those of images.tar.gz are images."""
    lines = [(file, json.dumps(given)) for file, module, given in modules() if module in COMMANDS]
    assert [file for file, line in lines if "hostvars" in line] == []


# Where the base image comes from


@pytest.mark.parametrize(
    ("sources", "keyring", "mirror"),
    [
        (
            "http://mirror.example/debian\nhttp://second.example/debian\n",
            [],
            "http://mirror.example/debian",
        ),
        (
            "",  # Ubuntu has no source of Debian
            ["--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"],
            "http://deb.debian.org/debian",
        ),
    ],
    ids=["debian", "ubuntu"],
)
def test_the_base_of_debian_packages_has_debians_mirror_and_keys(
    tmp_path: Path, sources: str, keyring: list[str], mirror: str
) -> None:
    (script,) = (
        given["cmd"]
        for file, module, given in modules()
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
    given = log.read_text().splitlines()
    assert [word for word in given if "keyring" in word] == keyring
    assert (given[-3], given[-1]) == ("trixie", mirror)


# What of the controller leaves it


def refused(place: Path, role: str, entry: str, variables: dict[str, Any]) -> str:
    """Why a role goes no further on this machine, where it only checks."""
    task = {"name": str(paths.data_folder() / "roles" / role), "tasks_from": entry}
    written = [
        {
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable, **variables},
            "tasks": [{"ansible.builtin.include_role": task}],
        }
    ]
    (place / "play.yml").write_text(yaml.safe_dump(written))
    (place / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"box": None}}}))
    played = play(str(place / "play.yml"), Inventory((place / "hosts.yml",)), ["box"], check=True)
    return played.hosts[0].error or ""


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nsesame\n-----END OPENSSH PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nsesame\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("content", [KEY, CERTIFICATE + KEY, "sesame\n"])
def test_an_authority_that_is_no_certificate_is_not_sent(tmp_path: Path, content: str) -> None:
    file = tmp_path / "id_ed25519"
    file.write_text(content)
    variables = {
        "fwbench_host_ca_certs": [str(file)],
        "fwbench_host_state_dir": str(tmp_path),
    }
    trouble = refused(tmp_path, "fwbench_host", "authorities", variables)
    assert f"{file} is not a certificate in PEM, or also contains a key" in trouble
    assert "sesame" not in trouble


def test_a_folder_without_a_dockerfile_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").write_text(KEY)
    variables = {"contender_images_dir": str(tmp_path), "contender_images_names": [".ssh"]}
    trouble = refused(tmp_path, "contender_images", "wanted", variables)
    assert "has no folder with a Dockerfile for .ssh" in trouble


def test_the_settings_of_an_index_are_private_and_stay_in_the_first_stage() -> None:
    (given,) = (
        given
        for _, module, given in modules()
        if module == "copy" and given["dest"].endswith("/pip.conf")
    )
    assert given["mode"] == "0600"
    for file in ROOT.glob("contenders/*/Dockerfile"):
        *_, before, last = re.split("^FROM ", file.read_text(), flags=re.MULTILINE)
        copied = [line.split()[1:-1] for line in last.splitlines() if line.startswith("COPY ")]
        assert "pip.conf" in before, file
        assert "pip.conf" not in last, file
        assert "ADD" not in last.split(), file
        assert not {".", "./", "*", "/build"} & {word for words in copied for word in words}, file


# Whose containers and images are removed


def holdings() -> Any:
    file = ROOT / "roles/docker_engine/files/holdings.py"
    spec = importlib.util.spec_from_file_location("holdings", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MINE, OTHERS = "fwbench.installation=mine", "fwbench.installation=another"
IMAGES = {
    "fwbench/flask:current i1": [MINE],
    "mine/flask:kept i1": [MINE],
    "<none>:<none> i2": [MINE],
    "fwbench/flask:theirs i3": [OTHERS],
    "<none>:<none> i4": [OTHERS],
    "fwbench/named-so:1 i5": [],
    "fwbench-web:1 i6": ["fwbench.session=s"],
}
CONTAINERS = {
    "of-a-session": [MINE, "fwbench.session=s"],
    "of-an-image": [MINE],
    "of-another": [OTHERS, "fwbench.session=s"],
    "labelled-so": ["fwbench.session=s"],
    "fwbench-named-so": [],
}


def matches(filters: set[str], labels: list[str]) -> bool:
    """As Docker has it: with or without a value."""
    known = {*labels, *(label.partition("=")[0] for label in labels)}
    return filters <= known


class Engine:
    """An engine that other people use too, and what was removed from it."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def docker(self, *argv: str, **_: Any) -> str:
        filters = {each.removeprefix("--filter=label=") for each in argv if "--filter" in each}
        if argv[0] == "info":
            return '{"DockerRootDir": "/var/lib/docker"}'
        if argv[0] == "ps":
            return "\n".join(name for name, of in CONTAINERS.items() if matches(filters, of))
        if argv[:2] == ("image", "ls"):
            return "\n".join(name for name, of in IMAGES.items() if matches(filters, of))
        if argv[:2] in (("image", "rm"), ("container", "rm")):
            self.removed.append(argv[-1])
            return ""
        raise AssertionError(argv)


def test_containers_and_images_of_others_stay_whatever_their_name_or_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, engine = holdings(), Engine()
    monkeypatch.setattr(held, "docker", engine.docker)
    monkeypatch.setattr(held, "engine", lambda: {"DockerRootDir": "/var/lib/docker"})
    (tmp_path / "installations").write_text("mine\n")
    found = list(held.remove(tmp_path, dry_run=False))
    assert engine.removed == ["of-a-session", "fwbench/flask:current", "i2"]
    assert found == ["container of-a-session", "image fwbench/flask:current", "image i2"]


@pytest.mark.parametrize(
    ("has_engine", "data", "command"),
    [(False, "absent", "rm"), (False, "use", "stop"), (True, "use", "stop")],
)
def test_containers_from_before_are_stopped_and_never_removed(
    monkeypatch: pytest.MonkeyPatch, has_engine: bool, data: str, command: str
) -> None:
    held, calls = holdings(), []
    monkeypatch.setattr(held, "engine", lambda: {"DockerRootDir": "/var/lib/docker"})
    monkeypatch.setattr(held, "docker", lambda *argv: calls.append(argv) or "c1\n")
    held.end({"has_engine": has_engine, "folders": {"/var/lib/docker": data}})
    listed, ended = calls
    assert ("--all" in listed) == (command == "rm")
    assert ended[0] == command


@pytest.mark.parametrize("has_containerd", [False, True])
def test_a_namespace_of_containerd_keeps_an_engine_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, has_containerd: bool
) -> None:
    held = holdings()
    monkeypatch.setattr(held, "engine", lambda: None)
    monkeypatch.setattr(held, "remaining_data", list)
    monkeypatch.setattr(held, "foreign_namespaces", lambda: ["namespace owner"])
    found = held.foreign([], {"has_engine": False, "has_containerd": has_containerd})
    assert found == ([] if has_containerd else ["namespace owner in containerd"])


def test_nothing_is_removed_where_fwbench_remembers_nothing(tmp_path: Path) -> None:
    program = ROOT / "roles/docker_engine/files/holdings.py"
    argv = [sys.executable, str(program), "remove", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
