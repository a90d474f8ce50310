"""How a host is reached: the `Remote` protocol and its SSH form, with pinned host keys."""

import logging
import shlex
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import fabric
import invoke
import paramiko

from fwbench import places
from fwbench.errors import HostError, LostError
from fwbench.model.base import Frozen
from fwbench.model.host import Host

# Its errors arrive as exceptions; logged as well, they would be tracebacks on the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10
SILENCE_TIMEOUT_S = 30
FILE_LIMIT_BYTES = 1 << 30
_UNUSABLE_KEYS = ("No authentication methods available", "not a valid")  # as paramiko words it


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
        self, argv: Sequence[str], *, timeout_s: float = 30, sudo: bool = False
    ) -> Completed:
        """Run a command; its exit status is the caller's to judge."""

    def check(self, argv: Sequence[str], *, timeout_s: float = 30, sudo: bool = False) -> None:
        """Run a command that must succeed, else raise `HostError` with the end of its stderr."""

    def put(self, content: bytes, path: str) -> None:
        """Leave a private file on the host."""

    def get(self, path: str, to: Path) -> None:
        """Fetch a file."""

    def exists(self, path: str) -> bool:
        """Whether there is a file of that name."""


class _RecordFirstContact(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Records the key of a host never met before; one met with another kind of key is refused."""

    _lock = threading.Lock()

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        known = client.get_host_keys().lookup(hostname)
        if known:
            raise paramiko.BadHostKeyException(hostname, key, next(iter(known.values())))
        path = places.known_hosts()
        with self._lock:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(f"{hostname} {key.get_name()} {key.get_base64()}\n")
        logger.warning(
            "first contact with %s: its key %s %s is recorded in %s",
            hostname,
            key.get_name(),
            key.fingerprint,
            path,
        )


def known_hosts_files(host: Host) -> list[Path]:
    """The files that may know a host's key: the user's own, fwbench's, and the inventory's."""
    named = [host.known_hosts] if host.known_hosts else []
    return [*named, Path.home() / ".ssh" / "known_hosts", places.known_hosts()]


class _Connection(fabric.Connection):  # type: ignore[misc]
    """A fabric connection that checks host keys; fabric itself adds every unknown one."""

    def __init__(self, host: Host) -> None:
        kwargs: dict[str, object] = {
            "banner_timeout": CONNECT_TIMEOUT_S,
            "auth_timeout": CONNECT_TIMEOUT_S,
        }
        if host.key_file:
            kwargs |= {"key_filename": str(host.key_file)}
        super().__init__(
            host.address,
            user=host.user,
            port=host.port,
            connect_timeout=CONNECT_TIMEOUT_S,
            connect_kwargs={**kwargs, "channel_timeout": CONNECT_TIMEOUT_S},
        )
        for hop in self._hops():
            _pin(hop.client, host)
            hop.connect_timeout = CONNECT_TIMEOUT_S

    def _hops(self) -> Iterator[fabric.Connection]:
        """The connection, and those of a ProxyJump: fabric makes them, and never closes them."""
        hop = self
        while isinstance(hop, fabric.Connection):
            yield hop
            hop = hop.gateway

    def close(self) -> None:
        for hop in self._hops():
            fabric.Connection.close(hop)

    def open(self) -> None:
        if not self.is_connected:
            self._sftp = None  # that of a connection that was lost answers no more
            super().open()
            # paramiko leaves Nagle's algorithm on: a command takes 45 ms instead of 5. The way
            # through a ProxyJump or a ProxyCommand is no socket of ours.
            if isinstance(self.transport.sock, socket.socket):
                self.transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.transport.set_keepalive(10)


def _pin(client: paramiko.SSHClient, host: Host) -> None:
    """Let a client accept only what the files know, or what no file knows."""
    client.set_missing_host_key_policy(_RecordFirstContact())
    for path in known_hosts_files(host):
        try:
            if path.exists():
                client.get_host_keys().load(str(path))
        except OSError as error:
            raise HostError(f"{host.name}: {path} cannot be read: {error.strerror}") from error
        except (paramiko.hostkeys.InvalidHostKey, UnicodeDecodeError) as error:
            # Lines after a broken one would not be read, and one of them may be this host's.
            raise HostError(
                f"{host.name}: {path} has a line that is no host key: {_shown(error)}; correct it"
            ) from error


def _shown(error: paramiko.hostkeys.InvalidHostKey | UnicodeDecodeError) -> str:
    line = error.object if isinstance(error, UnicodeDecodeError) else error.line
    return repr(line[:60])


class SshRemote:
    """A host over one SSH connection, opened when first needed. For one thread at a time."""

    def __init__(self, host: Host) -> None:
        self.name = host.name
        self._host = host
        self._connection = _Connection(host)

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
        self, argv: Sequence[str], *, timeout_s: float = 30, sudo: bool = False
    ) -> Completed:
        """Run a command, bounded on the host itself, since a lost connection leaves it running."""
        words = ["timeout", "--kill-after=5", f"{timeout_s:g}", *argv]
        if sudo:
            words = ["sudo", "-n", "--", *words]
        with self._clear_errors():
            result = self._connection.run(
                shlex.join(words),
                hide=True,
                warn=True,
                in_stream=False,
                timeout=timeout_s + SILENCE_TIMEOUT_S,
            )
        if result.exited == -1:
            raise LostError(f"{self.name}: the connection was lost during `{shlex.join(argv)}`")
        if sudo and result.exited == 1 and result.stderr.startswith("sudo: "):
            raise HostError(
                f"{self.name}: sudo does not let {self._connection.user} in without a password "
                f"({result.stderr.strip()}); give that user NOPASSWD or log in as another"
            )
        return Completed(argv=tuple(argv), exit_status=result.exited, stderr=result.stderr[-4000:])

    def check(self, argv: Sequence[str], *, timeout_s: float = 30, sudo: bool = False) -> None:
        """Run a command that must succeed."""
        done = self.execute(argv, timeout_s=timeout_s, sudo=sudo)
        if done.exit_status == 124:
            raise HostError(f"{self.name}: `{shlex.join(argv)}` took over {timeout_s:g} s")
        if done.exit_status:
            raise HostError(
                f"{self.name}: `{shlex.join(argv)}` exited {done.exit_status}: "
                f"{done.stderr.strip()[-300:] or 'it said nothing'}"
            )

    def put(self, content: bytes, path: str) -> None:
        """Leave a file that only its owner may read."""
        with self._clear_errors(path), self._connection.sftp().open(path, "wb") as file:
            file.chmod(0o600)
            file.write(content)

    def get(self, path: str, to: Path) -> None:
        """Fetch a file of at most 1 GiB."""
        with self._clear_errors(path):
            sftp = self._connection.sftp()
            size = sftp.stat(path).st_size
            if size is None or size > FILE_LIMIT_BYTES:
                raise HostError(f"{self.name}: {path} has {size} bytes, more than fwbench fetches")
            sftp.get(path, str(to))

    def exists(self, path: str) -> bool:
        """Whether there is a file of that name."""
        with self._clear_errors(path):
            try:
                self._connection.sftp().stat(path)
            except FileNotFoundError:
                return False
            return True

    @contextmanager
    def _clear_errors(self, path: str | None = None) -> Iterator[None]:
        """Turn what a library raises into a sentence; `path` is the file that it was about."""
        host, at = self._host, f"{self._host.address}:{self._connection.port}"
        try:
            yield
        except paramiko.BadHostKeyException as error:
            files = " or ".join(str(path) for path in known_hosts_files(host) if path.exists())
            raise HostError(
                f"{host.name}: {at} shows another host key than before "
                f"({error.key.get_name()} {error.key.fingerprint}); "
                f"if the host was really made anew, remove its line from {files}"
            ) from error
        except (paramiko.AuthenticationException, paramiko.PasswordRequiredException) as error:
            raise HostError(
                f"{host.name}: {at} refuses the login of {self._connection.user} "
                f"with {host.key_file or 'the keys of your agent and ~/.ssh'}: {error}"
            ) from error
        except invoke.exceptions.CommandTimedOut as error:
            raise LostError(f"{host.name}: {at} fell silent during a command") from error
        except FileNotFoundError as error:
            raise HostError(f"{host.name}: no such file: {error.filename or path}") from error
        except (
            OSError,
            EOFError,
            paramiko.SSHException,
            invoke.exceptions.ThreadException,
        ) as error:
            if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
                error = next(iter(error.errors.values()))
            strerror = error.strerror if isinstance(error, OSError) else None
            reason = strerror or str(error) or type(error).__name__
            if path is not None and isinstance(error, OSError) and self._connection.is_connected:
                raise HostError(f"{host.name}: {path}: {reason}") from error
            if reason.startswith(_UNUSABLE_KEYS):
                raise HostError(
                    f"{host.name}: no login at {at} is possible "
                    f"with {host.key_file or 'the keys of your agent and ~/.ssh'}: {reason}"
                ) from error
            raise LostError(f"{host.name}: {at} does not answer SSH: {reason}") from error
