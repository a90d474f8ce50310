import re
from pathlib import Path

from pydantic import Field

from fwbench.model.base import Frozen

_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[A-Za-z0-9_.][A-Za-z0-9_.+-]*)@)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_.][A-Za-z0-9_.-]*))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


class Hop(Frozen):
    """A host on the way to another. What is None is left to the user's own SSH configuration."""

    address: str
    port: int | None = Field(default=None, ge=1, le=65535)
    user: str | None = None
    key_file: Path | None = Field(default=None, description="None: that of the host behind it")


def hops(text: str) -> tuple[Hop, ...]:
    """The hosts in between, the nearest first, out of what ssh's ProxyJump takes.

    Empty for `none`. Raises ValueError where it is not `[user@]host[:port]`, with commas between.
    """
    if text.lower() == "none":
        return ()
    return tuple(hop(part.strip()) for part in text.split(","))


def hop(text: str) -> Hop:
    """One hop out of `[user@]host[:port]`. Raises ValueError where it is anything else."""
    found = _HOP.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 1 <= port <= 65535):
        raise ValueError(f"has {text!r:.80}, which is not [user@]host[:port]")
    return Hop(address=found["v6"] or found["name"], port=port, user=found["user"])
