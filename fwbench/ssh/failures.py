"""What fabric, paramiko and invoke raise, as one sentence about a host."""

import struct

import invoke
import paramiko

from fwbench.errors import HostError, HostKeyError, LostError
from fwbench.ssh.connection import Connection, known_hosts_files

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


def host_error(error: BaseException, at: Connection, path: str | None) -> HostError:
    """The error to raise instead of one of `RAISED`.

    `at` is the connection at work, to the host or to a hop on its way, and `path` the file that it
    was about. It is a `LostError` unless the host, or the hop, said no.
    """
    host = at.destination
    where = at.endpoint if at.host == host.address else f"{at.endpoint} (on the way there)"
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
            f"if the host was really made anew, remove its line from {files}"
        )
    if isinstance(error, _SFTP_PROTOCOL_ERRORS):
        return HostError(
            f"{name}: {where} does not speak SFTP ({reason}); if the login shell of {at.user}"
            " prints something when it starts, let ~/.bashrc and the like do so in interactive"
            " shells only"
        )
    refusals = (paramiko.AuthenticationException, paramiko.PasswordRequiredException)
    if isinstance(error, refusals) and not reason.startswith(_CUT_OFF_LOGIN):
        return HostError(f"{name}: {where} refuses the login of {at.user} with {keys}: {reason}")
    if isinstance(error, paramiko.ChannelException) and error.code == _ADMINISTRATIVELY_PROHIBITED:
        return HostError(f"{name}: a host on the way to {where} lets no connection through")
    if isinstance(error, FileNotFoundError):
        return HostError(f"{name}: no such file: {error.filename or path}")
    if path is not None and isinstance(error, OSError) and _is_file_error(error, at):
        full = "; is its disk full?" if reason == "Failure" else ""
        return HostError(f"{name}: {path}: {reason}{full}")
    if reason.startswith(_UNUSABLE_KEYS):
        return HostError(f"{name}: no login at {where} is possible with {keys}: {reason}")
    return LostError(f"{name}: {where} does not answer SSH: {reason}")


def _is_file_error(error: OSError, at: Connection) -> bool:
    """Whether the host answered, and that the file is at fault."""
    channel = at._sftp and at._sftp.get_channel()
    answers = at.is_connected and channel is not None and not channel.closed
    return answers and not isinstance(error, TimeoutError | ConnectionError)
