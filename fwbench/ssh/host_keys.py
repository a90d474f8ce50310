"""The known_hosts files: which keys a host may show, and the record of first contacts."""

import fcntl
import logging
import stat
import threading
from pathlib import Path

import paramiko

from fwbench import paths
from fwbench.errors import HostError, HostKeyError
from fwbench.model.host import Host

logger = logging.getLogger(__name__)

LIMIT_BYTES = 16 << 20
_SSH_PORT = 22  # with another port, known_hosts contains `[name]:port`


def own_known_hosts_files() -> list[Path]:
    """Return the files of this machine's user: OpenSSH's, and fwbench's record."""
    return [paths.home_folder() / ".ssh" / "known_hosts", paths.known_hosts()]


def known_hosts_files(host: Host) -> list[Path]:
    """Return the files that may contain a host's key: the user's, fwbench's and the inventory's."""
    return [*own_known_hosts_files(), *([host.known_hosts] if host.known_hosts else [])]


def known_hosts_name(address: str, port: int) -> str:
    """Return the name of an address and a port in known_hosts."""
    return address if port == _SSH_PORT else f"[{address}]:{port}"


def is_known_hosts_name(name: str) -> bool:
    """Return whether known_hosts can contain a name; in some words, it would be a pattern."""
    return name.isprintable() and not set(name) & set(" ,*?!|#@")


def pinned_keys(host: Host, name: str) -> dict[str, paramiko.PKey]:
    """Return the keys that the host or a jump host may show, by type; none before first contact.

    `name` is the one in known_hosts. The first file that contains it decides, so that an inventory
    adds no key to those that the user knows. Raise `HostKeyError` if two files contain different
    keys of one type, and `HostError` if a file cannot be read.
    """
    pinned: dict[str, paramiko.PKey] = {}
    found_in: dict[str, tuple[paramiko.PKey, Path]] = {}
    for path in known_hosts_files(host):
        keys = dict(_load(host, path).lookup(name) or {})
        for kind, key in keys.items():
            other, before = found_in.setdefault(kind, (key, path))
            if other != key:
                raise HostKeyError(
                    f"{host.name}: {before} and {path} contain different {kind} keys of {name}"
                    f" ({other.fingerprint} and {key.fingerprint}); remove the wrong one"
                )
        pinned = pinned or keys
    return pinned


def known_hosts_line(name: str, key: paramiko.PKey) -> str:
    """Return the line that pins a host's key."""
    return f"{name} {key.get_name()} {key.get_base64()}\n"


def _load(host: Host, path: Path) -> paramiko.HostKeys:
    try:
        if not path.exists():
            if path == host.known_hosts:
                raise HostError(
                    f"{host.name}: {path} does not exist, and the inventory names it for host keys;"
                    " correct fwbench_known_hosts"
                )
            return paramiko.HostKeys()
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LIMIT_BYTES:
            raise HostError(
                f"{host.name}: {path} is not a file of host keys (a regular file of at most"
                f" {LIMIT_BYTES >> 20} MiB); correct fwbench_known_hosts, or replace the file"
            )
        return paramiko.HostKeys(str(path))
    except OSError as error:
        raise HostError(
            f"{host.name}: {path} cannot be read: {error.strerror}; correct its permissions"
        ) from error
    except (paramiko.hostkeys.InvalidHostKey, UnicodeDecodeError) as error:
        # paramiko stops at a broken line, and a later one may contain this host's key.
        raise HostError(
            f"{host.name}: {path} has a line that is not a host key: {_quote_line(error)};"
            " correct it"
        ) from error


def _quote_line(error: paramiko.hostkeys.InvalidHostKey | UnicodeDecodeError) -> str:
    line = error.object if isinstance(error, UnicodeDecodeError) else error.line
    return repr(line[:60])


class RecordFirstContact(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Records the key of an unknown host; raises an error if a key of another type is known.

    The key is recorded under the host's `HostKeyAlias` if the user's SSH configuration sets one.
    """

    _lock = threading.Lock()

    def __init__(self, alias: str | None = None) -> None:
        self._alias = alias

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Record the key, or raise `BadHostKeyException`."""
        recorded_as = self._alias or hostname
        known = client.get_host_keys().lookup(hostname)
        if known:
            raise paramiko.BadHostKeyException(hostname, key, next(iter(known.values())))
        if not is_known_hosts_name(recorded_as):
            raise HostError(
                f"{recorded_as!r:.80} cannot be written to known_hosts: set ansible_host"
                " to an address"
            )
        path = paths.known_hosts()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock, path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Another process may have recorded a key since the files were read.
            if (known := paramiko.HostKeys(str(path)).lookup(recorded_as)) is None:
                file.write(known_hosts_line(recorded_as, key))
            elif known.get(key.get_name()) != key:
                raise paramiko.BadHostKeyException(hostname, key, next(iter(known.values())))
        client.get_host_keys().add(hostname, key.get_name(), key)
        if known is None:
            logger.warning(
                "first contact with %s: recorded its host key %s %s in %s",
                recorded_as,
                key.get_name(),
                key.fingerprint,
                path,
            )
