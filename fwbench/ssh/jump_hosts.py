"""Parse jump hosts in OpenSSH's syntax: the values of ProxyJump and of `ssh -J`."""

import re

from fwbench.model.host import JumpHost

_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[A-Za-z0-9_.][A-Za-z0-9_.+-]*)@)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_.][A-Za-z0-9_.-]*))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


def parse_proxy_jump(text: str) -> tuple[JumpHost, ...]:
    """Parse a ProxyJump value into its hosts, the nearest first; `none` gives an empty tuple.

    Raise `ValueError` if it is not `[user@]host[:port]`, separated by commas.
    """
    if text.lower() == "none":
        return ()
    return tuple(parse_jump_host(part.strip()) for part in text.split(","))


def parse_jump_host(text: str) -> JumpHost:
    """Parse `[user@]host[:port]`. Raise `ValueError` if the text is anything else."""
    match = _HOP.fullmatch(text)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 1 <= port <= 65535):
        raise ValueError(f"has {text!r:.80}, which is not [user@]host[:port]")
    return JumpHost(address=match["v6"] or match["name"], port=port, user=match["user"])
