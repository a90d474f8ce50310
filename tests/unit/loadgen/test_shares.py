from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.errors import SuiteError
from fwbench.loadgen.h2load import GENERATOR
from fwbench.loadgen.shares import divide_load
from fwbench.model.load import Load


@st.composite
def loads(draw: st.DrawFn) -> Load:
    connections = draw(st.integers(1, 500))
    threads = draw(st.integers(1, min(connections, 16)))
    kind = draw(st.sampled_from(["requests", "duration", "rate"]))
    if kind == "requests":
        return Load(
            connections=connections,
            threads=threads,
            requests=draw(st.integers(connections, 10**7)),
        )
    rate = None
    if kind == "rate":
        rate = draw(st.floats(connections, 1e6))
    return Load(connections=connections, threads=threads, duration_s=10, rate=rate)


@given(loads(), st.integers(1, 20))
def test_shares_add_up_to_the_load(load: Load, clients: int) -> None:
    if load.connections < clients:
        with pytest.raises(SuiteError, match="cannot be divided among"):
            divide_load(load, clients)
        return
    shares = divide_load(load, clients)
    connections = [share.connections for share in shares]
    assert len(shares) == clients
    assert sum(connections) == load.connections
    assert max(connections) - min(connections) <= 1
    assert all(1 <= share.threads <= share.connections for share in shares)
    if load.requests is not None:
        assert sum(share.requests or 0 for share in shares) == load.requests
        assert all((share.requests or 0) >= share.connections for share in shares)
    if load.rate is not None:
        assert sum(share.rate or 0 for share in shares) == pytest.approx(load.rate, rel=1e-12)


@given(loads(), st.integers(1, 20))
def test_every_connection_has_the_same_share_of_the_load(load: Load, clients: int) -> None:
    for share in divide_load(load, min(clients, load.connections)):
        if load.rate is not None and share.rate is not None:
            assert share.rate / share.connections == pytest.approx(load.rate / load.connections)
        if load.requests is not None and share.requests is not None:
            expected = load.requests * share.connections / load.connections
            assert abs(share.requests - expected) < 1


def test_single_client_gets_the_whole_load() -> None:
    load = Load(connections=7, threads=3, requests=100)
    assert divide_load(load, 1) == (load,)


def test_h2load_gets_the_same_rate_for_each_connection() -> None:
    load = Load(connections=5, rate=1000, duration_s=10)
    folder = PurePosixPath("/r")
    command_lines = [
        GENERATOR.command_line(share, "http://192.0.2.1/", folder) for share in divide_load(load, 2)
    ]  # type: ignore[arg-type]
    assert ["-c3" in command_lines[0], "-c2" in command_lines[1]] == [True, True]
    assert all("--rps=200" in command for command in command_lines)
