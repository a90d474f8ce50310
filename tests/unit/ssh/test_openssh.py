"""What ssh is told in each connection of a play; `tests/remote/test_play.py` shows what it does."""

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
KNOWN = Path("/a b/100%/known_hosts")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose own configuration says the contrary of everything."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(WEAKENED)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "ssh config"
    path.write_text(openssh.configuration([KNOWN]))
    return path


def effective(*argv: str) -> dict[str, str]:
    """What ssh makes of its arguments, by option."""
    done = subprocess.run(["ssh", "-G", *argv, "host"], check=True, capture_output=True, text=True)
    pairs = (line.partition(" ") for line in done.stdout.splitlines())
    found = {name: value for name, _, value in pairs}
    return {"knownhostscommand": "none"} | found  # `ssh -G` leaves out what is none


def test_the_file_alone_has_keys_checked_as_a_jump_host_is_told_nothing_else(config: Path) -> None:
    told = effective("-F", str(config))
    assert CHECKED.items() <= told.items()
    assert told["userknownhostsfile"] in ("/a b/100%/known_hosts", "/a b/100%%/known_hosts")
    assert told["controlmaster"] == "false"
    assert "controlpath" not in told


def test_the_command_line_has_keys_checked_whatever_follows_it(config: Path) -> None:
    first = shlex.split(openssh.arguments(config.read_text(), config))
    options = [line.strip() for line in WEAKENED.splitlines()[1:15]]
    later = [word for option in options for word in ("-o", option)]
    told = effective(*first, *later, "-F", "none")
    assert CHECKED.items() <= told.items()
    assert "known_hosts" in told["userknownhostsfile"]


def test_the_users_own_login_and_way_are_left_to_them(config: Path) -> None:
    told = effective(*shlex.split(openssh.arguments(config.read_text(), config)))
    wanted = {"user": "me", "port": "2222", "identityfile": "/key", "proxyjump": "bastion"}
    assert (wanted | {"hostkeyalias": "one"}).items() <= told.items()


def test_an_ssh_that_does_not_know_an_option_is_not_given_it(
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


def test_sockets_lie_in_a_private_folder_that_does_not_stay() -> None:
    with openssh.control_sockets() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        # The name of a host and of a connection, and what ssh appends while it makes the socket.
        assert len(f"{folder}/12345678-{'0' * 40}.{'x' * 16}") < 104
    assert not folder.exists()
