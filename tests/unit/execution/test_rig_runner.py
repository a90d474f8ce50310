"""The runs of one rig, with a prepared result for each attempt."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from builders import FASTAPI, FLASK, header, observation, rig, suite
from fakes import Clock, FakeHost

from fwbench.errors import FwbenchError, LostError, SessionError
from fwbench.execution import rig_runner
from fwbench.execution.rig_context import CancelledError, RigContext
from fwbench.execution.rig_runner import RECONNECT_TIMEOUT_S, RigRunner, SessionLog, make_event
from fwbench.model.observation import Observation
from fwbench.model.record import Record
from fwbench.model.run import Plan, Run
from fwbench.plan import make_plan
from fwbench.storage.store import SessionStore

SUCCESS = observation()
LOST = observation(failure="one-client: the connection was lost", infrastructure_failure=True)
FAILED = observation(failure="one-target: Docker could not start flask")
FOLDER = PurePosixPath("/var/tmp/fwbench-session-s")


class RecordingWatcher:
    def __init__(self) -> None:
        self.attempted: list[str] = []
        self.messages: list[str] = []

    def say(self, text: str) -> None:
        self.messages.append(text)

    def planned(self, plan: Plan, executed: int) -> None: ...

    def started(self, run: Run) -> None:
        self.attempted.append(run.id)

    def ended(self, record: Record) -> None: ...


class Harness:
    """A rig whose attempts have the given results, in order; later attempts succeed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.suite = suite(blocks=3, contenders=("flask",), baseline=None)
        self.plan = make_plan(self.suite, [rig()])
        self.store = SessionStore.create(folder / "s")
        self.store.initialise(header(), self.plan)
        self.clock, self.watcher = Clock(), RecordingWatcher()
        self.cancelled = False
        self.attempt_results: list[Observation | Exception] = []
        self.reconnect_errors: list[FwbenchError | None] = []
        self.reconnections = 0
        self.hosts = FakeHost("one-target", self.clock), FakeHost("one-client", self.clock)
        for host in self.hosts:
            host.folders.add(str(FOLDER))
            host.files[str(FOLDER / "agent.pyz")] = b"the agent"
        monkeypatch.setattr(rig_runner, "execute_run", self._execute)

    def run(self, runs: Iterable[Run] | None = None) -> str | None:
        target, client = self.hosts
        return RigRunner(
            rig="one",
            suite=self.suite,
            plan=self.plan,
            runs=self.plan.runs if runs is None else tuple(runs),
            earlier_results=(),
            contenders={"flask": FLASK, "fastapi": FASTAPI},
            images={"flask": "sha256:0"},
            context=RigContext(
                session="s",
                target=target,
                clients=(client,),
                address="192.0.2.1",
                cpus=(0, 1),
                folder=FOLDER,
                cancelled=lambda: self.cancelled,
                clock=self.clock,
                sleep=self.clock.sleep,
            ),
            log=SessionLog(self.store, self.watcher),
            reconnect=self._reconnect,
        ).run()

    def _execute(self, *arguments: Any) -> Observation:
        arguments[-1].mkdir(parents=True)
        result = self.attempt_results.pop(0) if self.attempt_results else SUCCESS
        if isinstance(result, Exception):
            raise result
        return result

    def _reconnect(self) -> None:
        self.reconnections += 1
        error = self.reconnect_errors.pop(0) if self.reconnect_errors else None
        if error is not None:
            raise error


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    return Harness(tmp_path, monkeypatch)


def test_every_run_is_executed_once_without_failures(harness: Harness) -> None:
    assert harness.run() is None
    assert [record.run for record in harness.store.records()] == list(harness.plan.runs)
    assert harness.reconnections == 0


def test_lost_attempt_is_kept_and_its_run_repeated(harness: Harness) -> None:
    harness.attempt_results = [SUCCESS, LOST]
    assert harness.run() is None
    assert [record.run for record in harness.store.records()] == list(harness.plan.runs)
    (lost,) = harness.store.lost_attempts()
    assert lost.run == harness.plan.runs[1]
    assert (lost.attempt, lost.verdict.status) == (1, "invalid")
    assert [record.attempt for record in harness.store.records()] == [1, 2, 1]
    assert harness.reconnections == 1


def test_files_of_a_lost_attempt_are_kept(harness: Harness) -> None:
    harness.attempt_results = [LOST]
    harness.run()
    run = harness.plan.runs[0].id
    assert harness.store.run_folder(run).is_dir()
    assert harness.store.attempt_folder(run, 1).is_dir()


def test_other_failure_is_recorded_and_not_repeated(harness: Harness) -> None:
    harness.attempt_results = [FAILED]
    assert harness.run() is None
    failed, *others = harness.store.records()
    assert failed.observation.failure == FAILED.failure
    assert harness.watcher.attempted == [run.id for run in harness.plan.runs]
    assert harness.store.lost_attempts() == []
    assert len(others) == 2


@pytest.mark.parametrize("ends", [[FAILED] * 3, [LOST] * 3, [FAILED, LOST, LOST]])
def test_rig_is_quarantined_after_three_failures_in_a_row(
    harness: Harness, ends: list[Observation | Exception]
) -> None:
    last = ends[-1]
    harness.attempt_results = ends
    reason = harness.run()
    assert isinstance(last, Observation)
    assert reason == f"failed 3 times in a row; the last failure: {last.failure}"
    assert len(harness.watcher.attempted) == 3


def test_success_resets_the_count_of_failures(harness: Harness) -> None:
    harness.attempt_results = [LOST, LOST, SUCCESS, LOST, LOST, SUCCESS]
    assert harness.run() is None
    assert len(harness.store.records()) == 3
    assert len(harness.store.lost_attempts()) == 4


def test_runner_waits_for_a_host_to_return(harness: Harness) -> None:
    harness.attempt_results = [LOST]
    harness.reconnect_errors = [LostError("one-client: does not answer SSH")] * 30
    assert harness.run() is None
    assert harness.reconnections == 31


def test_host_that_never_returns_quarantines_its_rig(harness: Harness) -> None:
    harness.attempt_results = [LOST]
    harness.reconnect_errors = [LostError("one-client: does not answer SSH")] * 1000
    start = harness.clock()
    assert harness.run() == (
        "failed 3 times in a row; the last failure: one-client: does not answer SSH"
    )
    assert 2 * RECONNECT_TIMEOUT_S < harness.clock() - start < 2 * RECONNECT_TIMEOUT_S + 10
    assert harness.store.records() == []


def test_host_that_returns_changed_quarantines_its_rig_at_once(harness: Harness) -> None:
    harness.attempt_results = [LOST]
    harness.reconnect_errors = [SessionError("kernel was 6.1, now it is 6.12")]
    assert harness.run() == "kernel was 6.1, now it is 6.12"
    assert harness.reconnections == 1


def test_run_is_lost_if_its_host_removed_the_session(harness: Harness) -> None:
    """The lease expired: the controller was suspended and did not renew it."""
    harness.attempt_results = [FAILED]
    for host in harness.hosts:
        host.files.clear()
    assert harness.run() is None
    assert [
        record.observation.infrastructure_failure for record in harness.store.lost_attempts()
    ] == [True]
    assert len(harness.store.records()) == 3


def test_cancelled_run_is_not_recorded(harness: Harness) -> None:
    harness.attempt_results = [SUCCESS, CancelledError()]
    assert harness.run() is None
    assert len(harness.store.records()) == 1


def test_cancellation_ends_the_wait_for_a_host(harness: Harness) -> None:
    harness.attempt_results = [LOST]

    def stop() -> None:
        harness.cancelled = True
        raise LostError("gone")

    harness._reconnect = stop  # type: ignore[method-assign]
    assert harness.run() is None
    assert harness.store.records() == []


def test_event_has_a_time_and_is_reported(harness: Harness) -> None:
    log = SessionLog(harness.store, harness.watcher)
    log.append_event(make_event("quarantined", "it failed", "one"))
    (event,) = harness.store.events()
    assert (event.kind, event.rig, event.reason) == ("quarantined", "one", "it failed")
    assert event.at.startswith("20")
    assert harness.watcher.messages == ["one: it failed"]
