import getpass
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sshd import Relay, Server

from fwbench import paths
from fwbench.model.host import Host
from fwbench.ssh import connection
from fwbench.ssh.remote import SshRemote


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("sshd"))
    with server.running():
        yield server


@pytest.fixture(autouse=True)
def _isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's keys, agent and settings, and the host keys that fwbench has recorded."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 5)


@pytest.fixture
def host(sshd: Server) -> Callable[..., Host]:
    """Return a function that makes a `Host` for the server; keyword arguments replace fields."""

    def make(**changes: Any) -> Host:
        values = {
            "name": "box",
            "address": "127.0.0.1",
            "port": sshd.port,
            "user": getpass.getuser(),
            "key_file": sshd.user_key,
        }
        return Host(**(values | changes))

    return make


@pytest.fixture
def box(host: Callable[..., Host]) -> Iterator[SshRemote]:
    with SshRemote(host()) as remote:
        yield remote


@pytest.fixture
def relay(sshd: Server) -> Iterator[Relay]:
    with closing(Relay(sshd.port)) as relay:
        yield relay


@pytest.fixture
def record_key() -> Callable[[str, Path], Path]:
    """Return a function that writes a key into fwbench's known_hosts, as a first contact does."""

    def write(name: str, key: Path) -> Path:
        kind, data = Path(f"{key}.pub").read_text().split()[:2]
        path = paths.known_hosts()
        path.parent.mkdir(parents=True)
        path.write_text(f"{name} {kind} {data}\n")
        return path

    return write
