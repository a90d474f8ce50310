"""By which way a host reaches an address, out of the kernel's tables of routes."""

import ipaddress
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fwbench.agent.counters import PROC, text_of

DEVICES = Path("/sys/class/net")
_UP, _GATEWAY, _REJECT = 0x1, 0x2, 0x200
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Route(NamedTuple):
    """A way that the kernel knows: where to, through which device, and at what price."""

    network: _Network
    device: str
    flags: int
    metric: int


def network_path(to: str) -> str | None:
    """Device, packet size, and whether there is a gateway, such as `eth0, mtu 1500, same network`.

    No address is told, so that hosts of one kind say the same. None where `to` is no address in
    numbers or there is no way to it.
    """
    try:
        address = ipaddress.ip_address(to)
    except ValueError:
        return None
    if _is_own(address):
        return "this host itself"
    usable = [
        route
        for route in (_routes_4() if address.version == 4 else _routes_6())
        if address in route.network and route.flags & _UP and not route.flags & _REJECT
    ]
    if not usable:
        return None
    best = min(usable, key=lambda route: (-route.network.prefixlen, route.metric))
    words = [best.device]
    if mtu := text_of(DEVICES / best.device / "mtu").strip():
        words.append(f"mtu {mtu}")
    words.append("through a gateway" if best.flags & _GATEWAY else "same network")
    return ", ".join(words)


def _is_own(address: _Address) -> bool:
    """Whether it belongs to this host: nobody else's address can be bound."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as bound:
        bound.bind((str(address), 0))
        return True
    return False


def _routes_4() -> Iterator[Route]:
    """Numbers are in the order of this machine's own bytes."""
    for line in text_of(PROC / "net/route").splitlines()[1:]:
        words = line.split()
        if len(words) >= 8:
            to, mask = (int.from_bytes(bytes.fromhex(words[at]), sys.byteorder) for at in (1, 7))
            network = ipaddress.IPv4Network((to, bin(mask).count("1")), strict=False)
            yield Route(network, words[0], int(words[3], 16), int(words[6]))


def _routes_6() -> Iterator[Route]:
    for line in text_of(PROC / "net/ipv6_route").splitlines():
        words = line.split()
        if len(words) >= 10:
            network = ipaddress.IPv6Network((int(words[0], 16), int(words[1], 16)), strict=False)
            yield Route(network, words[9], int(words[8], 16), int(words[5], 16))
