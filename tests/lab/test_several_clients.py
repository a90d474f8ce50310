"""A rig with two clients: they load overlap, and what they count is added."""

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
# The skew is a few milliseconds, but for hosts of which one waits for the CPUs that they share.
OF_A_LAB = SHARED_CPU_FINDINGS | {"client-skew"}


@pytest.fixture(scope="module")
def records(
    program: Program, ready: Lab, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SessionStore, Sequence[Record]]:
    place = tmp_path_factory.mktemp("two-clients")
    inventory = yaml.safe_load(ready.inventory.read_text())
    groups = inventory["all"]["children"]
    groups["targets"]["hosts"].pop("target-2", None)
    for group in groups.values():
        for host in group["hosts"].values():
            host["fwbench_rig"] = "both"
    (place / "hosts.yml").write_text(yaml.safe_dump(inventory))
    (place / "suite.yml").write_text(SUITE)
    into = place / "sessions"
    program("run", place / "suite.yml", "-i", place / "hosts.yml", "-o", into, exits=ACCEPTED_EXITS)
    (session,) = into.iterdir()
    store = SessionStore(session)
    return store, store.records()


def test_runs_of_two_clients_are_sound(records: tuple[SessionStore, Sequence[Record]]) -> None:
    _, executed = records
    assert len(executed) >= 3
    for record in executed:
        assert [side.host for side in record.observation.clients] == ["client-1", "client-2"]
        invalid = {f.code for f in record.verdict.findings if f.level is Level.INVALID}
        short = {"short-overlap"} if record.load.requests else set()
        assert invalid <= OF_A_LAB | short


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


def test_the_whole_is_the_sum_of_what_the_clients_counted_in_their_common_time(
    records: tuple[SessionStore, Sequence[Record]],
) -> None:
    store, executed = records
    for record in executed:
        seen = record.observation
        assert seen.load is not None
        assert seen.load.log is not None
        assert seen.overlap_s is not None
        shares = [side.load.log for side in seen.clients if side.load and side.load.log]
        assert len(shares) == 2
        assert seen.load.log.rows == sum(share.rows for share in shares) > 100
        assert seen.load.log.window_s is not None
        assert seen.load.log.window_s <= seen.overlap_s + (1 if record.load.rate else 0)
        folder = store.run_folder(record.run.id)
        each = [
            LatencyCounts.read(folder / f"client-{n}" / protocol.LATENCY_COUNTS) for n in (1, 2)
        ]
        assert each[0].merge(each[1]).percentiles() == seen.load.log.latency


def test_the_load_is_divided(records: tuple[SessionStore, Sequence[Record]]) -> None:
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


def test_every_figure_can_be_checked_from_the_folder(
    records: tuple[SessionStore, Sequence[Record]],
) -> None:
    store, executed = records
    (contender,) = store.header().contenders
    for record in executed:
        seen = record.observation
        left = artifacts.read_artifacts(store.run_folder(record.run.id), record.load)
        assert (left.load, left.clients) == (seen.load, seen.clients)
        assert (left.overlap, left.target) == (seen.overlap, seen.target)
        assert evaluate_run(record.run, contender, seen) == record.verdict


def test_several_clients_leave_nothing_on_the_hosts(
    ready: Lab, records: tuple[SessionStore, Sequence[Record]]
) -> None:
    assert records[1]
    assert ready.leftovers() == {}
