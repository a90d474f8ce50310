"""fwbench's percentiles against those of a server that knows its latencies."""

import json
import math
from collections import Counter

import pytest
from fault_injection import FaultyRig, Oracle, codes
from oracle_server import quantile

from fwbench.agent import protocol
from fwbench.model.load import Load
from fwbench.model.record import Record

PERCENTILES = {"p50_us": 50, "p75_us": 75, "p90_us": 90, "p95_us": 95, "p99_us": 99}
SEEN_BY_ONE_SIDE = 0.2  # percent of the answers
ATTEMPTS = 4


# Answers that all take equally long come in step, and the server's threads then wait for one
# another: a constant latency is asked for over one connection.
@pytest.mark.parametrize(
    ("latency", "connections", "requests"),
    [("constant", 1, 1200), ("humps", 4, 3600), ("tail", 4, 3600)],
)
def test_percentiles_are_those_of_the_server(
    broken: FaultyRig, oracle: Oracle, latency: str, connections: int, requests: int
) -> None:
    """What h2load logged and fwbench made of it, against what the server measured itself.

    On a machine whose CPUs are taken away no answer takes what it was told to, and nor does the way
    to it. The server knows both: h2load has one request at a time on each connection, and sends the
    next as soon as it has the answer. So what lies between two requests of a connection, by the
    server's clock and count, is the server's time and the way back and there again: what h2load
    takes for the latency, and what it needs itself from an answer to the next request besides.
    Compared with that is each percentile that fwbench tells of the same run: within 0.2 ms or 2 %.
    Where a host stands still between an answer and the next request, one side alone sees it; so a
    percentile may also be one of the server's that is up to 0.2 percentage points lower or higher,
    which makes a difference where these are far apart.

    That the server's time is about what was meant is seen from its median. There are several
    attempts, of which one has to be right in everything at once; what fwbench thinks of the hosts
    meanwhile does not matter.
    """
    load = Load(connections=connections, requests=requests)
    meant_us = 1e6 * quantile(latency, 0.5)
    seen = []
    for _ in range(ATTEMPTS):
        record = broken.record(oracle("--latency", latency), load)
        assert "client-saturated" not in codes(record)
        measured = record.observation.load.log.latency
        took, between = (told(broken, record, what) for what in ("took", "between"))
        assert (took.total(), between.total()) == (requests, requests - connections)
        as_meant_us = percentile(took, 50) - meant_us
        right = abs(as_meant_us) <= max(300, 0.02 * meant_us)
        beyond_us = {}
        for name, percent in PERCENTILES.items():
            told_us, truth_us = getattr(measured, name), percentile(between, percent)
            least_us = percentile(between, percent - SEEN_BY_ONE_SIDE)
            most_us = percentile(between, percent + SEEN_BY_ONE_SIDE)
            tolerance_us = max(200, 0.02 * truth_us)
            right &= least_us - tolerance_us <= told_us <= most_us + tolerance_us
            beyond_us[name] = f"{told_us - truth_us} of {least_us}..{truth_us}..{most_us}"
        seen.append(f"{beyond_us}; the server's median is {as_meant_us} beyond what was meant")
        print(f"{latency}: µs beyond the truth: {seen[-1]}; {record.verdict.status}")
        if right:
            return
    pytest.fail(f"{latency}: µs beyond the truth: {seen}")


def told(broken: FaultyRig, record: Record, what: str) -> Counter[int]:
    """How often it was how many µs, as the server says in its container's log."""
    counted: Counter[int] = Counter()
    for line in (broken.run_folder(record) / protocol.CONTAINER_LOG).read_text().splitlines():
        _at, said = line.split(" ", 1)
        for us, often in json.loads(said).get(what, {}).items():
            counted[int(us)] += often
    return counted


def percentile(counted: Counter[int], percent: float) -> int:
    """By nearest rank, without fwbench, which is what is tested here."""
    return sorted(counted.elements())[math.ceil(counted.total() * percent / 100) - 1]


def test_a_stall_shows_at_a_fixed_rate_once_it_is_corrected(
    broken: FaultyRig, oracle: Oracle
) -> None:
    """Of 10 s, those who come in the 1 s of a stall wait for 0 to 1 s: one in a hundred, 0.9 s.

    What fwbench thinks of the run's hosts does not matter: the stall has to be among its findings.
    """
    load = Load(connections=20, rate=1000, warm_up_s=2, duration_s=10)
    record = broken.record(oracle("--stall", "1", "10"), load)
    log = record.observation.load.log
    assert log.corrected_latency.p99_us == pytest.approx(900_000, rel=0.1)
    print(log.latency, log.corrected_latency)
    assert log.latency.p95_us < 20_000
    assert {"completion-gap", "stall"} & set(codes(record))
