"""A fabric connection with pinned host keys and jump hosts, which any thread can sever."""

import logging
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

import fabric

from fwbench import paths
from fwbench.errors import HostError
from fwbench.model.host import Host, JumpHost
from fwbench.ssh import host_keys
from fwbench.ssh.jump_hosts import parse_proxy_jump

# paramiko also logs the exceptions that it raises: these would be tracebacks on the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

CONNECT_TIMEOUT_S = 10
SILENCE_TIMEOUT_S = 30
KEEPALIVE_S = 10
OUTPUT_LIMIT_BYTES = 16 << 20


class _BoundedRunner(fabric.runners.Remote):  # type: ignore[misc]
    """Reads at most `OUTPUT_LIMIT_BYTES` of a command's output; a command that prints more hangs.

    Without the limit, a hostile host could fill the controller's memory.
    """

    _remaining_bytes = OUTPUT_LIMIT_BYTES

    def read_proc_stdout(self, num_bytes: int) -> bytes:
        """Return the next output, or nothing once the limit is reached."""
        return self._count(super().read_proc_stdout(num_bytes))

    def read_proc_stderr(self, num_bytes: int) -> bytes:
        """Return the next output, or nothing once the limit is reached."""
        return self._count(super().read_proc_stderr(num_bytes))

    def _count(self, read: bytes) -> bytes:
        self._remaining_bytes -= len(read)
        return read if self._remaining_bytes > 0 else b""


class Connection(fabric.Connection):  # type: ignore[misc]
    """A connection to a host, or to one of its jump hosts, that checks every host's key.

    fabric itself accepts every unknown key, takes the hops of a ProxyJump in the wrong order, and
    does not close a lost connection. While this object lives, a host must show the same key each
    time, even if the known_hosts files change.
    """

    destination: Host
    known_as: str  # its name in known_hosts

    def __init__(
        self,
        host: Host,
        hop: JumpHost | None = None,
        gateway: "Connection | Literal[False] | None" = None,
    ) -> None:
        self._set(destination=host)
        if hop is None and host.jump_hosts is not None:
            gateway = _jump_connection(host, host.jump_hosts) or False
        endpoint = hop or host
        kwargs: dict[str, object] = {
            "banner_timeout": CONNECT_TIMEOUT_S,
            "auth_timeout": CONNECT_TIMEOUT_S,
            "channel_timeout": CONNECT_TIMEOUT_S,
        }
        if key_file := endpoint.key_file or host.key_file:
            kwargs |= {"key_filename": str(key_file)}
        super().__init__(
            endpoint.address,
            user=endpoint.user,
            port=endpoint.port,
            gateway=gateway,
            connect_timeout=CONNECT_TIMEOUT_S,
            connect_kwargs=kwargs,
            forward_agent=False,  # even if the user's own SSH configuration enables it
            config=_fabric_config(host),
        )
        self._pin_host_keys(self.ssh_config.get("hostkeyalias"))

    def _pin_host_keys(self, alias: str | None) -> None:
        """Make the client accept the keys that the files contain, and first contacts.

        With a HostKeyAlias, the files' keys of that name alone count, as in OpenSSH.
        """
        name = host_keys.known_hosts_name(self.host, self.port)
        self._set(known_as=alias or name)
        self.client.set_missing_host_key_policy(host_keys.RecordFirstContact(alias))
        for kind, key in host_keys.pinned_keys(self.destination, self.known_as).items():
            self.client.get_host_keys().add(name, kind, key)

    @property
    def endpoint(self) -> str:
        """The address and port that this connection leads to, for messages."""
        return f"{self.host}:{self.port}"

    def get_gateway(self) -> "Connection | str | None":
        """Return the gateway of the user's SSH configuration: a connection or a ProxyCommand."""
        if jump := self.ssh_config.get("proxyjump"):
            try:
                hops = parse_proxy_jump(jump)
            except ValueError as error:
                name = self.destination.name
                raise HostError(f"{name}: ProxyJump of your SSH configuration {error}") from error
            if any(hop.address in (self.host, self.original_host) for hop in hops):
                return None  # `Host *` also matches the jump host itself
            return _jump_connection(self.destination, hops)
        command: str | None = self.ssh_config.get("proxycommand")
        return command

    def hops(self) -> Iterator[Self]:
        """Yield the connections to the jump hosts, the nearest first, and this one."""
        if isinstance(self.gateway, Connection):
            yield from self.gateway.hops()
        yield self

    def open(self) -> None:
        """Connect, unless it is connected. The jump hosts must be connected already."""
        if self.is_connected:
            return
        self.sever(alone=True)
        super().open()
        # paramiko leaves Nagle's algorithm on: a command takes 45 ms instead of 5. A connection
        # through a jump host or a ProxyCommand has no socket of its own.
        if isinstance(sock := self.transport.sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: detects an interrupted network
                sock.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SILENCE_TIMEOUT_S * 1000)
                )
        self.transport.set_keepalive(KEEPALIVE_S)

    def files(self) -> Any:
        """Return an SFTP client that waits at most `SILENCE_TIMEOUT_S` for an answer."""
        client = self.sftp()
        client.get_channel().settimeout(SILENCE_TIMEOUT_S)
        return client

    def close(self) -> None:
        """Close this connection and those to its jump hosts."""
        self.sever()

    def sever(self, *, alone: bool = False) -> None:
        """Close the connection in any state, with its jump hosts unless `alone`.

        Threads that wait for an answer stop waiting.
        """
        for hop in [self] if alone else reversed(list(self.hops())):
            hop._sftp = None
            if (transport := hop.client.get_transport()) is not None:
                hop.client.close()
                transport.sock.close()  # paramiko leaves a lost connection's socket open
            hop.transport = None


def _fabric_config(host: Host) -> fabric.Config:
    """Return the user's SSH configuration. Raise `HostError` if a file cannot be read."""
    paths.user()  # `Match localuser` needs it; this raises a clear error if it is unknown
    try:
        return fabric.Config(overrides={"runners": {"remote": _BoundedRunner}})
    except Exception as error:  # each file's parser raises errors of its own
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise HostError(
            f"{host.name}: your SSH configuration (~/.ssh/config, /etc/ssh/ssh_config, fabric.yml)"
            f" cannot be read: {why}; correct it"
        ) from error


def _jump_connection(host: Host, hops: Sequence[JumpHost]) -> Connection | None:
    gateway = None
    for hop in hops:
        gateway = Connection(host, hop, gateway)
    return gateway
