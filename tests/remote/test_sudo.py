"""The real sudo, on a host that cannot resolve its own name."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import Server, program

from fwbench.errors import HostError
from fwbench.model.host import Host
from fwbench.ssh.remote import SshRemote

WITH_UNKNOWN_NAME = ("unshare", "--uts", "sh", "-c", 'hostname nobody-knows-me && exec "$@"', "sh")
WARNING = "nobody-knows-me"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if os.geteuid() != 0:
        pytest.skip("changing the host name requires root")
    program("sudo", "sudo")
    server = Server(tmp_path_factory.mktemp("unknown-name"))
    with server.running(prefix=WITH_UNKNOWN_NAME):
        yield server


@pytest.fixture
def box(machine: Server, host: Callable[..., Host]) -> Iterator[SshRemote]:
    with SshRemote(host(port=machine.port, key_file=machine.user_key)) as remote:
        if WARNING not in remote.execute(["sudo", "-n", "true"]).stderr:
            pytest.skip("this machine resolves any name of its own")
        yield remote


def test_failed_command_keeps_its_status_and_stderr(box: SshRemote) -> None:
    result = box.execute(["sh", "-c", "id -un >&2; exit 1"], sudo=True)
    assert (result.exit_status, result.stderr) == (1, "root\n")


def test_failure_without_output_is_reported(box: SshRemote) -> None:
    with pytest.raises(HostError, match="`false` exited 1: no output"):
        box.check(["false"], sudo=True)


def test_timeout_and_missing_program_keep_their_exit_status(box: SshRemote) -> None:
    assert box.execute(["sleep", "9"], timeout_s=0.2, sudo=True).exit_status == 124
    assert box.execute(["no-such-program"], sudo=True).exit_status == 127


def test_killed_command_is_reported(box: SshRemote) -> None:
    with pytest.raises(HostError, match="was killed on the host"):
        box.execute(["sh", "-c", "kill -KILL $PPID"], sudo=True)


def test_refusal_of_sudo_is_quoted_in_the_error(
    box: SshRemote, machine: Server, tmp_path: Path
) -> None:
    """An unknown user makes sudo refuse, because every sudoers file allows root."""
    sudo = machine.programs / "sudo"
    sudo.write_text(f'#!/bin/sh\nexec {program("sudo", "sudo")} -u no-such-user "$@"\n')
    sudo.chmod(0o755)
    try:
        with pytest.raises(HostError, match=r"sudo does not let .* run .*no-such-user.*NOPASSWD"):
            box.check(["touch", str(tmp_path / "there")], sudo=True)
    finally:
        sudo.unlink()
    assert not (tmp_path / "there").exists()
