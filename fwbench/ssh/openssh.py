"""OpenSSH as Ansible calls it: options that nothing overrides, and its master processes."""

import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from fwbench import paths

# If an option is repeated, ssh uses the first one. These come first in the file for `ssh -F`, which
# jump hosts use as well, and first on the command line, which ssh reads before that file.
_ENFORCED_OPTIONS = (
    "StrictHostKeyChecking yes",
    "VerifyHostKeyDNS no",
    "NoHostAuthenticationForLocalhost no",
    "UpdateHostKeys no",  # otherwise a host could replace its recorded key
    "GlobalKnownHostsFile /dev/null",  # fwbench's own connections do not read it either
    "ForwardAgent no",
    "ForwardX11 no",
    "GSSAPIDelegateCredentials no",
    "ClearAllForwardings yes",  # not the -W of a jump host
)
_SINCE_8_5 = "KnownHostsCommand none"
_BLOCK_KEYWORDS = ("host ", "match ")
_CLOSE_TIMEOUT_S = 5
# Independent of TMPDIR, since the path of a socket has at most 104 characters.
SOCKETS_PARENT = Path("/tmp")  # noqa: S108 - a folder of mode 0700 is made there


def configuration(
    known_hosts: Iterable[Path] = (), key_files: Mapping[str, Path] | None = None
) -> str:
    """Return a configuration for `ssh -F` that checks host keys and forwards nothing.

    It includes the user's own configuration at its end. Unlike options, ssh also uses it for jump
    hosts. `key_files` maps the address of a jump host to the key that it accepts.
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
        # For jump hosts, whose master processes would outlive the play. The command line sets these
        # options for the host itself.
        "  ControlMaster no",
        "  ControlPath none",
        f'  Include "{Path.home() / ".ssh" / "config"}"',
        "  Include /etc/ssh/ssh_config",
    ]
    return "\n".join(lines) + "\n"


def _is_supported(option: str) -> bool:
    """Return whether this ssh knows an option; one unknown option makes it reject the file."""
    argv = ["ssh", "-G", "-F", "none", "-o", option, "localhost"]
    try:
        result = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL)
    except OSError:
        return False
    return result.returncode == 0


def _quote(path: Path) -> str:
    text = str(path.absolute()).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def arguments(config: str, path: Path) -> str:
    """Return the arguments for ssh that precede all others, quoted for Ansible.

    They repeat the options before the configuration's first block, and name the file at `path`.
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
    """Yield a private folder for the sockets of ssh's master processes; end these on exit."""
    with paths.temporary_folder("ssh-", SOCKETS_PARENT) as folder:
        try:
            yield folder
        finally:
            for file in folder.iterdir():
                if file.is_socket():
                    _end_master(file)


def _end_master(socket: Path) -> None:
    argv = ["ssh", "-F", "none", "-S", str(socket), "-O", "exit", "localhost"]
    with suppress(OSError, subprocess.TimeoutExpired):  # ControlPersist ends it after 30 s
        subprocess.run(
            argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=_CLOSE_TIMEOUT_S
        )
