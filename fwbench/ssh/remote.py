"""The `Remote` protocol, and its implementation over SSH with pinned host keys."""

import shlex
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Protocol, Self

from fwbench.errors import HostError, LostError, SessionError
from fwbench.model.base import Frozen
from fwbench.model.host import Host
from fwbench.ssh import connection
from fwbench.ssh import sudo as sudo_command
from fwbench.ssh.connection import Connection
from fwbench.ssh.failures import SSH_ERRORS, host_error

__all__ = ["Completed", "Remote", "SshRemote"]

FILE_LIMIT_BYTES = 16 << 20  # for files that fwbench reads into memory
_CHUNK_BYTES = 1 << 20
# Enter the folder first and check it from inside: another user cannot replace it after the check.
_RUN_IN_OWN_FOLDER = (
    'cd "$0" 2>/dev/null && case "$(stat -c %u:%a .)" in'
    ' "${SUDO_UID:-$(id -u)}":*700) exec "$@";; esac;'
    ' echo "$0 is not the folder that fwbench made, or no longer exists" >&2; exit 77'
)
_TRANSPORT_END_TIMEOUT_S = 1


class Completed(Frozen):
    """A command that ended on a host. Its standard output is not kept."""

    argv: tuple[str, ...]
    exit_status: int
    stderr: str


class Remote(Protocol):
    """What the controller needs of a host: commands and files."""

    @property
    def name(self) -> str:
        """The host's name in the inventory."""

    def execute(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        sudo: bool = False,
        within: PurePosixPath | None = None,
    ) -> Completed:
        """Run a command and return its exit status, which the caller has to check.

        `within` is the folder to run it in. The command is not run unless that folder belongs to
        the login user and has mode 0700: another user may have made a folder of the same name.
        """

    def check(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        sudo: bool = False,
        within: PurePosixPath | None = None,
    ) -> None:
        """Run a command. Raise `HostError` with the end of its stderr if it fails."""

    def put(self, content: bytes, path: str) -> None:
        """Write a file with mode 0600 on the host."""

    def get(self, path: str, to: Path, limit_bytes: int = FILE_LIMIT_BYTES) -> None:
        """Fetch a file. Raise `HostError` if it is larger than `limit_bytes`."""

    def exists(self, path: str) -> bool:
        """Return whether the host has a file of that name."""


class SshRemote:
    """A host over one SSH connection, opened at first use. For one thread at a time.

    A lost connection raises `LostError`, at most half a minute after a command's timeout; the next
    call reconnects. What the host, or a jump host, refuses raises another `HostError`.
    """

    def __init__(self, host: Host) -> None:
        self.name = host.name
        self._host = host
        self._connection = Connection(host)
        self._current_hop = self._connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    @property
    def host_key(self) -> str:
        """The type and fingerprint of the key that the connected host shows."""
        key = self._connection.transport.get_remote_server_key()
        return f"{key.get_name()} {key.fingerprint}"

    def execute(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        sudo: bool = False,
        within: PurePosixPath | None = None,
    ) -> Completed:
        """Run a command under `timeout` on the host: a lost connection would leave it running."""
        words = ["timeout", "--kill-after=5", f"{timeout_s:g}", *argv]
        if within is not None:
            words = ["sh", "-c", _RUN_IN_OWN_FOLDER, str(within), *words]
        uses_sudo = sudo and self._host.become
        if uses_sudo:
            words = sudo_command.sudo_argv(words)
        with self._translate_errors(), self._sever_when_silent(timeout_s):
            result = self._connection.run(shlex.join(words), hide=True, warn=True, in_stream=False)
            if result.exited == -1:
                self._raise_killed_or_lost(argv)
        stderr = result.stderr
        if uses_sudo:
            stderr = self._command_stderr(result.exited, stderr)
        return Completed(argv=tuple(argv), exit_status=result.exited, stderr=stderr[-4000:])

    def check(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        sudo: bool = False,
        within: PurePosixPath | None = None,
    ) -> None:
        """Run a command. Raise `HostError` with the end of its stderr if it fails."""
        completed = self.execute(argv, timeout_s=timeout_s, sudo=sudo, within=within)
        if completed.exit_status == 124:
            raise HostError(f"{self.name}: `{shlex.join(argv)}` took over {timeout_s:g} s")
        if completed.exit_status:
            raise HostError(
                f"{self.name}: `{shlex.join(argv)}` exited {completed.exit_status}: "
                f"{completed.stderr.strip()[-300:] or 'no output'}"
            )

    def put(self, content: bytes, path: str) -> None:
        """Write a file with mode 0600 on the host."""
        with self._translate_errors(path), self._sftp().open(path, "wb") as file:
            file.chmod(0o600)
            file.write(content)

    def get(self, path: str, to: Path, limit_bytes: int = FILE_LIMIT_BYTES) -> None:
        """Fetch a file. Raise `HostError` if it is larger than `limit_bytes`.

        Raise `SessionError` if it cannot be written on the controller.
        """
        with self._translate_errors(path):
            size = self._sftp().stat(path).st_size
        if size is None or size > limit_bytes:
            raise HostError(f"{self.name}: {path} has {size} bytes, more than fwbench fetches")
        try:
            with to.open("wb") as file:
                for chunk in self._chunks(path, size):
                    file.write(chunk)
        except OSError as error:
            raise SessionError(f"{to} cannot be written: {error.strerror}; make room") from error

    def exists(self, path: str) -> bool:
        """Return whether the host has a file of that name."""
        with self._translate_errors(path):
            try:
                self._sftp().stat(path)
            except FileNotFoundError:
                return False
            return True

    def _chunks(self, path: str, size: int) -> Iterator[bytes]:
        with self._translate_errors(path):
            file = self._sftp().open(path, "rb")
            file.prefetch(size)
        remaining = size
        while remaining:
            with self._translate_errors(path):
                chunk = file.read(min(remaining, _CHUNK_BYTES))
            if not chunk:
                raise HostError(f"{self.name}: {path} ended {remaining} bytes early")
            remaining -= len(chunk)
            yield chunk
        with self._translate_errors(path):
            file.close()

    def _open(self) -> None:
        for hop in self._connection.hops():
            self._current_hop = hop
            hop.open()

    def _sftp(self) -> Any:
        self._open()
        with self._sever_when_silent(0):
            return self._connection.files()

    def _raise_killed_or_lost(self, argv: Sequence[str]) -> None:
        """Raise an error about a command without exit status: it, or the connection, was ended."""
        if (transport := self._connection.transport) is not None:
            transport.join(_TRANSPORT_END_TIMEOUT_S)  # paramiko closes its channels first
        if self._connection.is_connected:
            raise HostError(f"{self.name}: `{shlex.join(argv)}` was killed on the host")
        raise LostError(f"{self.name}: the connection was lost during `{shlex.join(argv)}`")

    def _command_stderr(self, exited: int, stderr: str) -> str:
        """Return the command's stderr without sudo's warnings. Raise `HostError` if sudo failed."""
        sudo_stderr, command_stderr = sudo_command.split_stderr(stderr)
        if command_stderr is not None:
            return command_stderr
        if exited == 127:
            raise HostError(
                f"{self.name}: there is no sudo; install it, or log in as root with"
                " ansible_become: false"
            )
        raise HostError(
            f"{self.name}: sudo does not let {self._connection.user} run commands"
            f" without a password ({' '.join(sudo_stderr.split())[-300:] or 'no output'}); "
            "give that user NOPASSWD in sudoers, or log in as another user"
        )

    @contextmanager
    def _sever_when_silent(self, takes_s: float) -> Iterator[None]:
        """Sever the connection if the host does not answer within `SILENCE_TIMEOUT_S` of `takes_s`.

        Not all of paramiko's waits have a timeout, and a host that hangs still acknowledges
        packets.
        """
        self._open()
        timed_out = threading.Event()

        def sever() -> None:
            timed_out.set()
            self._connection.sever()

        timer = threading.Timer(takes_s + connection.SILENCE_TIMEOUT_S, sever)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (LostError, *SSH_ERRORS) as error:
            if timed_out.is_set():
                endpoint = self._connection.endpoint
                raise LostError(
                    f"{self.name}: {endpoint} stopped answering during a command"
                ) from error
            raise
        finally:
            timer.cancel()

    @contextmanager
    def _translate_errors(self, path: str | None = None) -> Iterator[None]:
        """Raise `host_error` for a library's exception; `path` is the file being transferred."""
        try:
            try:
                self._open()
                yield
            except SSH_ERRORS as error:
                raise host_error(error, self._current_hop, path) from error
        except LostError:
            self._connection.sever()
            raise
