"""Parse the ssh arguments of an inventory into jump hosts and a known_hosts file.

No text of an inventory becomes a command on the controller: a ProxyCommand is parsed if it calls
ssh, and an error otherwise. Options that do not affect the route are ignored.
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
# ssh starts a ProxyCommand through a shell; these characters have no meaning for it.
_SHELL_SAFE = re.compile(r"[A-Za-z0-9_%@:.,/=+~ \[\]-]*")


class SshRoute(NamedTuple):
    """The jump hosts (None: the arguments name none), and a known_hosts file."""

    jump: tuple[JumpHost, ...] | None = None
    known_hosts: str | None = None


def parse_ssh_arguments(text: str) -> SshRoute:
    """Parse arguments such as `-J bastion` or `-o ProxyCommand="ssh -W %h:%p bastion"`.

    If an option is repeated, the first one counts, as in ssh. Raise `ValueError` for an option that
    fwbench's own connections do not support; its message repeats no value, which may be a secret.
    """
    jump: tuple[JumpHost, ...] | None = None
    known_hosts: str | None = None
    for name, value in _options(_split(text)):
        if name == "proxyjump":
            hops = parse_proxy_jump(value)
            jump = hops if jump is None else jump
        elif name == "proxycommand":
            hops = _parse_proxy_command(value)
            jump = hops if jump is None else jump
        elif name == "userknownhostsfile":
            if len(files := _split(value)) > 1:
                raise ValueError(
                    "has several UserKnownHostsFile: name one file in fwbench_known_hosts"
                )
            if known_hosts is None and files and files[0] not in ("/dev/null", "none"):
                known_hosts = files[0]
        elif name == "stricthostkeychecking":
            pass  # fwbench's own value precedes it on the command line: keys are always checked
        else:
            _check_ignorable(name)
    return SshRoute(jump, known_hosts)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError("has a quotation mark that is not closed") from error


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each option's name in lower case and its value; other words have the name ''."""
    remaining = iter(words)
    for word in remaining:
        if _FLAGS.fullmatch(word):
            if "A" in word:  # no earlier option on the command line overrides it
                raise ValueError(
                    "forwards your ssh-agent to the host, which fwbench never does: remove -A"
                )
            continue
        if not word.startswith("-"):
            yield "", word
            continue
        if (name := _OPTION_BY_LETTER.get(word[1:2])) is None:
            raise ValueError(_unsupported_message(word[:2]))
        value = word[2:] or next(remaining, "")
        if name == "o":
            match = _NAME_AND_VALUE.fullmatch(value)
            name, value = match.groups() if match else (value, "")
        yield name.lower(), value


def _check_ignorable(name: str) -> None:
    if name in _VARIABLE_BY_OPTION:
        raise ValueError(f"sets {name}: use the variable {_VARIABLE_BY_OPTION[name]} instead")
    if name not in _IGNORED_OPTIONS:
        raise ValueError(_unsupported_message(name or "a word that is no option"))


def _unsupported_message(name: str) -> str:
    return (
        f"has {name!r:.40}, which fwbench does not support: put it into ~/.ssh/config or remove it"
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
    options: dict[str, str] = {}
    for name, value in _options(words[1:]):
        if name in ("", "w", "port", "user", "identityfile"):
            if options.setdefault(name, value) != value:
                raise ValueError(
                    "has a ProxyCommand with two values for one option, or with a command: use -J"
                )
        elif name != "stricthostkeychecking" or value.lower() not in ("yes", "ask"):
            _check_proxy_option(name)
    if options.get("w") not in _FORWARD or "" not in options:
        raise ValueError("has a ProxyCommand without `-W %h:%p` or without a host: use -J")
    login = f"{options['user']}@" if "user" in options else ""
    port = f":{options['port']}" if "port" in options else ""
    hop = parse_jump_host(f"{login}{options['']}{port}")
    key = _key_file(options["identityfile"]) if "identityfile" in options else None
    return (hop.model_copy(update={"key_file": key}),)


def _key_file(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(
            "has a ProxyCommand whose key is in an unknown user's home folder: write its full path"
        ) from error


def _check_proxy_option(name: str) -> None:
    if name not in _IGNORED_OPTIONS:
        raise ValueError(
            f"has a ProxyCommand with {name!r:.40}, which fwbench does not support:"
            " use -J, or put it into ~/.ssh/config"
        )
