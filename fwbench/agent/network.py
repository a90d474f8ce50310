"""What the kernel counts of a host's and a container's network."""

from pathlib import Path
from typing import Any

from fwbench.agent.counters import PROC, text_of

# What goes through these goes through a real device as well.
VIRTUAL = ("lo", "docker", "br-", "veth", "virbr", "cni", "flannel", "ifb", "dummy")
_DEVICE = (0, 1, 2, 3, 8, 9, 10, 11)  # bytes, packets, errors, drops: received, then sent


def network_counters(container: int | None = None) -> dict[str, Any]:
    """The counters of the host's network, and of a container's by one of its processes.

    `container` is None where there is none, where it is gone, and where it shares the host's.
    """
    here = PROC / "self"
    there = None if container is None else PROC / str(container)
    if there is not None and _namespace(there) in (None, _namespace(here)):
        there = None
    return {
        "host": tcp(here),
        "container": None if there is None else tcp(there),
        "devices": devices(here),
    }


def _namespace(process: Path) -> int | None:
    try:
        return (process / "ns/net").stat().st_ino
    except OSError:
        return None


def tcp(process: Path) -> dict[str, int | None]:
    """TCP's counters in the network of a process; None where a kernel does not have one."""
    pairs = _pairs(text_of(process / "net/snmp")) | _pairs(text_of(process / "net/netstat"))
    return {
        "listen_overflows": pairs.get("TcpExt.ListenOverflows"),
        "listen_drops": pairs.get("TcpExt.ListenDrops"),
        "retransmits": pairs.get("Tcp.RetransSegs"),
        "segments_sent": pairs.get("Tcp.OutSegs"),
        "connections_opened": pairs.get("Tcp.ActiveOpens"),
        "time_wait": _time_wait(text_of(process / "net/sockstat")),
    }


def _pairs(text: str) -> dict[str, int]:
    """Two lines for each protocol: names, then numbers."""
    found = {}
    lines = [line.split() for line in text.splitlines()]
    for names, numbers in zip(lines[::2], lines[1::2], strict=False):
        for name, number in zip(names[1:], numbers[1:], strict=False):
            if number.isdigit():
                found[f"{names[0].rstrip(':')}.{name}"] = int(number)
    return found


def _time_wait(sockstat: str) -> int | None:
    for line in sockstat.splitlines():
        words = line.split()
        if words[:1] == ["TCP:"] and "tw" in words[:-1]:
            return int(words[words.index("tw") + 1])
    return None


def devices(process: Path) -> dict[str, list[int]]:
    """Bytes, packets, errors and drops of each real device: received, then sent."""
    found = {}
    for line in text_of(process / "net/dev").splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = rest.split()
        if len(numbers) > max(_DEVICE) and not name.strip().startswith(VIRTUAL):
            found[name.strip()] = [int(numbers[at]) for at in _DEVICE]
    return found
