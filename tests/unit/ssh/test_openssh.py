"""Test the options that ssh gets in a play; `tests/remote/test_play.py` tests their effect."""

import shlex
import subprocess
from pathlib import Path

import pytest

from fwbench.ssh import openssh

CHECKED = {
    "stricthostkeychecking": "true",
    "verifyhostkeydns": "false",
    "nohostauthenticationforlocalhost": "no",
    "updatehostkeys": "false",
    "globalknownhostsfile": "/dev/null",
    "knownhostscommand": "none",
    "forwardagent": "no",
    "forwardx11": "no",
    "gssapidelegatecredentials": "no",
    "clearallforwardings": "yes",
}
WEAKENED = (
    "Host *\n  StrictHostKeyChecking no\n  VerifyHostKeyDNS yes\n"
    "  NoHostAuthenticationForLocalhost yes\n  UpdateHostKeys yes\n  GlobalKnownHostsFile /x\n"
    "  UserKnownHostsFile /x\n  KnownHostsCommand /bin/true\n  ForwardAgent yes\n"
    "  ForwardX11 yes\n  GSSAPIDelegateCredentials yes\n  ClearAllForwardings no\n"
    "  ControlMaster auto\n  ControlPath /x/%C\n"
    "  HostKeyAlias one\n  User me\n  Port 2222\n  IdentityFile /key\n  ProxyJump bastion\n"
)
KNOWN_HOSTS = Path("/a b/100%/known_hosts")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a home whose SSH configuration contradicts every option of fwbench."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(WEAKENED)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the path of fwbench's SSH configuration."""
    path = tmp_path / "ssh config"
    path.write_text(openssh.configuration([KNOWN_HOSTS]))
    return path


def effective(*argv: str) -> dict[str, str]:
    """Return the options that ssh derives from its arguments."""
    result = subprocess.run(
        ["ssh", "-G", *argv, "host"], check=True, capture_output=True, text=True
    )
    pairs = (line.partition(" ") for line in result.stdout.splitlines())
    options = {name: value for name, _, value in pairs}
    return {"knownhostscommand": "none"} | options  # `ssh -G` omits options that are none


def test_configuration_file_alone_checks_host_keys(config: Path) -> None:
    """The connection to a jump host uses the file, but not the command line."""
    options = effective("-F", str(config))
    assert CHECKED.items() <= options.items()
    assert options["userknownhostsfile"] in ("/a b/100%/known_hosts", "/a b/100%%/known_hosts")
    assert options["controlmaster"] == "false"
    assert "controlpath" not in options


def test_command_line_checks_host_keys_despite_later_options(config: Path) -> None:
    arguments = shlex.split(openssh.arguments(config.read_text(), config))
    weak_options = [line.strip() for line in WEAKENED.splitlines()[1:15]]
    later_arguments = [word for option in weak_options for word in ("-o", option)]
    options = effective(*arguments, *later_arguments, "-F", "none")
    assert CHECKED.items() <= options.items()
    assert "known_hosts" in options["userknownhostsfile"]


def test_users_login_and_jump_host_are_kept(config: Path) -> None:
    options = effective(*shlex.split(openssh.arguments(config.read_text(), config)))
    expected = {"user": "me", "port": "2222", "identityfile": "/key", "proxyjump": "bastion"}
    assert (expected | {"hostkeyalias": "one"}).items() <= options.items()


def test_option_that_ssh_does_not_know_is_omitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\ncase "$*" in *KnownHostsCommand*) exit 255 ;; esac\n')
    program.chmod(0o755)
    assert "KnownHostsCommand none" in openssh.configuration()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "KnownHostsCommand" not in openssh.configuration()
    program.unlink()
    assert "KnownHostsCommand" not in openssh.configuration()


def test_control_sockets_are_in_a_private_temporary_folder() -> None:
    with openssh.control_sockets() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        # The hashes of host and connection, and the suffix that ssh adds while it makes the socket.
        assert len(f"{folder}/12345678-{'0' * 40}.{'x' * 16}") < 104
    assert not folder.exists()
