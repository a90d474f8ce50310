"""Find the network path to an address in the kernel's routing tables."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Union

from fwbench.agent.counters import PROC, read_text

DEVICES = Path("/sys/class/net")
_UP, _GATEWAY, _REJECT = 0x1, 0x2, 0x200
_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Route(NamedTuple):
    """An entry of the kernel's routing tables."""

    network: _Network
    device: str
    flags: int
    metric: int


def network_path(address_text: str) -> str | None:
    """Return device, MTU, and whether there is a gateway: `eth0, mtu 1500, same network`.

    The text contains no address, so that it is equal on hosts of one hardware group. Returns None
    if `address_text` is not a numeric IP address, or if no route leads to it.
    """
    try:
        address = ipaddress.ip_address(address_text)
    except ValueError:
        return None
    if _is_own_address(address):
        return "this host itself"
    matching = [
        route
        for route in (_routes_4() if address.version == 4 else _routes_6())
        if address in route.network and route.flags & _UP and not route.flags & _REJECT
    ]
    if not matching:
        return None
    best = min(matching, key=lambda route: (-route.network.prefixlen, route.metric))
    parts = [best.device]
    if mtu := read_text(DEVICES / best.device / "mtu").strip():
        parts.append(f"mtu {mtu}")
    parts.append("through a gateway" if best.flags & _GATEWAY else "same network")
    return ", ".join(parts)


def _is_own_address(address: _Address) -> bool:
    """Return whether an address belongs to this host; no other address can be bound."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as bound:
        bound.bind((str(address), 0))
        return True
    return False


def _routes_4() -> Iterator[Route]:
    """Return the IPv4 routes; their numbers are in the machine's own byte order."""
    for line in read_text(PROC / "net/route").splitlines()[1:]:
        words = line.split()
        if len(words) >= 8:
            destination, mask = (
                int.from_bytes(bytes.fromhex(words[column]), sys.byteorder) for column in (1, 7)
            )
            network = ipaddress.IPv4Network((destination, bin(mask).count("1")), strict=False)
            yield Route(network, words[0], int(words[3], 16), int(words[6]))


def _routes_6() -> Iterator[Route]:
    for line in read_text(PROC / "net/ipv6_route").splitlines():
        words = line.split()
        if len(words) >= 10:
            network = ipaddress.IPv6Network((int(words[0], 16), int(words[1], 16)), strict=False)
            yield Route(network, words[9], int(words[8], 16), int(words[5], 16))
