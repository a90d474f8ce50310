"""A rig with two clients: their loads overlap, and their counts are added."""

import json
from collections.abc import Sequence

import pytest
import yaml
from lab_program import ACCEPTED_EXITS, SHARED_CPU_FINDINGS, Lab, Program

from fwbench.agent import protocol
from fwbench.checks.evaluate import evaluate_run
from fwbench.collection import artifacts, files
from fwbench.collection.histogram import LatencyCounts
from fwbench.model.record import Record
from fwbench.model.verdict import Level
from fwbench.storage.store import SessionStore

SUITE = """\
name: two-clients
question: Do two clients make one load?
contenders: [flask]
loads:
  - {connections: 5, warm_up_s: 1, duration_s: 3}
  - {connections: 5, rate: 200, warm_up_s: 1, duration_s: 3}
  - {connections: 5, requests: 1501}
preset: smoke
"""
# The skew is a few milliseconds, unless a host waits for the CPUs that all hosts share.
SHARED_CPU_OR_SKEW = SHARED_CPU_FINDINGS | {"client-skew"}


@pytest.fixture(scope="module")
def records(
    program: Program, ready: Lab, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SessionStore, Sequence[Record]]:
    """Return a session of both clients on one rig, and its records."""
    place = tmp_path_factory.mktemp("two-clients")
    inventory = yaml.safe_load(ready.inventory.read_text())
    groups = inventory["all"]["children"]
    groups["targets"]["hosts"].pop("target-2", None)
    for group in groups.values():
        for host in group["hosts"].values():
            host["fwbench_rig"] = "both"
    (place / "hosts.yml").write_text(yaml.safe_dump(inventory))
    (place / "suite.yml").write_text(SUITE)
    sessions = place / "sessions"
    program(
        "run", place / "suite.yml", "-i", place / "hosts.yml", "-o", sessions, exits=ACCEPTED_EXITS
    )
    (session,) = sessions.iterdir()
    store = SessionStore(session)
    return store, store.records()


def test_runs_with_two_clients_are_valid(records: tuple[SessionStore, Sequence[Record]]) -> None:
    _, executed = records
    assert len(executed) >= 3
    for record in executed:
        assert [side.host for side in record.observation.clients] == ["client-1", "client-2"]
        invalid = {f.code for f in record.verdict.findings if f.level is Level.INVALID}
        short_overlap = {"short-overlap"} if record.load.requests else set()
        assert invalid <= SHARED_CPU_OR_SKEW | short_overlap


def test_clients_start_together(records: tuple[SessionStore, Sequence[Record]]) -> None:
    skews = []
    for record in records[1]:
        overlap = record.observation.overlap
        assert overlap is not None
        assert overlap.skew_s is not None
        assert overlap.uncertainty_s is not None
        assert overlap.uncertainty_s < 0.05
        codes = {finding.code for finding in record.verdict.findings}
        assert ("client-skew" in codes) == (overlap.skew_s > 0.05)
        skews.append(overlap.skew_s)
    assert min(skews) <= 0.05


def test_clients_counts_in_the_overlap_are_added(
    records: tuple[SessionStore, Sequence[Record]],
) -> None:
    store, executed = records
    for record in executed:
        observation = record.observation
        assert observation.load is not None
        assert observation.load.log is not None
        assert observation.overlap_s is not None
        logs = [side.load.log for side in observation.clients if side.load and side.load.log]
        assert len(logs) == 2
        assert observation.load.log.rows == sum(log.rows for log in logs) > 100
        assert observation.load.log.window_s is not None
        assert observation.load.log.window_s <= observation.overlap_s + (
            1 if record.load.rate else 0
        )
        folder = store.run_folder(record.run.id)
        counts = [
            LatencyCounts.read(folder / f"client-{n}" / protocol.LATENCY_COUNTS) for n in (1, 2)
        ]
        assert counts[0].merge(counts[1]).percentiles() == observation.load.log.latency


def test_load_is_divided_between_clients(records: tuple[SessionStore, Sequence[Record]]) -> None:
    store, executed = records
    for record in executed:
        folder = store.run_folder(record.run.id)
        first, second = json.loads((folder / files.COMMANDS).read_text())["load"]
        assert (first["client"], second["client"]) == ("client-1", "client-2")
        assert "-c3" in first["argv"]
        assert "-c2" in second["argv"]
        if record.load.rate is not None:
            assert "--rps=40" in first["argv"]
            assert "--rps=40" in second["argv"]
            log = record.observation.load and record.observation.load.log
            assert log
            assert log.rows == pytest.approx(200 * (record.observation.overlap_s or 0), rel=0.05)
        if record.load.requests is not None:
            assert "-n900" in first["argv"]
            assert "-n601" in second["argv"]


def test_results_can_be_reproduced_from_the_session_folder(
    records: tuple[SessionStore, Sequence[Record]],
) -> None:
    store, executed = records
    (contender,) = store.header().contenders
    for record in executed:
        observation = record.observation
        reread = artifacts.read_artifacts(store.run_folder(record.run.id), record.load)
        assert (reread.load, reread.clients) == (observation.load, observation.clients)
        assert (reread.overlap, reread.target) == (observation.overlap, observation.target)
        assert evaluate_run(record.run, contender, observation) == record.verdict


def test_session_with_two_clients_leaves_nothing_on_the_hosts(
    ready: Lab, records: tuple[SessionStore, Sequence[Record]]
) -> None:
    assert records[1]
    assert ready.leftovers() == {}
