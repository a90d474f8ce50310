"""Ansible's ssh: the options that nothing overrules, and its master processes."""

import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

# Of an option that is given twice ssh takes the first. These stand first in the file for `ssh -F`,
# which counts for jump hosts as well, and first on the command line, which goes before that file.
_ENFORCED_OPTIONS = (
    "StrictHostKeyChecking yes",
    "VerifyHostKeyDNS no",
    "NoHostAuthenticationForLocalhost no",
    "UpdateHostKeys no",  # a host would replace the key that it was met with
    "GlobalKnownHostsFile /dev/null",  # the driver does not read the system's either
    "ForwardAgent no",
    "ForwardX11 no",
    "GSSAPIDelegateCredentials no",
)
_SINCE_8_5 = "KnownHostsCommand none"
_BLOCK_KEYWORDS = ("host ", "match ")
_CLOSE_TIMEOUT_S = 5
# Whatever TMPDIR says: the path of a socket has at most 104 characters.
_SOCKETS_PARENT = Path("/tmp")  # noqa: S108 - a folder of mode 0700 is made there


def configuration(
    known_hosts: Iterable[Path] = (), key_files: Mapping[str, Path] | None = None
) -> str:
    """Return a configuration for `ssh -F`: host keys are checked, and nothing is forwarded.

    It goes before the user's own configuration and includes it. ssh hands it on to jump hosts, as
    it does with no option. `key_files` are what these log in with, by their address.
    """
    lines = list(_ENFORCED_OPTIONS)
    if _is_supported(_SINCE_8_5):
        lines.append(_SINCE_8_5)
    if files := " ".join(map(_quote, known_hosts)):
        lines.append(f"UserKnownHostsFile {files}")
    for address, key in (key_files or {}).items():
        lines += [f"Host {address}", f"  IdentityFile {_quote(key)}"]
    lines += [
        "Match all",
        # For jump hosts, since the command line says otherwise: their masters would outlive a play.
        "  ControlMaster no",
        "  ControlPath none",
        f'  Include "{Path.home() / ".ssh" / "config"}"',
        "  Include /etc/ssh/ssh_config",
    ]
    return "\n".join(lines) + "\n"


def _is_supported(option: str) -> bool:
    """Whether this ssh knows an option: it refuses a whole configuration for one unknown."""
    argv = ["ssh", "-G", "-F", "none", "-o", option, "localhost"]
    try:
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


def _quote(path: Path) -> str:
    text = str(path.absolute()).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def arguments(config: str, path: Path) -> str:
    """The arguments for ssh that go before all others, quoted as Ansible takes them.

    They are what the configuration says before its first block, and the configuration at `path`.
    """
    options = []
    for line in config.splitlines():
        if line.lower().startswith(_BLOCK_KEYWORDS):
            break
        options += ["-o", line]
    masters = ["-oControlMaster=auto", "-oControlPersist=30s"]
    alive = ["-oServerAliveInterval=15", "-oServerAliveCountMax=4"]
    return shlex.join([*options, *masters, *alive, "-F", str(path)])


@contextmanager
def control_sockets() -> Iterator[Path]:
    """Give a private folder for the sockets of ssh's master processes, and end these at its end."""
    with tempfile.TemporaryDirectory(prefix="fwbench-ssh-", dir=_SOCKETS_PARENT) as folder:
        try:
            yield Path(folder)
        finally:
            for socket in Path(folder).iterdir():
                _end_master(socket)


def _end_master(socket: Path) -> None:
    argv = ["ssh", "-F", "none", "-S", str(socket), "-O", "exit", "localhost"]
    with suppress(OSError, subprocess.TimeoutExpired):  # it ends by itself half a minute later
        subprocess.run(
            argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=_CLOSE_TIMEOUT_S
        )
