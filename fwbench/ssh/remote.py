"""How a host is reached: the `Remote` protocol and its SSH form, with pinned host keys."""

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
from fwbench.ssh import sudo as under_sudo
from fwbench.ssh.connection import Connection, known_hosts_files
from fwbench.ssh.failures import SSH_ERRORS, host_error

__all__ = ["Completed", "Remote", "SshRemote", "known_hosts_files"]

FILE_LIMIT_BYTES = 16 << 20  # of what is read as a whole
_CHUNK_BYTES = 1 << 20
# Whoever has entered a folder of his own that only he can write to stays in it, whatever is done
# to its name meanwhile.
_RUN_IN_OWN_FOLDER = (
    'cd "$0" 2>/dev/null && case "$(stat -c %u:%a .)" in'
    ' "${SUDO_UID:-$(id -u)}":*700) exec "$@";; esac;'
    ' echo "$0 is not the folder that fwbench made, or no longer there" >&2; exit 77'
)
_TRANSPORT_END_TIMEOUT_S = 1


class Completed(Frozen):
    """How a command on a host ended. Its standard output is never read."""

    argv: tuple[str, ...]
    exit_status: int
    stderr: str


class Remote(Protocol):
    """What the driver asks of a host, however it is reached."""

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
        """Run a command; its exit status is the caller's to judge.

        `within` is the folder to run it in. It is not run where that is not the login user's own,
        with mode 0700: another user of the host may have made one of the same name since.
        """

    def check(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        sudo: bool = False,
        within: PurePosixPath | None = None,
    ) -> None:
        """Run a command that must succeed, else raise `HostError` with the end of its stderr."""

    def put(self, content: bytes, path: str) -> None:
        """Leave a private file on the host."""

    def get(self, path: str, to: Path, limit_bytes: int = FILE_LIMIT_BYTES) -> None:
        """Fetch a file of at most so many bytes."""

    def exists(self, path: str) -> bool:
        """Whether there is a file of that name."""


class SshRemote:
    """A host over one SSH connection, opened when first needed. For one thread at a time.

    A connection that is lost raises `LostError`, after at most half a minute of silence beyond what
    a command may take, and the next call connects anew. What a host, or a hop on the way to it,
    refuses raises any other `HostError`.
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
        at: TracebackType | None,
    ) -> None:
        self._connection.close()

    def execute(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        sudo: bool = False,
        within: PurePosixPath | None = None,
    ) -> Completed:
        """Run a command, bounded on the host itself, since a lost connection leaves it running."""
        words = ["timeout", "--kill-after=5", f"{timeout_s:g}", *argv]
        if within is not None:
            words = ["sh", "-c", _RUN_IN_OWN_FOLDER, str(within), *words]
        becomes = sudo and self._host.become
        if becomes:
            words = under_sudo.sudo_argv(words)
        with self._translate_errors(), self._sever_when_silent(timeout_s):
            result = self._connection.run(shlex.join(words), hide=True, warn=True, in_stream=False)
            if result.exited == -1:
                self._raise_killed_or_lost(argv)
        stderr = self._command_stderr(result.exited, result.stderr) if becomes else result.stderr
        return Completed(argv=tuple(argv), exit_status=result.exited, stderr=stderr[-4000:])

    def check(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        sudo: bool = False,
        within: PurePosixPath | None = None,
    ) -> None:
        """Run a command that must succeed."""
        done = self.execute(argv, timeout_s=timeout_s, sudo=sudo, within=within)
        if done.exit_status == 124:
            raise HostError(f"{self.name}: `{shlex.join(argv)}` took over {timeout_s:g} s")
        if done.exit_status:
            raise HostError(
                f"{self.name}: `{shlex.join(argv)}` exited {done.exit_status}: "
                f"{done.stderr.strip()[-300:] or 'it said nothing'}"
            )

    def put(self, content: bytes, path: str) -> None:
        """Leave a file that only its owner may read."""
        with self._translate_errors(path), self._sftp().open(path, "wb") as file:
            file.chmod(0o600)
            file.write(content)

    def get(self, path: str, to: Path, limit_bytes: int = FILE_LIMIT_BYTES) -> None:
        """Fetch a file of at most so many bytes.

        Raises `SessionError` where it cannot be written here.
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
        """Whether there is a file of that name."""
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
        left = size
        while left:
            with self._translate_errors(path):
                chunk = file.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise HostError(f"{self.name}: {path} ended {left} bytes early")
            left -= len(chunk)
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
        """A command without an exit status was killed, or the connection is: say which."""
        if (transport := self._connection.transport) is not None:
            transport.join(_TRANSPORT_END_TIMEOUT_S)  # it learns of its end after its channels
        if self._connection.is_connected:
            raise HostError(f"{self.name}: `{shlex.join(argv)}` was killed on the host")
        raise LostError(f"{self.name}: the connection was lost during `{shlex.join(argv)}`")

    def _command_stderr(self, exited: int, stderr: str) -> str:
        """What the command printed, without sudo's warnings; an error where sudo refused."""
        said, of_command = under_sudo.split_stderr(stderr)
        if of_command is not None:
            return of_command
        if exited == 127:
            raise HostError(
                f"{self.name}: there is no sudo; install it, or log in as root with"
                " ansible_become: false"
            )
        raise HostError(
            f"{self.name}: sudo does not let {self._connection.user} in without a password "
            f"({' '.join(said.split())[-300:] or 'it said nothing'}); "
            "give that user NOPASSWD or log in as another"
        )

    @contextmanager
    def _sever_when_silent(self, takes_s: float) -> Iterator[None]:
        """Sever the connection of a host that has not answered long after it should have.

        Not all of paramiko's waits can be given a limit, and a host that hangs goes on
        acknowledging packets.
        """
        self._open()
        silent = threading.Event()

        def sever() -> None:
            silent.set()
            self._connection.sever()

        timer = threading.Timer(takes_s + connection.SILENCE_TIMEOUT_S, sever)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (LostError, *SSH_ERRORS) as error:
            if silent.is_set():
                at = self._connection.endpoint
                raise LostError(f"{self.name}: {at} fell silent during a command") from error
            raise
        finally:
            timer.cancel()

    @contextmanager
    def _translate_errors(self, path: str | None = None) -> Iterator[None]:
        """Turn what a library raises into a sentence; `path` is the file that it was about."""
        try:
            try:
                self._open()
                yield
            except SSH_ERRORS as error:
                raise host_error(error, self._current_hop, path) from error
        except LostError:
            self._connection.sever()
            raise
