"""fwbench's percentiles against those of a server whose latencies are known."""

import pytest
from breaking import Broken, Oracle, codes
from server import quantile

from fwbench.model.load import Load

PERCENTILES = {"p50_us": 0.5, "p75_us": 0.75, "p90_us": 0.9, "p95_us": 0.95, "p99_us": 0.99}


ATTEMPTS = 4


# Answers that all take equally long come in step, and the server's threads then wait for one
# another: a constant latency is asked for over one connection.
@pytest.mark.parametrize(("latency", "connections"), [("constant", 1), ("humps", 4), ("tail", 4)])
def test_percentiles_are_those_of_the_server(
    broken: Broken, oracle: Oracle, latency: str, connections: int
) -> None:
    """And of the way to it, which is what an answer takes that is given at once.

    Where both hosts share a machine with something else, that makes some runs slower. So one has to
    be right, of those that fwbench itself believes; by chance, five percentiles at once never are.
    """
    at_once = Load(connections=connections, rate=100 * connections, warm_up_s=1, duration_s=1)
    load = Load(connections=connections, warm_up_s=1, duration_s=6)
    seen = []
    for _ in range(ATTEMPTS):
        way = broken.record(oracle("--latency", "none"), at_once).observation.load.log.latency
        record = broken.record(oracle("--latency", latency), load)
        assert "client-saturated" not in codes(record)
        measured = record.observation.load.log.latency
        truth_us = {name: 1e6 * quantile(latency, q) for name, q in PERCENTILES.items()}
        beyond_us = {
            name: getattr(measured, name) - way.p50_us - true_us
            for name, true_us in truth_us.items()
        }
        if record.verdict.word != "invalid":
            seen.append(beyond_us)
        if all(abs(beyond_us[name]) <= max(200, 0.02 * truth_us[name]) for name in PERCENTILES):
            print(f"{latency}: µs beyond the truth: {beyond_us}; the way takes {way.p50_us}")
            return
    if not seen:
        pytest.skip("fwbench believes no run: this machine has its CPUs taken away all the time")
    pytest.fail(f"{latency}: µs beyond the truth: {seen}")


def test_a_stall_shows_at_a_fixed_rate_once_it_is_corrected(broken: Broken, oracle: Oracle) -> None:
    """Of 10 s, those who come in the 1 s of a stall wait for 0 to 1 s: one in a hundred, 0.9 s."""
    load = Load(connections=20, rate=1000, warm_up_s=2, duration_s=10)
    record = broken.record(oracle("--stall", "1", "10"), load)
    log = record.observation.load.log
    assert log.corrected.p99_us == pytest.approx(900_000, rel=0.1)
    print(log.latency, log.corrected)
    assert log.latency.p95_us < 20_000
    assert "completion-gap" in codes(record) or "stall" in codes(record)
