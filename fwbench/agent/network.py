"""Read the kernel's network counters of a host and of a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fwbench.agent.counters import PROC, read_text

# Traffic that passes these devices and leaves the host passes a real device as well.
VIRTUAL_DEVICES = ("lo", "docker", "br-", "veth", "virbr", "cni", "flannel", "ifb", "dummy")
_DEVICE_COLUMNS = (0, 1, 2, 3, 8, 9, 10, 11)  # bytes, packets, errors, drops: received, then sent


def network_counters(container: int | None = None) -> dict[str, Any]:
    """Return the network counters of the host, and of the container of a process.

    The result's `container` is None if there is no container, if it has ended, or if it shares the
    host's network.
    """
    host_process = PROC / "self"
    container_process = None if container is None else PROC / str(container)
    if container_process is not None and _network_namespace(container_process) in (
        None,
        _network_namespace(host_process),
    ):
        container_process = None
    return {
        "host": tcp_counters(host_process),
        "container": None if container_process is None else tcp_counters(container_process),
        "devices": device_counters(host_process),
    }


def _network_namespace(process: Path) -> int | None:
    try:
        return (process / "ns/net").stat().st_ino
    except OSError:
        return None


def tcp_counters(process: Path) -> dict[str, int | None]:
    """Return the TCP counters in the network of a process; None for those a kernel lacks."""
    pairs = _parse_pairs(read_text(process / "net/snmp")) | _parse_pairs(
        read_text(process / "net/netstat")
    )
    return {
        "listen_overflows": pairs.get("TcpExt.ListenOverflows"),
        "listen_drops": pairs.get("TcpExt.ListenDrops"),
        "retransmits": pairs.get("Tcp.RetransSegs"),
        "segments_sent": pairs.get("Tcp.OutSegs"),
        "connections_opened": pairs.get("Tcp.ActiveOpens"),
        "time_wait": _time_wait(read_text(process / "net/sockstat")),
    }


def _parse_pairs(text: str) -> dict[str, int]:
    """Return the counters in a file with two lines per protocol: names, then numbers."""
    values = {}
    lines = [line.split() for line in text.splitlines()]
    for names, numbers in zip(lines[::2], lines[1::2]):
        for name, number in zip(names[1:], numbers[1:]):
            if number.isdigit():
                values[f"{names[0].rstrip(':')}.{name}"] = int(number)
    return values


def _time_wait(sockstat: str) -> int | None:
    for line in sockstat.splitlines():
        words = line.split()
        if words[:1] == ["TCP:"] and "tw" in words[:-1]:
            return int(words[words.index("tw") + 1])
    return None


def device_counters(process: Path) -> dict[str, list[int]]:
    """Return bytes, packets, errors and drops of each real device: received, then sent."""
    counters = {}
    for line in read_text(process / "net/dev").splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = rest.split()
        if len(numbers) > max(_DEVICE_COLUMNS) and not name.strip().startswith(VIRTUAL_DEVICES):
            counters[name.strip()] = [int(numbers[at]) for at in _DEVICE_COLUMNS]
    return counters
