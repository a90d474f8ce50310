import os
from pathlib import Path

import pytest

from fwbench.agent import network

SNMP = """Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm MaxConn ActiveOpens PassiveOpens OutSegs RetransSegs
Tcp: 1 -1 21 8 3000 4
"""
NETSTAT = """TcpExt: SyncookiesSent ListenOverflows ListenDrops
TcpExt: 0 5 6
IpExt: InNoRoutes
IpExt: 0
"""
SOCKSTAT = "sockets: used 21\nTCP: inuse 2 orphan 0 tw 7 alloc 11 mem 50\nUDP: inuse 1 mem 0\n"
DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:    3578      52    0    0    0     0          0         0     3578      52    0    0
docker0:       1       1    1    1    1     1          1         1        1       1    1    1
  eth0: 1000 10 1 2 9 9 9 9 2000 20 3 4 9 9 9 9
vethab1: 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5
"""


def write_network_files(process: Path, namespace: Path) -> None:
    (process / "net").mkdir(parents=True)
    (process / "ns").mkdir()
    for name, text in (("snmp", SNMP), ("netstat", NETSTAT), ("sockstat", SOCKSTAT), ("dev", DEV)):
        (process / "net" / name).write_text(text)
    namespace.touch()
    (process / "ns/net").symlink_to(namespace)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in place of /proc, with this process in the host's network."""
    monkeypatch.setattr(network, "PROC", tmp_path)
    write_network_files(tmp_path / "self", tmp_path / "host")
    return tmp_path


def test_tcp_counters_are_parsed(proc: Path) -> None:
    assert network.tcp_counters(proc / "self") == {
        "listen_overflows": 5,
        "listen_drops": 6,
        "retransmits": 4,
        "segments_sent": 3000,
        "connections_opened": 21,
        "time_wait": 7,
    }


def test_missing_counters_are_none(tmp_path: Path) -> None:
    assert set(network.tcp_counters(tmp_path).values()) == {None}
    assert network.device_counters(tmp_path) == {}


def test_only_physical_devices_are_counted(proc: Path) -> None:
    assert network.device_counters(proc / "self") == {"eth0": [1000, 10, 1, 2, 2000, 20, 3, 4]}


def test_container_in_its_own_network_is_counted_separately(proc: Path) -> None:
    write_network_files(proc / "42", proc / "container")
    assert network.network_counters(42)["container"] == network.tcp_counters(proc / "42")


def test_container_in_host_network_is_not_counted_twice(proc: Path) -> None:
    write_network_files(proc / "42", proc / "host")
    assert network.network_counters(42)["container"] is None


@pytest.mark.parametrize("pid", [None, 42])
def test_ended_container_has_no_counters(proc: Path, pid: int | None) -> None:
    assert proc.exists()
    counters = network.network_counters(pid)
    assert counters["container"] is None
    assert counters["host"]["segments_sent"] == 3000


def test_this_host_has_all_counters() -> None:
    counters = network.network_counters(os.getpid())
    assert counters["container"] is None
    assert None not in counters["host"].values()
