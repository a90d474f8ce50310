"""A fabric connection with pinned host keys, over the hosts on the way, that can be severed."""

import fcntl
import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import fabric
import paramiko

from fwbench import paths
from fwbench.errors import HostError
from fwbench.model.host import Host, JumpHost
from fwbench.ssh.jump_hosts import parse_proxy_jump

# Its errors arrive as exceptions; logged as well, they would be tracebacks on the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10
SILENCE_TIMEOUT_S = 30
KEEPALIVE_S = 10
_SSH_PORT = 22  # known_hosts has the port beside the name where it is another
OUTPUT_LIMIT_BYTES = 16 << 20


def known_hosts_files(host: Host) -> list[Path]:
    """The files that may know a host's key: the user's own, fwbench's, and the inventory's."""
    named = [host.known_hosts] if host.known_hosts else []
    return [*named, paths.home_folder() / ".ssh" / "known_hosts", paths.known_hosts()]


class _BoundedRunner(fabric.runners.Remote):  # type: ignore[misc]
    """A command of whose outputs no more is read than a host may say; it hangs if it says more."""

    _remaining_bytes = OUTPUT_LIMIT_BYTES

    def read_proc_stdout(self, num_bytes: int) -> bytes:
        """What comes next, or the end once too much has come."""
        return self._count(super().read_proc_stdout(num_bytes))

    def read_proc_stderr(self, num_bytes: int) -> bytes:
        """What comes next, or the end once too much has come."""
        return self._count(super().read_proc_stderr(num_bytes))

    def _count(self, read: bytes) -> bytes:
        self._remaining_bytes -= len(read)
        return read if self._remaining_bytes > 0 else b""


class Connection(fabric.Connection):  # type: ignore[misc]
    """A connection to a host, or to a hop on the way to it, that checks every host's key.

    fabric itself adds every unknown key, takes the hops of a ProxyJump in the wrong order, and
    leaves what is left of a lost connection open. The key that a host has shown is the only one
    that it may show for as long as this object lives, whatever becomes of the files.
    """

    destination: Host

    def __init__(
        self,
        host: Host,
        hop: JumpHost | None = None,
        gateway: "Connection | Literal[False] | None" = None,
    ) -> None:
        self._set(destination=host)
        if hop is None and host.jump_hosts is not None:
            gateway = _jump_connection(host, host.jump_hosts) or False
        at = hop or host
        kwargs: dict[str, object] = {
            "banner_timeout": CONNECT_TIMEOUT_S,
            "auth_timeout": CONNECT_TIMEOUT_S,
            "channel_timeout": CONNECT_TIMEOUT_S,
        }
        if key_file := at.key_file or host.key_file:
            kwargs |= {"key_filename": str(key_file)}
        super().__init__(
            at.address,
            user=at.user,
            port=at.port,
            gateway=gateway,
            connect_timeout=CONNECT_TIMEOUT_S,
            connect_kwargs=kwargs,
            forward_agent=False,  # whatever the user's own SSH configuration says
            config=_fabric_config(host),
        )
        alias = self.ssh_config.get("hostkeyalias")
        _pin_host_keys(self.client, host, alias)
        if alias:
            name = self.host if self.port == _SSH_PORT else f"[{self.host}]:{self.port}"
            _use_host_key_alias(alias, self.client.get_host_keys(), name)

    @property
    def endpoint(self) -> str:
        """Where it leads, for sentences."""
        return f"{self.host}:{self.port}"

    def get_gateway(self) -> "Connection | str | None":
        """The way that the user's own SSH configuration knows."""
        if jump := self.ssh_config.get("proxyjump"):
            try:
                found = parse_proxy_jump(jump)
            except ValueError as error:
                name = self.destination.name
                raise HostError(f"{name}: ProxyJump of your SSH configuration {error}") from error
            if any(hop.address in (self.host, self.original_host) for hop in found):
                return None  # `Host *` includes the hop itself
            return _jump_connection(self.destination, found)
        command: str | None = self.ssh_config.get("proxycommand")
        return command

    def hops(self) -> Iterator[Self]:
        """The hops that lead to it, the nearest first, and itself."""
        if isinstance(self.gateway, Connection):
            yield from self.gateway.hops()
        yield self

    def open(self) -> None:
        """Connect, unless it is connected; the hops have to be."""
        if self.is_connected:
            return
        self.sever(alone=True)
        super().open()
        # paramiko leaves Nagle's algorithm on: a command takes 45 ms instead of 5. The way through
        # a hop or a ProxyCommand is no socket of ours.
        if isinstance(sock := self.transport.sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: a network that was cut ends it
                sock.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SILENCE_TIMEOUT_S * 1000)
                )
        self.transport.set_keepalive(KEEPALIVE_S)

    def files(self) -> Any:
        """An SFTP client of which no answer is awaited for longer than the limit of silence."""
        client = self.sftp()
        client.get_channel().settimeout(SILENCE_TIMEOUT_S)
        return client

    def close(self) -> None:
        """Close it, and the hops that lead to it."""
        self.sever()

    def sever(self, *, alone: bool = False) -> None:
        """Close what there is, in whatever state; who waits on it, in any thread, waits no more."""
        for each in [self] if alone else reversed(list(self.hops())):
            each._sftp = None
            if (transport := each.client.get_transport()) is not None:
                each.client.close()
                transport.sock.close()  # paramiko leaves that of a connection that was lost
            each.transport = None


def _fabric_config(host: Host) -> fabric.Config:
    """What the user's own files say of connections; `HostError` where one cannot be read."""
    paths.user()  # a line of theirs may be for some users alone
    try:
        return fabric.Config(overrides={"runners": {"remote": _BoundedRunner}})
    except Exception as error:  # of the files' several readers, each with errors of its own
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise HostError(
            f"{host.name}: your SSH configuration (~/.ssh/config, /etc/ssh/ssh_config, fabric.yml)"
            f" cannot be read: {why}"
        ) from error


def _jump_connection(host: Host, found: Sequence[JumpHost]) -> Connection | None:
    gateway = None
    for hop in found:
        gateway = Connection(host, hop, gateway)
    return gateway


class _RecordFirstContact(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Records the key of a host never met before; one met with another kind of key is refused.

    The key is recorded under the host's alias where the user's SSH configuration has one.
    """

    _lock = threading.Lock()

    def __init__(self, alias: str | None = None) -> None:
        self._alias = alias

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        recorded_as = self._alias or hostname
        known = client.get_host_keys().lookup(hostname)
        if known:
            raise paramiko.BadHostKeyException(hostname, key, next(iter(known.values())))
        if not _is_known_hosts_name(recorded_as):
            raise HostError(f"{recorded_as!r:.80} is no name for known_hosts; use ansible_host")
        path = paths.known_hosts()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock, path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Somebody else may have met it since the files were read, and may have met another.
            if (known := _read_known_hosts(path).lookup(recorded_as)) is None:
                file.write(f"{recorded_as} {key.get_name()} {key.get_base64()}\n")
            elif known.get(key.get_name()) != key:
                raise paramiko.BadHostKeyException(hostname, key, next(iter(known.values())))
        client.get_host_keys().add(hostname, key.get_name(), key)
        if known is None:
            logger.warning(
                "first contact with %s: its key %s %s is recorded in %s",
                recorded_as,
                key.get_name(),
                key.fingerprint,
                path,
            )


def _is_known_hosts_name(hostname: str) -> bool:
    return hostname.isprintable() and not set(hostname) & set(" ,*?!|#@")


def _read_known_hosts(path: Path) -> paramiko.HostKeys:
    return paramiko.HostKeys(str(path))


def _use_host_key_alias(alias: str, keys: paramiko.HostKeys, name: str) -> None:
    """Know a host by its HostKeyAlias alone, as OpenSSH does."""
    found = keys.lookup(alias)
    known = list(found.values()) if found else []
    keys.clear()
    for key in known:
        keys.add(name, key.get_name(), key)


def _pin_host_keys(client: paramiko.SSHClient, host: Host, alias: str | None) -> None:
    """Let a client accept only what the files know, or what no file knows."""
    client.set_missing_host_key_policy(_RecordFirstContact(alias))
    for path in known_hosts_files(host):
        try:
            if path.is_fifo():
                raise HostError(f"{host.name}: {path} is a pipe; put a file in its place")
            if path.exists():
                client.get_host_keys().load(str(path))
        except OSError as error:
            raise HostError(f"{host.name}: {path} cannot be read: {error.strerror}") from error
        except (paramiko.hostkeys.InvalidHostKey, UnicodeDecodeError) as error:
            # Lines after a broken one would not be read, and one of them may be this host's.
            raise HostError(
                f"{host.name}: {path} has a line that is no host key: {_quote_line(error)};"
                " correct it"
            ) from error


def _quote_line(error: paramiko.hostkeys.InvalidHostKey | UnicodeDecodeError) -> str:
    line = error.object if isinstance(error, UnicodeDecodeError) else error.line
    return repr(line[:60])
