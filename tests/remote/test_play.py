"""Playbooks over a real sshd: Ansible's ssh accepts only the host keys that fwbench accepts."""

import getpass
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sshd import Server, free_port, keygen

from fwbench import paths
from fwbench.errors import FwbenchError, HostError
from fwbench.inventory.rigs import parse_rigs
from fwbench.model.host import Client, Host, JumpHost, Rig, Target
from fwbench.model.play import PlayResult
from fwbench.provisioning.inventory import Inventory, list_inventory
from fwbench.provisioning.provision import check_connections, provisioning_error, run_playbook
from fwbench.ssh import openssh
from fwbench.ssh.remote import SshRemote

HostOf = Callable[..., Host]
RecordKey = Callable[[str, Path], Path]
ME = getpass.getuser()
CHANGED = "shows another host key than before (ssh-ed25519 SHA256:"


class CommandPlaybook:
    """Execute one raw command on one host by a playbook, with given inventory variables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.output = folder / "output"

    def __call__(self, host: Host, command: str = "true", **variables: Any) -> PlayResult:
        """Return the result of the playbook; the command's output goes to the file `output`."""
        defaults = {
            "ansible_host": host.address,
            "ansible_port": host.port,
            "ansible_user": host.user,
            "ansible_ssh_private_key_file": str(host.key_file) if host.key_file else None,
        }
        hostvars = {key: value for key, value in defaults.items() if value is not None} | variables
        inventory = self._folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": {host.name: hostvars}}}))
        return run_playbook(str(self.write(command)), Inventory((inventory,)), [host])

    def write(self, command: str) -> Path:
        """Write a playbook that executes a command and redirects its output to `output`."""
        task = {"name": "Execute", "ansible.builtin.raw": f"{{ {command}; }} > {self.output} 2>&1"}
        playbook = self._folder / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
        return playbook

    def error(self, host: Host, **variables: Any) -> str:
        """Return the error of a playbook that does not reach the host."""
        result = self(host, "echo here", **variables)
        assert not self.output.exists(), "the command was executed"
        return result.hosts[0].error or ""


@pytest.fixture
def command_playbook(tmp_path: Path) -> CommandPlaybook:
    return CommandPlaybook(tmp_path)


@pytest.fixture
def machine(tmp_path: Path) -> Server:
    """Return a second server, not started yet, which authorizes only its own user key."""
    (tmp_path / "machine").mkdir()
    return Server(tmp_path / "machine")


@pytest.fixture
def refused(sshd: Server, host: HostOf, record_key: RecordKey, tmp_path: Path) -> Host:
    """Return a host whose recorded key differs from its actual one."""
    record_key(sshd.name_in_known_hosts, keygen(tmp_path / "earlier-key"))
    return host()


def write_ssh_config(home: Path, text: str) -> None:
    (home / ".ssh").mkdir(exist_ok=True)
    (home / ".ssh" / "config").write_text(text)


def masters(folder: Path) -> list[str]:
    """Return the process titles of the ssh masters whose sockets are in a folder."""
    titles = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended
            title = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if title.startswith(f"ssh: {folder}/"):
                titles.append(title.strip())
    return titles


def await_end_of_masters(folder: Path) -> list[str]:
    """Wait up to 5 s for the ssh masters to end; return those that still exist."""
    deadline = time.monotonic() + 5
    while (remaining := masters(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return remaining


# A key that changed after the first contact


def test_playbook_refuses_a_changed_host_key(
    machine: Server, host: HostOf, command_playbook: CommandPlaybook
) -> None:
    box = host(port=machine.port, key_file=machine.user_key)
    with machine.running():
        check_connections([box])
    machine.change_host_key()
    with machine.running():
        error = command_playbook.error(box)
    assert error.startswith(f"box: 127.0.0.1:{machine.port} {CHANGED}")
    assert f"remove its line from {paths.known_hosts()}" in error


def test_playbook_refuses_a_changed_key_of_a_jump_host(
    machine: Server, host: HostOf, command_playbook: CommandPlaybook
) -> None:
    jump_host = JumpHost(address="localhost", port=machine.port, user=ME, key_file=machine.user_key)
    box = host(jump_hosts=(jump_host,))
    arguments = f"-J {ME}@localhost:{machine.port}"
    with machine.running():
        check_connections([box])
        assert command_playbook(box, ansible_ssh_common_args=arguments).failed == ()
    command_playbook.output.unlink()
    machine.change_host_key()
    with machine.running():
        error = command_playbook.error(box, ansible_ssh_common_args=arguments)
    assert error.startswith(f"box: localhost:{machine.port} (a jump host) {CHANGED}")


def test_playbook_refuses_a_host_key_of_another_type(
    machine: Server, host: HostOf, command_playbook: CommandPlaybook
) -> None:
    box = host(port=machine.port, key_file=machine.user_key)
    with machine.running():
        check_connections([box])
    machine.host_key.unlink()
    keygen(machine.host_key, "ecdsa")
    with machine.running():
        error = command_playbook.error(box)
    assert "shows another host key than before (ecdsa-sha2-nistp256 SHA256:" in error


def test_changed_key_has_exit_code_5_and_names_the_host(
    refused: Host, command_playbook: CommandPlaybook
) -> None:
    result = command_playbook(refused)
    target = Target(**dict(refused), load_address="127.0.0.1")
    rig = Rig(name="r", target=target, clients=(Client(name="c", address="c"),))
    error = provisioning_error(result, [rig])
    assert isinstance(error, HostError)
    assert error.exit_code == 5
    assert str(error).startswith(f"box: 127.0.0.1:{refused.port} {CHANGED}")


# No setting turns the check off


REFUSED_IN_INVENTORY = "would replace the options that make ssh check host keys"
CONTRADICTED = "contain different ssh-ed25519 keys of"


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, CHANGED),
        ({"ansible_host_key_checking": False}, CHANGED),
        ({"ansible_ssh_host_key_checking": False}, CHANGED),
        ({"ansible_ssh_args": "-o StrictHostKeyChecking=no"}, REFUSED_IN_INVENTORY),
        ({"ansible_ssh_args": ""}, REFUSED_IN_INVENTORY),
        ({"ansible_ssh_common_args": "-o StrictHostKeyChecking=no"}, CHANGED),
        ({"ansible_ssh_extra_args": "-oStrictHostKeyChecking=off"}, CHANGED),
        (
            {"ansible_ssh_common_args": "-o NoHostAuthenticationForLocalhost=yes"},
            "has 'nohostauthenticationforlocalhost'",
        ),
        ({"fwbench_known_hosts": "{known}"}, CONTRADICTED),
        ({"ansible_ssh_common_args": "-o UserKnownHostsFile={known}"}, CONTRADICTED),
        (
            {"ansible_ssh_common_args": "-o GlobalKnownHostsFile={known}"},
            "has 'globalknownhostsfile'",
        ),
        (
            {"ansible_ssh_common_args": "-o 'KnownHostsCommand=/bin/cat {known}'"},
            "has 'knownhostscommand'",
        ),
    ],
)
def test_no_variable_turns_the_check_off(
    refused: Host,
    sshd: Server,
    command_playbook: CommandPlaybook,
    tmp_path: Path,
    variables: dict[str, Any],
    reason: str,
) -> None:
    """fwbench refuses the inventory, and Ansible would refuse the host key anyway."""
    hostvars = {
        key: value.format(known=current_known_hosts(sshd, tmp_path))
        if isinstance(value, str)
        else value
        for key, value in variables.items()
    }
    inventory = Inventory((write_inventory(tmp_path, refused, hostvars),))
    with pytest.raises(FwbenchError, match=re.escape(reason)):
        check_connections(parse_rigs(list_inventory(inventory), "x")[0].hosts)
    if reason == CHANGED:  # fwbench accepts the inventory, so Ansible must refuse the key
        (rig,) = parse_rigs(list_inventory(inventory), "x")
        result = run_playbook(str(command_playbook.write("echo here")), inventory, rig.hosts)
        assert [CHANGED in (each.error or "") for each in result.hosts] == [True, False]
    assert CHANGED in command_playbook.error(refused, **hostvars)
    assert not command_playbook.output.exists(), "the command was executed"


def write_inventory(folder: Path, host: Host, variables: dict[str, Any]) -> Path:
    """Write an inventory with the host as its target and a client that does not exist."""
    defaults = {
        "ansible_host": host.address,
        "ansible_port": host.port,
        "ansible_user": host.user,
        "ansible_ssh_private_key_file": str(host.key_file),
    }
    path = folder / "rigs.json"
    path.write_text(
        json.dumps(
            {
                "targets": {"hosts": {host.name: defaults | variables}},
                "clients": {"hosts": {"c": {"ansible_host": "127.0.0.2", "ansible_port": 1}}},
            }
        )
    )
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANSIBLE_HOST_KEY_CHECKING", "False"),
        ("ANSIBLE_SSH_HOST_KEY_CHECKING", "False"),
        ("ANSIBLE_SSH_ARGS", "-o StrictHostKeyChecking=no"),
        ("ANSIBLE_SSH_COMMON_ARGS", "-o StrictHostKeyChecking=no"),
        ("ANSIBLE_SSH_EXTRA_ARGS", "-o StrictHostKeyChecking=no"),
        ("ANSIBLE_SSH_EXECUTABLE", "{folder}/ssh"),
        ("ANSIBLE_TRANSPORT", "local"),
        ("ANSIBLE_CONFIG", "{folder}/ansible.cfg"),
    ],
)
def test_no_environment_variable_turns_the_check_off(
    refused: Host,
    command_playbook: CommandPlaybook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    write_ansible_cfg(tmp_path / "ansible.cfg")
    (tmp_path / "ssh").write_text('#!/bin/sh\nexec ssh -oStrictHostKeyChecking=no "$@"\n')
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv(name, value.format(folder=tmp_path))
    assert CHANGED in command_playbook.error(refused)


@pytest.mark.parametrize("path", ["ansible.cfg", ".ansible.cfg"])
def test_no_ansible_cfg_turns_the_check_off(
    refused: Host,
    command_playbook: CommandPlaybook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    write_ansible_cfg(tmp_path / path)
    monkeypatch.chdir(tmp_path)
    assert CHANGED in command_playbook.error(refused)


@pytest.mark.parametrize(
    "setting",
    [
        "StrictHostKeyChecking no",
        "NoHostAuthenticationForLocalhost yes",
        "UserKnownHostsFile {known}",
        "GlobalKnownHostsFile {known}",
        "KnownHostsCommand /bin/cat {known}",
    ],
)
def test_no_ssh_configuration_turns_the_check_off(
    refused: Host, sshd: Server, command_playbook: CommandPlaybook, tmp_path: Path, setting: str
) -> None:
    write_ssh_config(
        tmp_path, f"Host *\n  {setting.format(known=current_known_hosts(sshd, tmp_path))}\n"
    )
    assert CHANGED in command_playbook.error(refused)


@pytest.mark.parametrize(
    "setting", ["StrictHostKeyChecking no", "NoHostAuthenticationForLocalhost yes"]
)
def test_no_ssh_configuration_turns_off_the_check_of_a_jump_host(
    sshd: Server,
    host: HostOf,
    record_key: RecordKey,
    command_playbook: CommandPlaybook,
    tmp_path: Path,
    setting: str,
) -> None:
    path = record_key(f"[localhost]:{sshd.port}", keygen(tmp_path / "earlier-key"))
    with path.open("a") as file:
        file.write(current_known_hosts(sshd, tmp_path).read_text())
    write_ssh_config(tmp_path, f"Host *\n  {setting}\n")
    jump_host = JumpHost(address="localhost", port=sshd.port, user=ME)
    arguments = f"-J {ME}@localhost:{sshd.port}"
    error = command_playbook.error(host(jump_hosts=(jump_host,)), ansible_ssh_common_args=arguments)
    assert error.startswith(f"box: localhost:{sshd.port} (a jump host) {CHANGED}")


def test_ssh_in_a_proxy_command_checks_host_keys(
    sshd: Server,
    machine: Server,
    host: HostOf,
    record_key: RecordKey,
    command_playbook: CommandPlaybook,
    tmp_path: Path,
) -> None:
    """fwbench turns it into a jump; a separate ssh would read only the user's configuration."""
    key = machine.user_key
    box = host(
        jump_hosts=(JumpHost(address="localhost", port=machine.port, user=ME, key_file=key),)
    )
    command = f"ssh -oStrictHostKeyChecking=no -i {key} -p {machine.port} -W %h:%p {ME}@localhost"
    arguments = f'-o ProxyCommand="{command}"'
    path = record_key(f"[localhost]:{machine.port}", keygen(tmp_path / "earlier-key"))
    with path.open("a") as file:
        file.write(current_known_hosts(sshd, tmp_path).read_text())
    with machine.running():
        error = command_playbook.error(box, ansible_ssh_common_args=arguments)
        assert error.startswith(f"box: localhost:{machine.port} (a jump host) {CHANGED}")
        path.unlink()
        check_connections([box])
        assert command_playbook(box, ansible_ssh_common_args=arguments).failed == ()


def current_known_hosts(server: Server, folder: Path) -> Path:
    """Write a known_hosts file with the server's current key."""
    kind, data = Path(f"{server.host_key}.pub").read_text().split()[:2]
    path = folder / "current-known-hosts"
    path.write_text(f"{server.name_in_known_hosts} {kind} {data}\n")
    return path


def write_ansible_cfg(path: Path) -> None:
    path.write_text(
        "[defaults]\nhost_key_checking = False\n"
        "[ssh_connection]\nssh_args = -o StrictHostKeyChecking=no\n"
        "ssh_common_args = -o StrictHostKeyChecking=no\n"
    )


# The user's SSH configuration stays in effect


def test_users_login_port_key_and_jump_host_are_used(
    sshd: Server, command_playbook: CommandPlaybook, tmp_path: Path
) -> None:
    write_ssh_config(
        tmp_path,
        f"Host behind\n  HostName 127.0.0.1\n  ProxyJump bastion\n"
        f"Host bastion\n  HostName localhost\n"
        f"Host *\n  User {ME}\n  Port {sshd.port}\n  IdentityFile {sshd.user_key}\n",
    )
    box = Host(name="box", address="behind")
    check_connections([box])
    assert command_playbook(box, "echo here").failed == ()
    assert command_playbook.output.read_text() == "here\n"


def test_host_key_alias_names_the_recorded_key(
    host: HostOf, command_playbook: CommandPlaybook, tmp_path: Path
) -> None:
    write_ssh_config(tmp_path, "Host 127.0.0.1\n  HostKeyAlias machine-7\n")
    check_connections([host()])
    assert paths.known_hosts().read_text().startswith("machine-7 ssh-ed25519 ")
    assert command_playbook(host()).failed == ()
    check_connections([host()])  # the key is recorded now, under the alias
    assert len(paths.known_hosts().read_text().splitlines()) == 1


def test_changed_key_under_a_host_key_alias_is_refused(
    sshd: Server,
    host: HostOf,
    record_key: RecordKey,
    command_playbook: CommandPlaybook,
    tmp_path: Path,
) -> None:
    write_ssh_config(tmp_path, "Host 127.0.0.1\n  HostKeyAlias machine-7\n")
    path = record_key("machine-7", keygen(tmp_path / "earlier-key"))
    with path.open("a") as file:  # a key under the host's address has no effect
        file.write(current_known_hosts(sshd, tmp_path).read_text())
    with pytest.raises(HostError, match="shows another host key than before"):
        check_connections([host()])
    assert CHANGED in command_playbook.error(host())


# Agent and ports are not forwarded


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    socket = tmp_path / "agent"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", socket], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 10
    while not socket.exists():
        assert time.monotonic() < deadline, "ssh-agent does not start"
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    process.terminate()
    process.wait(10)


@pytest.mark.usefixtures("agent")
def test_no_agent_is_forwarded(
    host: HostOf, command_playbook: CommandPlaybook, tmp_path: Path
) -> None:
    write_ssh_config(tmp_path, "Host *\n  ForwardAgent yes\n")
    check_connections([host()])
    command = 'echo "agent:$SSH_AUTH_SOCK"'
    arguments = "-o ForwardAgent=yes"
    assert command_playbook(host(), command, ansible_ssh_common_args=arguments).failed == ()
    assert command_playbook.output.read_text() == "agent:\n"
    with SshRemote(host()) as box:
        box.check(["sh", "-c", 'test -z "$SSH_AUTH_SOCK"'])


@pytest.mark.parametrize("behind_jump_host", [False, True])
def test_users_port_forwarding_settings_are_ignored(
    sshd: Server,
    host: HostOf,
    command_playbook: CommandPlaybook,
    tmp_path: Path,
    behind_jump_host: bool,
) -> None:
    port, back = free_port(), free_port()
    write_ssh_config(
        tmp_path,
        f"Host *\n  LocalForward 127.0.0.1:{port} 127.0.0.1:{sshd.port}\n"
        f"  RemoteForward 127.0.0.1:{back} 127.0.0.1:{sshd.port}\n",
    )
    jump_host = JumpHost(address="localhost", port=sshd.port, user=ME)
    box = host(jump_hosts=(jump_host,) if behind_jump_host else None)
    arguments = f"-J {ME}@localhost:{sshd.port}" if behind_jump_host else ""
    check_connections([box])
    command = f"ss --no-header --listening --tcp --numeric | grep -cE ':({port}|{back}) ' || true"
    assert command_playbook(box, command, ansible_ssh_common_args=arguments).failed == ()
    assert command_playbook.output.read_text() == "0\n"


# Master processes


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder with a short name, for the sockets of the ssh masters."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(openssh, "SOCKETS_PARENT", Path(folder))
        yield Path(folder)


def test_variables_neither_move_nor_keep_ssh_master_sockets(
    host: HostOf, command_playbook: CommandPlaybook, sockets: Path, tmp_path: Path
) -> None:
    check_connections([host()])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = command_playbook(
        host(),
        f"find {sockets} {elsewhere} -type s",
        ansible_control_path=f"{elsewhere}/one",
        ansible_control_path_dir=str(elsewhere),
        ansible_ssh_common_args=f"-o ControlPath={elsewhere}/two -o ControlPersist=yes",
    )
    assert result.failed == ()
    (socket,) = command_playbook.output.read_text().splitlines()
    assert socket.startswith(f"{sockets}/fwbench-ssh-")
    assert await_end_of_masters(sockets) == []
    assert list(sockets.iterdir()) == []
    assert list(elsewhere.iterdir()) == []


def test_ssh_master_of_a_jump_host_ends_with_the_playbook(
    sshd: Server, host: HostOf, command_playbook: CommandPlaybook, tmp_path: Path
) -> None:
    folder = tmp_path / "masters"
    folder.mkdir()
    write_ssh_config(
        tmp_path,
        f"Host *\n  ControlMaster auto\n  ControlPath {folder}/%p\n  ControlPersist yes\n",
    )
    box = host(jump_hosts=(JumpHost(address="localhost", port=sshd.port, user=ME),))
    check_connections([box])
    assert (
        command_playbook(box, ansible_ssh_common_args=f"-J {ME}@localhost:{sshd.port}").failed == ()
    )
    assert await_end_of_masters(folder) == []
    assert list(folder.iterdir()) == []


def test_two_hosts_of_one_address_have_separate_connections(
    host: HostOf, sockets: Path, tmp_path: Path
) -> None:
    """Behind two jump hosts, one private address can belong to two machines."""
    check_connections([host()])
    tasks = [
        {"name": "Reach both", "ansible.builtin.raw": "true"},
        {
            "name": "Count",
            "ansible.builtin.raw": f"find {sockets} -type s | wc -l",
            "register": "count",
        },
        {"name": "Report", "ansible.builtin.fail": {"msg": "{{ count.stdout | int }} masters"}},
    ]
    playbook = tmp_path / "count.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    hostvars = {
        "ansible_host": "127.0.0.1",
        "ansible_port": host().port,
        "ansible_user": ME,
        "ansible_ssh_private_key_file": str(host().key_file),
    }
    inventory = tmp_path / "two.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"one": hostvars, "two": hostvars}}}))
    result = run_playbook(
        str(playbook), Inventory((inventory,)), [host(name="one"), host(name="two")]
    )
    assert [each.error for each in result.hosts] == ["Report: 2 masters"] * 2


# Valid input


def test_known_hosts_path_may_contain_spaces_and_braces(
    sshd: Server, host: HostOf, command_playbook: CommandPlaybook, tmp_path: Path
) -> None:
    folder = tmp_path / "a b {# c #} %h"
    folder.mkdir()
    path = current_known_hosts(sshd, folder)
    assert command_playbook(host(known_hosts=path)).failed == ()
    assert not paths.known_hosts().exists()


def test_reported_facts_do_not_become_variables(
    host: HostOf, command_playbook: CommandPlaybook, tmp_path: Path
) -> None:
    interpreter = tmp_path / "python"
    reported = {"changed": False, "ansible_facts": {"fwbench_ca_certs": "a file of yours"}}
    interpreter.write_text(f"#!/bin/sh\nprintf %s '{json.dumps(reported)}'\n")
    interpreter.chmod(0o755)
    template = "{{ fwbench_ca_certs | default('none') }}"
    tasks = [
        {"name": "Report facts", "ansible.builtin.ping": {}},
        {
            "name": "Print the variable",
            "ansible.builtin.raw": f"echo {template} > {command_playbook.output}",
        },
    ]
    (tmp_path / "facts.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}])
    )
    box = host()
    check_connections([box])
    command_playbook(box, ansible_python_interpreter=str(interpreter))  # writes the inventory
    result = run_playbook(str(tmp_path / "facts.yml"), Inventory((tmp_path / "hosts.json",)), [box])
    assert result.failed == ()
    assert command_playbook.output.read_text() == "none\n"
