"""What Ansible's arguments for ssh say of the way to a host.

An inventory's words never become a command of the driver's: a ProxyCommand is understood where it
is ssh itself, and refused otherwise. Options that change nothing about the way are passed over.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fwbench.model.host import JumpHost
from fwbench.ssh.jump_hosts import parse_jump_host, parse_proxy_jump

_FLAGS = re.compile(r"-[46aACkqTvx]+")
_IGNORED_OPTIONS = frozenset(
    {
        "addressfamily",
        "batchmode",
        "ciphers",
        "compression",
        "connectionattempts",
        "connecttimeout",
        "controlmaster",
        "controlpath",
        "controlpersist",
        "forwardagent",
        "forwardx11",
        "forwardx11trusted",
        "gssapiauthentication",
        "gssapidelegatecredentials",
        "hostbasedauthentication",
        "hostkeyalgorithms",
        "identitiesonly",
        "ipqos",
        "kbdinteractiveauthentication",
        "kexalgorithms",
        "loglevel",
        "macs",
        "numberofpasswordprompts",
        "passwordauthentication",
        "preferredauthentications",
        "pubkeyacceptedalgorithms",
        "pubkeyauthentication",
        "requesttty",
        "serveralivecountmax",
        "serveraliveinterval",
        "tcpkeepalive",
        "updatehostkeys",
        "visualhostkey",
    }
)
_VARIABLE_BY_OPTION = {"port": "ansible_port", "user": "ansible_user"} | dict.fromkeys(
    ("identityfile", "i"), "ansible_ssh_private_key_file"
)
_OPTION_BY_LETTER = {
    "J": "proxyjump",
    "p": "port",
    "l": "user",
    "i": "identityfile",
    "W": "w",
    "o": "o",
}
_NAME_AND_VALUE = re.compile(r"\s*([A-Za-z0-9]+)\s*[=\s]\s*(.*)", re.DOTALL)
_FORWARD = ("%h:%p", "[%h]:%p")
# None of these has a meaning to the shell by which ssh starts a ProxyCommand.
_SHELL_SAFE = re.compile(r"[A-Za-z0-9_%@:.,/=+~ \[\]-]*")


class SshRoute(NamedTuple):
    """The hosts on the way (None: nothing is said of them), and a file with hosts' keys."""

    jump: tuple[JumpHost, ...] | None = None
    known_hosts: str | None = None


def parse_ssh_arguments(text: str) -> SshRoute:
    """What arguments such as `-J bastion` or `-o ProxyCommand="ssh -W %h:%p bastion"` say.

    Of the same thing said twice the first counts, as in ssh. Raises ValueError where they say what
    fwbench's own connections would not heed; values are not repeated, one may be a secret.
    """
    jump: tuple[JumpHost, ...] | None = None
    known_hosts: str | None = None
    for name, value in _options(_split(text)):
        if name == "proxyjump":
            found = parse_proxy_jump(value)
            jump = found if jump is None else jump
        elif name == "proxycommand":
            found = _parse_proxy_command(value)
            jump = found if jump is None else jump
        elif name == "userknownhostsfile":
            if len(files := _split(value)) > 1:
                raise ValueError("has several files of hosts' keys: name one fwbench_known_hosts")
            if known_hosts is None and files and files[0] not in ("/dev/null", "none"):
                known_hosts = files[0]
        elif name == "stricthostkeychecking":
            pass  # fwbench's own comes first on Ansible's command line: keys are always checked
        else:
            _check_ignorable(name)
    return SshRoute(jump, known_hosts)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError("has a quotation mark without its other half") from error


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Names, in small letters, and values; words that are no option have the name ''."""
    left = iter(words)
    for word in left:
        if _FLAGS.fullmatch(word):
            if "A" in word:  # no option that comes before it undoes it
                raise ValueError(
                    "forwards your ssh-agent to the host, which fwbench never does: leave -A out"
                )
            continue
        if not word.startswith("-"):
            yield "", word
            continue
        if (name := _OPTION_BY_LETTER.get(word[1:2])) is None:
            raise ValueError(_unsupported_message(word[:2]))
        value = word[2:] or next(left, "")
        if name == "o":
            found = _NAME_AND_VALUE.fullmatch(value)
            name, value = found.groups() if found else (value, "")
        yield name.lower(), value


def _check_ignorable(name: str) -> None:
    if name in _VARIABLE_BY_OPTION:
        raise ValueError(f"sets what {_VARIABLE_BY_OPTION[name]} is for: use that")
    if name not in _IGNORED_OPTIONS:
        raise ValueError(_unsupported_message(name or "a word that is no option"))


def _unsupported_message(name: str) -> str:
    return (
        f"has {name!r:.40}, which fwbench does not heed: put it into ~/.ssh/config or leave it out"
    )


def _parse_proxy_command(command: str) -> tuple[JumpHost, ...]:
    if command.lower() == "none":
        return ()
    words = _split(command) if _SHELL_SAFE.fullmatch(command) else []
    if not words or words[0].rpartition("/")[2] != "ssh":
        raise ValueError(
            "has a ProxyCommand that is not `ssh -W %h:%p HOST`: use -J,"
            " or put it into ~/.ssh/config"
        )
    said: dict[str, str] = {}
    for name, value in _options(words[1:]):
        if name in ("", "w", "port", "user", "identityfile"):
            if said.setdefault(name, value) != value:
                raise ValueError("has a ProxyCommand with two words for one thing: use -J")
        elif name != "stricthostkeychecking" or value.lower() not in ("yes", "ask"):
            _check_proxy_option(name)
    if said.get("w") not in _FORWARD or "" not in said:
        raise ValueError("has a ProxyCommand without `-W %h:%p` or without a host: use -J")
    login = f"{said['user']}@" if "user" in said else ""
    port = f":{said['port']}" if "port" in said else ""
    found = parse_jump_host(f"{login}{said['']}{port}")
    key = _key_file(said["identityfile"]) if "identityfile" in said else None
    return (found.model_copy(update={"key_file": key}),)


def _key_file(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError("has a ProxyCommand with the key of no such user") from error


def _check_proxy_option(name: str) -> None:
    if name not in _IGNORED_OPTIONS:
        raise ValueError(
            f"has a ProxyCommand with {name!r:.40}, which fwbench does not heed:"
            " use -J, or put it into ~/.ssh/config"
        )
