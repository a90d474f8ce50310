"""Real plays over a real sshd: Ansible's ssh checks the keys that the driver has met."""

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
Known = Callable[[str, Path], Path]
ME = getpass.getuser()
CHANGED = "shows another host key than before (ssh-ed25519 SHA256:"


class Plays:
    """Plays one raw command on one host, whose variables in the inventory are given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.output = folder / "output"

    def __call__(self, host: Host, command: str = "true", **variables: Any) -> PlayResult:
        """Play it; what the command prints goes to `output`."""
        own = {
            "ansible_host": host.address,
            "ansible_port": host.port,
            "ansible_user": host.user,
            "ansible_ssh_private_key_file": str(host.key_file) if host.key_file else None,
        }
        given = {key: value for key, value in own.items() if value is not None} | variables
        inventory = self._folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": {host.name: given}}}))
        return run_playbook(str(self.playbook(command)), Inventory((inventory,)), [host])

    def playbook(self, command: str) -> Path:
        """Write a playbook with a command; what it prints goes to `output`."""
        task = {"name": "Say it", "ansible.builtin.raw": f"{{ {command}; }} > {self.output} 2>&1"}
        playbook = self._folder / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
        return playbook

    def trouble(self, host: Host, **variables: Any) -> str:
        """Why the play failed; it did not come to the host."""
        played = self(host, "echo here", **variables)
        assert not self.output.exists(), "the command was executed"
        return played.hosts[0].error or ""


@pytest.fixture
def plays(tmp_path: Path) -> Plays:
    return Plays(tmp_path)


@pytest.fixture
def machine(tmp_path: Path) -> Server:
    """A second server, which the test starts; it lets in its own key alone."""
    (tmp_path / "machine").mkdir()
    return Server(tmp_path / "machine")


@pytest.fixture
def refused(sshd: Server, host: HostOf, known: Known, tmp_path: Path) -> Host:
    """A host of which another key is recorded than it shows."""
    known(sshd.name_in_known_hosts, keygen(tmp_path / "key-before"))
    return host()


def write_ssh_config(home: Path, text: str) -> None:
    (home / ".ssh").mkdir(exist_ok=True)
    (home / ".ssh" / "config").write_text(text)


def masters(folder: Path) -> list[str]:
    """The titles of ssh's master processes that hold sockets beneath a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended
            title = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if title.startswith(f"ssh: {folder}/"):
                found.append(title.strip())
    return found


def await_end_of_masters(folder: Path) -> list[str]:
    """Those that are there still, seconds later: they end at once, or after half a minute."""
    deadline = time.monotonic() + 5
    while (found := masters(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


# A key that changed after the first contact


def test_a_host_that_shows_another_key_to_the_play_is_refused(
    machine: Server, host: HostOf, plays: Plays
) -> None:
    box = host(port=machine.port, key_file=machine.user_key)
    with machine.running():
        check_connections([box])
    machine.change_host_key()
    with machine.running():
        trouble = plays.trouble(box)
    assert trouble.startswith(f"box: 127.0.0.1:{machine.port} {CHANGED}")
    assert f"remove its line from {paths.known_hosts()}" in trouble


def test_a_bastion_that_shows_another_key_to_the_play_is_refused(
    machine: Server, host: HostOf, plays: Plays
) -> None:
    hop = JumpHost(address="localhost", port=machine.port, user=ME, key_file=machine.user_key)
    box = host(jump_hosts=(hop,))
    arguments = f"-J {ME}@localhost:{machine.port}"
    with machine.running():
        check_connections([box])
        assert plays(box, ansible_ssh_common_args=arguments).failed == ()
    plays.output.unlink()
    machine.change_host_key()
    with machine.running():
        trouble = plays.trouble(box, ansible_ssh_common_args=arguments)
    assert trouble.startswith(f"box: localhost:{machine.port} (a jump host) {CHANGED}")


def test_a_host_with_a_key_of_another_kind_is_refused(
    machine: Server, host: HostOf, plays: Plays
) -> None:
    box = host(port=machine.port, key_file=machine.user_key)
    with machine.running():
        check_connections([box])
    machine.host_key.unlink()
    keygen(machine.host_key, "ecdsa")
    with machine.running():
        trouble = plays.trouble(box)
    assert "shows another host key than before (ecdsa-sha2-nistp256 SHA256:" in trouble


def test_another_key_has_the_exit_code_of_a_host_and_names_it(refused: Host, plays: Plays) -> None:
    played = plays(refused)
    target = Target(**dict(refused), load_address="127.0.0.1")
    rig = Rig(name="r", target=target, clients=(Client(name="c", address="c"),))
    error = provisioning_error(played, [rig])
    assert isinstance(error, HostError)
    assert error.exit_code == 5
    assert str(error).startswith(f"box: 127.0.0.1:{refused.port} {CHANGED}")


# Nothing turns the check off


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
    plays: Plays,
    tmp_path: Path,
    variables: dict[str, Any],
    reason: str,
) -> None:
    """Neither in an inventory that fwbench reads, nor in Ansible if that were to let it through."""
    given = {
        key: value.format(known=known_now(sshd, tmp_path)) if isinstance(value, str) else value
        for key, value in variables.items()
    }
    inventory = Inventory((write_inventory(tmp_path, refused, given),))
    with pytest.raises(FwbenchError, match=re.escape(reason)):
        check_connections(parse_rigs(list_inventory(inventory), "x")[0].hosts)
    if reason == CHANGED:  # the inventory is read; after the first contact the playbook is played
        (rig,) = parse_rigs(list_inventory(inventory), "x")
        played = run_playbook(str(plays.playbook("echo here")), inventory, rig.hosts)
        assert [CHANGED in (each.error or "") for each in played.hosts] == [True, False]
    assert CHANGED in plays.trouble(refused, **given)
    assert not plays.output.exists(), "the command was executed"


def write_inventory(folder: Path, host: Host, variables: dict[str, Any]) -> Path:
    """An inventory with that host for its target, and a client that does not exist."""
    own = {
        "ansible_host": host.address,
        "ansible_port": host.port,
        "ansible_user": host.user,
        "ansible_ssh_private_key_file": str(host.key_file),
    }
    path = folder / "rigs.json"
    path.write_text(
        json.dumps(
            {
                "targets": {"hosts": {host.name: own | variables}},
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
    plays: Plays,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    write_ansible_cfg(tmp_path / "ansible.cfg")
    (tmp_path / "ssh").write_text('#!/bin/sh\nexec ssh -oStrictHostKeyChecking=no "$@"\n')
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv(name, value.format(folder=tmp_path))
    assert CHANGED in plays.trouble(refused)


@pytest.mark.parametrize("path", ["ansible.cfg", ".ansible.cfg"])
def test_no_ansible_cfg_of_the_user_turns_the_check_off(
    refused: Host, plays: Plays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    write_ansible_cfg(tmp_path / path)
    monkeypatch.chdir(tmp_path)
    assert CHANGED in plays.trouble(refused)


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
def test_no_ssh_configuration_of_the_user_turns_the_check_off(
    refused: Host, sshd: Server, plays: Plays, tmp_path: Path, setting: str
) -> None:
    write_ssh_config(tmp_path, f"Host *\n  {setting.format(known=known_now(sshd, tmp_path))}\n")
    assert CHANGED in plays.trouble(refused)


@pytest.mark.parametrize(
    "setting", ["StrictHostKeyChecking no", "NoHostAuthenticationForLocalhost yes"]
)
def test_no_ssh_configuration_of_the_user_turns_the_check_of_a_bastion_off(
    sshd: Server, host: HostOf, known: Known, plays: Plays, tmp_path: Path, setting: str
) -> None:
    path = known(f"[localhost]:{sshd.port}", keygen(tmp_path / "key-before"))
    with path.open("a") as file:
        file.write(known_now(sshd, tmp_path).read_text())
    write_ssh_config(tmp_path, f"Host *\n  {setting}\n")
    hop = JumpHost(address="localhost", port=sshd.port, user=ME)
    arguments = f"-J {ME}@localhost:{sshd.port}"
    trouble = plays.trouble(host(jump_hosts=(hop,)), ansible_ssh_common_args=arguments)
    assert trouble.startswith(f"box: localhost:{sshd.port} (a jump host) {CHANGED}")


def test_the_ssh_of_a_proxy_command_checks_keys_too(
    sshd: Server, machine: Server, host: HostOf, known: Known, plays: Plays, tmp_path: Path
) -> None:
    """It is started as a jump: by itself it would heed the user's own configuration alone."""
    key = machine.user_key
    box = host(
        jump_hosts=(JumpHost(address="localhost", port=machine.port, user=ME, key_file=key),)
    )
    command = f"ssh -oStrictHostKeyChecking=no -i {key} -p {machine.port} -W %h:%p {ME}@localhost"
    arguments = f'-o ProxyCommand="{command}"'
    path = known(f"[localhost]:{machine.port}", keygen(tmp_path / "key-before"))
    with path.open("a") as file:
        file.write(known_now(sshd, tmp_path).read_text())
    with machine.running():
        trouble = plays.trouble(box, ansible_ssh_common_args=arguments)
        assert trouble.startswith(f"box: localhost:{machine.port} (a jump host) {CHANGED}")
        path.unlink()
        check_connections([box])
        assert plays(box, ansible_ssh_common_args=arguments).failed == ()


def known_now(server: Server, folder: Path) -> Path:
    """A file with the key that the server shows, under the name that ssh looks for."""
    kind, data = Path(f"{server.host_key}.pub").read_text().split()[:2]
    path = folder / "known-now"
    path.write_text(f"{server.name_in_known_hosts} {kind} {data}\n")
    return path


def write_ansible_cfg(path: Path) -> None:
    path.write_text(
        "[defaults]\nhost_key_checking = False\n"
        "[ssh_connection]\nssh_args = -o StrictHostKeyChecking=no\n"
        "ssh_common_args = -o StrictHostKeyChecking=no\n"
    )


# What the user's own configuration says goes on working


def test_login_port_key_and_jump_of_the_users_configuration_are_used(
    sshd: Server, plays: Plays, tmp_path: Path
) -> None:
    write_ssh_config(
        tmp_path,
        f"Host behind\n  HostName 127.0.0.1\n  ProxyJump bastion\n"
        f"Host bastion\n  HostName localhost\n"
        f"Host *\n  User {ME}\n  Port {sshd.port}\n  IdentityFile {sshd.user_key}\n",
    )
    box = Host(name="box", address="behind")
    check_connections([box])
    assert plays(box, "echo here").failed == ()
    assert plays.output.read_text() == "here\n"


def test_an_alias_of_the_users_configuration_names_the_key(
    host: HostOf, plays: Plays, tmp_path: Path
) -> None:
    write_ssh_config(tmp_path, "Host 127.0.0.1\n  HostKeyAlias machine-7\n")
    check_connections([host()])
    assert paths.known_hosts().read_text().startswith("machine-7 ssh-ed25519 ")
    assert plays(host()).failed == ()
    check_connections([host()])  # it is known now, under that name
    assert len(paths.known_hosts().read_text().splitlines()) == 1


def test_another_key_under_an_alias_is_refused(
    sshd: Server, host: HostOf, known: Known, plays: Plays, tmp_path: Path
) -> None:
    write_ssh_config(tmp_path, "Host 127.0.0.1\n  HostKeyAlias machine-7\n")
    path = known("machine-7", keygen(tmp_path / "key-before"))
    with path.open("a") as file:  # its own name counts for nothing
        file.write(known_now(sshd, tmp_path).read_text())
    with pytest.raises(HostError, match="shows another host key than before"):
        check_connections([host()])
    assert CHANGED in plays.trouble(host())


# Nothing of the user's is forwarded


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
def test_no_agent_is_forwarded(host: HostOf, plays: Plays, tmp_path: Path) -> None:
    write_ssh_config(tmp_path, "Host *\n  ForwardAgent yes\n")
    check_connections([host()])
    ask = 'echo "agent:$SSH_AUTH_SOCK"'
    arguments = "-o ForwardAgent=yes"
    assert plays(host(), ask, ansible_ssh_common_args=arguments).failed == ()
    assert plays.output.read_text() == "agent:\n"
    with SshRemote(host()) as box:
        box.check(["sh", "-c", 'test -z "$SSH_AUTH_SOCK"'])


@pytest.mark.parametrize("behind_a_bastion", [False, True])
def test_no_port_of_the_users_configuration_is_forwarded(
    sshd: Server, host: HostOf, plays: Plays, tmp_path: Path, behind_a_bastion: bool
) -> None:
    port, back = free_port(), free_port()
    write_ssh_config(
        tmp_path,
        f"Host *\n  LocalForward 127.0.0.1:{port} 127.0.0.1:{sshd.port}\n"
        f"  RemoteForward 127.0.0.1:{back} 127.0.0.1:{sshd.port}\n",
    )
    hop = JumpHost(address="localhost", port=sshd.port, user=ME)
    box = host(jump_hosts=(hop,) if behind_a_bastion else None)
    arguments = f"-J {ME}@localhost:{sshd.port}" if behind_a_bastion else ""
    check_connections([box])
    ask = f"ss --no-header --listening --tcp --numeric | grep -cE ':({port}|{back}) ' || true"
    assert plays(box, ask, ansible_ssh_common_args=arguments).failed == ()
    assert plays.output.read_text() == "0\n"


# Master processes


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a short name, beneath which the sockets of one test's plays are."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(openssh, "SOCKETS_PARENT", Path(folder))
        yield Path(folder)


def test_no_master_survives_the_play_and_no_variable_moves_its_socket(
    host: HostOf, plays: Plays, sockets: Path, tmp_path: Path
) -> None:
    check_connections([host()])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    played = plays(
        host(),
        f"find {sockets} {elsewhere} -type s",
        ansible_control_path=f"{elsewhere}/one",
        ansible_control_path_dir=str(elsewhere),
        ansible_ssh_common_args=f"-o ControlPath={elsewhere}/two -o ControlPersist=yes",
    )
    assert played.failed == ()
    (during,) = plays.output.read_text().splitlines()
    assert during.startswith(f"{sockets}/fwbench-ssh-")
    assert await_end_of_masters(sockets) == []
    assert list(sockets.iterdir()) == []
    assert list(elsewhere.iterdir()) == []


def test_no_master_for_a_bastion_survives_the_play(
    sshd: Server, host: HostOf, plays: Plays, tmp_path: Path
) -> None:
    folder = tmp_path / "masters"
    folder.mkdir()
    write_ssh_config(
        tmp_path,
        f"Host *\n  ControlMaster auto\n  ControlPath {folder}/%p\n  ControlPersist yes\n",
    )
    box = host(jump_hosts=(JumpHost(address="localhost", port=sshd.port, user=ME),))
    check_connections([box])
    assert plays(box, ansible_ssh_common_args=f"-J {ME}@localhost:{sshd.port}").failed == ()
    assert await_end_of_masters(folder) == []
    assert list(folder.iterdir()) == []


def test_two_names_of_one_address_have_a_connection_each(
    host: HostOf, sockets: Path, tmp_path: Path
) -> None:
    """Behind two bastions, one private address is two machines."""
    check_connections([host()])
    tasks = [
        {"name": "Reach both", "ansible.builtin.raw": "true"},
        {
            "name": "Count",
            "ansible.builtin.raw": f"find {sockets} -type s | wc -l",
            "register": "count",
        },
        {"name": "Tell", "ansible.builtin.fail": {"msg": "{{ count.stdout | int }} masters"}},
    ]
    playbook = tmp_path / "count.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    own = {
        "ansible_host": "127.0.0.1",
        "ansible_port": host().port,
        "ansible_user": ME,
        "ansible_ssh_private_key_file": str(host().key_file),
    }
    inventory = tmp_path / "two.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"one": own, "two": own}}}))
    played = run_playbook(
        str(playbook), Inventory((inventory,)), [host(name="one"), host(name="two")]
    )
    assert [each.error for each in played.hosts] == ["Tell: 2 masters"] * 2


# Where nothing is wrong


def test_a_path_with_spaces_and_braces_is_a_file_of_keys(
    sshd: Server, host: HostOf, plays: Plays, tmp_path: Path
) -> None:
    folder = tmp_path / "a b {# c #} %h"
    folder.mkdir()
    path = known_now(sshd, folder)
    assert plays(host(known_hosts=path)).failed == ()
    assert not paths.known_hosts().exists()


def test_what_a_host_reports_as_facts_is_no_variable(
    host: HostOf, plays: Plays, tmp_path: Path
) -> None:
    liar = tmp_path / "python"
    reported = {"changed": False, "ansible_facts": {"fwbench_ca_certs": "a file of yours"}}
    liar.write_text(f"#!/bin/sh\nprintf %s '{json.dumps(reported)}'\n")
    liar.chmod(0o755)
    words = "{{ fwbench_ca_certs | default('none') }}"
    tasks = [
        {"name": "Lie", "ansible.builtin.ping": {}},
        {"name": "Say it", "ansible.builtin.raw": f"echo {words} > {plays.output}"},
    ]
    (tmp_path / "lie.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}])
    )
    honest = host()
    check_connections([honest])
    plays(honest, ansible_python_interpreter=str(liar))  # writes the inventory
    played = run_playbook(
        str(tmp_path / "lie.yml"), Inventory((tmp_path / "hosts.json",)), [honest]
    )
    assert played.failed == ()
    assert plays.output.read_text() == "none\n"
