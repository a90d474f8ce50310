import socket
import sys
from pathlib import Path

import pytest

from fwbench.agent import route


def to_hex(address: str) -> str:
    number = int.from_bytes(socket.inet_aton(address), "big")
    return number.to_bytes(4, sys.byteorder).hex().upper()


def table_row(device: str, to: str, gateway: str, flags: int, metric: int, mask: str) -> str:
    row = (device, to_hex(to), to_hex(gateway), f"{flags:04X}", 0, 0, metric, to_hex(mask), 0, 0)
    return "\t".join(map(str, row))


ANY = "0.0.0.0"  # noqa: S104 - not an address to listen on
TABLE = [
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT",
    table_row("ens5", ANY, "192.0.2.1", 3, 100, ANY),
    table_row("wlan0", ANY, "192.0.2.1", 3, 600, ANY),
    table_row("ens5", "198.51.100.0", ANY, 1, 100, "255.255.255.0"),
    table_row("tun0", "203.0.113.0", "192.0.2.9", 3, 50, "255.255.255.0"),
    table_row("down0", "203.0.113.128", ANY, 0, 0, "255.255.255.128"),
    table_row("*", "203.0.113.64", ANY, 0x201, 0, "255.255.255.192"),
]
TABLE_6 = [
    "fd000000000000000000000000000000 40 " + "0" * 32 + " 00 " + "0" * 32
    + " 00000100 00000001 00000000 00000001 ens5",
    "0" * 32 + " 00 " + "0" * 32 + " 00 fd000000000000000000000000000001"
    " 00000400 00000001 00000000 00000003 ens5",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the routing tables and a device's MTU in place of the kernel's files."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "route").write_text("\n".join(TABLE) + "\n")
    (tmp_path / "net" / "ipv6_route").write_text("\n".join(TABLE_6) + "\n")
    (tmp_path / "ens5").mkdir()
    (tmp_path / "ens5" / "mtu").write_text("9001\n")
    monkeypatch.setattr(route, "PROC", tmp_path)
    monkeypatch.setattr(route, "DEVICES", tmp_path)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("198.51.100.7", "ens5, mtu 9001, same network"),
        ("8.8.8.8", "ens5, mtu 9001, through a gateway"),
        ("203.0.113.7", "tun0, through a gateway"),
        ("203.0.113.200", "tun0, through a gateway"),
        ("203.0.113.100", "tun0, through a gateway"),
        ("fd00::7", "ens5, mtu 9001, same network"),
        ("2001:db8::1", "ens5, mtu 9001, through a gateway"),
        ("127.0.0.1", "this host itself"),
        ("::1", "this host itself"),
        ("a name", None),
    ],
)
def test_network_path_contains_no_address(address: str, path: str | None) -> None:
    assert route.network_path(address) == path


def test_network_path_is_unknown_without_a_route(tmp_path: Path) -> None:
    (tmp_path / "net" / "route").write_text("\n".join(TABLE[:1]) + "\n")
    assert route.network_path("198.51.100.7") is None
    (tmp_path / "net" / "route").unlink()
    assert route.network_path("198.51.100.7") is None
