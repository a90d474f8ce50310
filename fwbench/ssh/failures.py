"""Translate the exceptions of fabric, paramiko and invoke into one sentence about a host."""

import struct

import invoke
import paramiko

from fwbench.errors import HostError, HostKeyError, LostError
from fwbench.ssh.connection import Connection
from fwbench.ssh.host_keys import known_hosts_files

_SFTP_PROTOCOL_ERRORS = (paramiko.SFTPError, struct.error)
SSH_ERRORS = (
    OSError,
    EOFError,
    paramiko.SSHException,
    invoke.exceptions.ThreadException,
    *_SFTP_PROTOCOL_ERRORS,
)
_UNUSABLE_KEYS = ("No authentication methods available", "not a valid")  # as paramiko words it
_CUT_OFF_LOGIN = ("Authentication timeout", "Authentication failed: transport shut down")
_ADMINISTRATIVELY_PROHIBITED = 1  # SSH_OPEN_ADMINISTRATIVELY_PROHIBITED


def host_error(error: BaseException, connection: Connection, path: str | None) -> HostError:
    """Return the error to raise for one of `SSH_ERRORS`.

    `connection` is the one that failed, to the host or to a jump host; `path` is the file that was
    read or written. The result is a `LostError` unless a host refused something.
    """
    host = connection.destination
    where = connection.endpoint
    if connection.host != host.address:
        where += " (a jump host)"
    name, keys = host.name, host.key_file or "the keys of your agent and ~/.ssh"
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        error = next(iter(error.errors.values()))
    strerror = error.strerror if isinstance(error, OSError) else None
    reason = strerror or str(error) or type(error).__name__
    if isinstance(error, paramiko.BadHostKeyException):
        files = " or ".join(str(path) for path in known_hosts_files(host) if path.exists())
        return HostKeyError(
            f"{name}: {where} shows another host key than before "
            f"({error.key.get_name()} {error.key.fingerprint}); "
            f"if you reinstalled the host, remove its line from {files}"
        )
    if isinstance(error, _SFTP_PROTOCOL_ERRORS):
        return HostError(
            f"{name}: {where} does not speak SFTP ({reason}); if the login shell of"
            f" {connection.user} prints something when it starts, change ~/.bashrc so that only"
            " interactive shells do"
        )
    refusals = (paramiko.AuthenticationException, paramiko.PasswordRequiredException)
    if isinstance(error, refusals) and not reason.startswith(_CUT_OFF_LOGIN):
        return HostError(
            f"{name}: {where} refuses the login of {connection.user} with {keys}: {reason}"
        )
    if isinstance(error, paramiko.ChannelException) and error.code == _ADMINISTRATIVELY_PROHIBITED:
        return HostError(
            f"{name}: the jump host before {where} forwards no connection;"
            " set AllowTcpForwarding in its sshd_config"
        )
    if isinstance(error, FileNotFoundError):
        return HostError(f"{name}: no such file: {error.filename or path}")
    if path is not None and isinstance(error, OSError) and _is_file_error(error, connection):
        full = "; is its disk full?" if reason == "Failure" else ""
        return HostError(f"{name}: {path}: {reason}{full}")
    if reason.startswith(_UNUSABLE_KEYS):
        return HostError(f"{name}: cannot log in to {where} with {keys}: {reason}")
    return LostError(f"{name}: {where} does not answer SSH: {reason}")


def _is_file_error(error: OSError, connection: Connection) -> bool:
    """Return whether the host answered with an error about the file."""
    channel = connection._sftp and connection._sftp.get_channel()
    is_open = connection.is_connected and channel is not None and not channel.closed
    return is_open and not isinstance(error, TimeoutError | ConnectionError)
