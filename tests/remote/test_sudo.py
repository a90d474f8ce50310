"""The real sudo, on a host that does not know its own name."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import Server, program

from fwbench.errors import HostError
from fwbench.model.host import Host
from fwbench.ssh.remote import SshRemote

NAMELESS = ("unshare", "--uts", "sh", "-c", 'hostname nobody-knows-me && exec "$@"', "sh")
WARNING = "nobody-knows-me"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if os.geteuid() != 0:
        pytest.skip("a host name of its own takes root")
    program("sudo", "sudo")
    server = Server(tmp_path_factory.mktemp("nameless"))
    with server.running(prefix=NAMELESS):
        yield server


@pytest.fixture
def nameless(machine: Server, host: Callable[..., Host]) -> Iterator[SshRemote]:
    with SshRemote(host(port=machine.port, key_file=machine.user_key)) as box:
        if WARNING not in box.execute(["sudo", "-n", "true"]).stderr:
            pytest.skip("this machine resolves whatever it is called")
        yield box


def test_a_command_that_fails_keeps_its_status_and_its_words(nameless: SshRemote) -> None:
    done = nameless.execute(["sh", "-c", "id -un >&2; exit 1"], sudo=True)
    assert (done.exit_status, done.stderr) == (1, "root\n")


def test_a_command_that_says_nothing_is_said_to(nameless: SshRemote) -> None:
    with pytest.raises(HostError, match="`false` exited 1: no output"):
        nameless.check(["false"], sudo=True)


def test_limits_and_missing_programs_have_their_statuses(nameless: SshRemote) -> None:
    assert nameless.execute(["sleep", "9"], timeout_s=0.2, sudo=True).exit_status == 124
    assert nameless.execute(["no-such-program"], sudo=True).exit_status == 127


def test_a_command_that_is_killed_is_said_to_be(nameless: SshRemote) -> None:
    with pytest.raises(HostError, match="was killed on the host"):
        nameless.execute(["sh", "-c", "kill -KILL $PPID"], sudo=True)


def test_sudo_that_refuses_is_quoted_with_its_warning(
    nameless: SshRemote, machine: Server, tmp_path: Path
) -> None:
    """Its own options are tested, as root is let in by every sudoers file."""
    sudo = machine.programs / "sudo"
    sudo.write_text(f'#!/bin/sh\nexec {program("sudo", "sudo")} -u no-such-user "$@"\n')
    sudo.chmod(0o755)
    try:
        with pytest.raises(HostError, match=r"sudo does not let .* run .*no-such-user.*NOPASSWD"):
            nameless.check(["touch", str(tmp_path / "there")], sudo=True)
    finally:
        sudo.unlink()
    assert not (tmp_path / "there").exists()
