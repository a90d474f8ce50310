"""Jump hosts as OpenSSH writes them: the values of ProxyJump and of `ssh -J`."""

import re

from fwbench.model.host import JumpHost

_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[A-Za-z0-9_.][A-Za-z0-9_.+-]*)@)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_.][A-Za-z0-9_.-]*))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


def parse_proxy_jump(text: str) -> tuple[JumpHost, ...]:
    """The hosts in between, the nearest first, out of what ssh's ProxyJump takes.

    Empty for `none`. Raises ValueError where it is not `[user@]host[:port]`, with commas between.
    """
    if text.lower() == "none":
        return ()
    return tuple(parse_jump_host(part.strip()) for part in text.split(","))


def parse_jump_host(text: str) -> JumpHost:
    """One hop out of `[user@]host[:port]`. Raises ValueError where it is anything else."""
    found = _HOP.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 1 <= port <= 65535):
        raise ValueError(f"has {text!r:.80}, which is not [user@]host[:port]")
    return JumpHost(address=found["v6"] or found["name"], port=port, user=found["user"])
