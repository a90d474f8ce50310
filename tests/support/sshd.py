"""A real OpenSSH server on loopback, as the tests' user, and a relay that can break connections."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

START_TIMEOUT_S = 10
PRIVILEGE_SEPARATION = Path("/run/sshd")  # sshd needs it if root starts sshd


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def program(name: str = "sshd", package: str = "openssh-server") -> str:
    """Return a program's absolute path, as sshd requires; root installs it if it is missing."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    if (executable := shutil.which(name, path=path)) is None and os.geteuid() == 0:
        install = ["apt-get", "install", "--yes", "--no-install-recommends", package]
        subprocess.run(install, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        executable = shutil.which(name, path=path)
    if executable is None:
        pytest.fail(f"{name} is missing: install {package}")
    return executable


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid for child in map(int, children) for pid in (child, *_descendants(child))]


class Server:
    """An sshd: its port, its host key, an authorized key, and a folder at the front of its PATH."""

    def __init__(self, folder: Path, sftp: str = "internal-sftp") -> None:
        self.port = free_port()
        self.host_key = keygen(folder / "host_key")
        self.user_key = keygen(folder / "user_key")
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.log = folder / "sshd.log"
        authorized = folder / "authorized_keys"
        shutil.copy(f"{self.user_key}.pub", authorized)
        self._settings = folder / "sshd_config"
        self._settings.write_text(
            f"Port {self.port}\n"
            "ListenAddress 127.0.0.1\n"
            f"HostKey {self.host_key}\n"
            f"AuthorizedKeysFile {authorized}\n"
            f"PidFile {folder / 'pid'}\n"
            f"SetEnv PATH={self.programs}:/usr/local/bin:/usr/bin:/bin\n"
            "StrictModes no\n"  # the tests cannot change modes above their own folder
            "PasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\n"
            "PermitRootLogin prohibit-password\n"
            "UsePAM no\n"
            "MaxStartups 100\n"
            f"Subsystem sftp {sftp}\n"
        )

    @property
    def name_in_known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port}"

    @contextmanager
    def running(self, *, prefix: Sequence[str] = ()) -> Iterator[None]:
        """Run the server; `prefix` is a command that executes the command after it."""
        argv = [*prefix, program(), "-D", "-f", str(self._settings), "-E", str(self.log)]
        create_folder = os.geteuid() == 0 and not PRIVILEGE_SEPARATION.exists()
        if create_folder:
            PRIVILEGE_SEPARATION.mkdir(mode=0o755)
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        self._pid = process.pid
        try:
            self._await_greeting(process)
            yield
        finally:
            process.terminate()
            process.wait(START_TIMEOUT_S)
            if create_folder:
                PRIVILEGE_SEPARATION.rmdir()

    def change_host_key(self) -> None:
        """Use another host key from the next start on, like a reinstalled machine."""
        self.host_key.unlink()
        keygen(self.host_key)

    def kill_sessions(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the processes of all open connections; return their number."""
        pids = _descendants(self._pid)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return len(pids)

    def _await_greeting(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._greets():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"sshd does not start: {self.log.read_text()}")
            time.sleep(0.02)

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


class Relay:
    """A relay between driver and sshd, which can stop passing data or cut connections."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._frozen = threading.Event()
        self._cut_on_data = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def freeze(self) -> None:
        """Pass no more data, but keep connections open, like a machine that hangs."""
        self._frozen.set()

    def cut(self) -> None:
        """End every connection at once, as when a cable is pulled and the port is reset."""
        for connection in list(self._sockets):  # a copy: another thread may add connections
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def cut_on_next_data(self) -> None:
        """Cut all connections once, when data next arrives on one of them."""
        self._cut_on_data.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join(START_TIMEOUT_S)
        for connection in (self._listener, *self._sockets):
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to_port))
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pass_on, args=(source, sink))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._cut_on_data.is_set():
                    self._cut_on_data.clear()
                    self.cut()
                if not self._frozen.is_set():
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
