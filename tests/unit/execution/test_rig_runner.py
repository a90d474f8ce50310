"""One rig's runs, with what comes of each attempt given beforehand."""

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

WELL = observation()
LOST = observation(failure="one-client: the connection was lost", infrastructure_failure=True)
FAILED = observation(failure="one-target: Docker could not start flask")
FOLDER = PurePosixPath("/var/tmp/fwbench-session-s")


class Watching:
    def __init__(self) -> None:
        self.attempted: list[str] = []
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def planned(self, plan: Plan, executed: int) -> None: ...

    def started(self, run: Run) -> None:
        self.attempted.append(run.id)

    def ended(self, record: Record) -> None: ...


class World:
    """A rig whose attempts end as given, one after the other; afterwards all goes well."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.suite = suite(blocks=3, contenders=("flask",), baseline=None)
        self.plan = make_plan(self.suite, [rig()])
        self.store = SessionStore.create(place / "s")
        self.store.initialise(header(), self.plan)
        self.clock, self.watcher = Clock(), Watching()
        self.cancelled = False
        self.ends: list[Observation | Exception] = []
        self.returns: list[FwbenchError | None] = []
        self.came_back = 0
        self.hosts = FakeHost("one-target", self.clock), FakeHost("one-client", self.clock)
        for host in self.hosts:
            host.folders.add(str(FOLDER))
            host.files[str(FOLDER / "agent.pyz")] = b"the agent"
        monkeypatch.setattr(rig_runner, "execute_run", self._execute)

    def go(self, runs: Iterable[Run] | None = None) -> str | None:
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
            reconnect=self._come_back,
        ).run()

    def _execute(self, *arguments: Any) -> Observation:
        arguments[-1].mkdir(parents=True)
        end = self.ends.pop(0) if self.ends else WELL
        if isinstance(end, Exception):
            raise end
        return end

    def _come_back(self) -> None:
        self.came_back += 1
        trouble = self.returns.pop(0) if self.returns else None
        if trouble is not None:
            raise trouble


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_every_run_is_executed_once_where_all_goes_well(world: World) -> None:
    assert world.go() is None
    assert [record.run for record in world.store.records()] == list(world.plan.runs)
    assert world.came_back == 0


def test_a_lost_attempt_is_kept_as_failed_and_the_run_attempted_again(world: World) -> None:
    world.ends = [WELL, LOST]
    assert world.go() is None
    assert [record.run for record in world.store.records()] == list(world.plan.runs)
    (lost,) = world.store.lost_attempts()
    assert lost.run == world.plan.runs[1]
    assert (lost.attempt, lost.verdict.status) == (1, "invalid")
    assert [record.attempt for record in world.store.records()] == [1, 2, 1]
    assert world.came_back == 1


def test_what_a_lost_attempt_left_is_kept_beside_that_of_the_next(world: World) -> None:
    world.ends = [LOST]
    world.go()
    run = world.plan.runs[0].id
    assert world.store.run_folder(run).is_dir()
    assert world.store.attempt_folder(run, 1).is_dir()


def test_any_other_failure_is_what_came_of_the_run(world: World) -> None:
    world.ends = [FAILED]
    assert world.go() is None
    failed, *others = world.store.records()
    assert failed.observation.failure == FAILED.failure
    assert world.watcher.attempted == [run.id for run in world.plan.runs]
    assert world.store.lost_attempts() == []
    assert len(others) == 2


@pytest.mark.parametrize("ends", [[FAILED] * 3, [LOST] * 3, [FAILED, LOST, LOST]])
def test_a_rig_that_fails_three_times_in_a_row_is_set_aside(
    world: World, ends: list[Observation | Exception]
) -> None:
    last = ends[-1]
    world.ends = ends
    why = world.go()
    assert isinstance(last, Observation)
    assert why == f"failed 3 times in a row; the last failure: {last.failure}"
    assert len(world.watcher.attempted) == 3


def test_a_run_that_goes_well_begins_the_row_anew(world: World) -> None:
    world.ends = [LOST, LOST, WELL, LOST, LOST, WELL]
    assert world.go() is None
    assert len(world.store.records()) == 3
    assert len(world.store.lost_attempts()) == 4


def test_a_host_has_time_to_come_back(world: World) -> None:
    world.ends = [LOST]
    world.returns = [LostError("one-client: does not answer SSH")] * 30
    assert world.go() is None
    assert world.came_back == 31


def test_a_host_that_is_gone_for_good_sets_its_rig_aside(world: World) -> None:
    world.ends = [LOST]
    world.returns = [LostError("one-client: does not answer SSH")] * 1000
    began = world.clock()
    assert world.go() == (
        "failed 3 times in a row; the last failure: one-client: does not answer SSH"
    )
    assert 2 * RECONNECT_TIMEOUT_S < world.clock() - began < 2 * RECONNECT_TIMEOUT_S + 10
    assert world.store.records() == []


def test_a_host_that_comes_back_as_another_sets_its_rig_aside_at_once(world: World) -> None:
    world.ends = [LOST]
    world.returns = [SessionError("kernel was 6.1, now it is 6.12")]
    assert world.go() == "kernel was 6.1, now it is 6.12"
    assert world.came_back == 1


def test_a_run_from_whose_host_the_session_was_taken_was_lost(world: World) -> None:
    """Nobody renewed the lease: the controller's machine slept."""
    world.ends = [FAILED]
    for host in world.hosts:
        host.files.clear()
    assert world.go() is None
    assert [
        record.observation.infrastructure_failure for record in world.store.lost_attempts()
    ] == [True]
    assert len(world.store.records()) == 3


def test_a_cancelled_run_is_not_recorded(world: World) -> None:
    world.ends = [WELL, CancelledError()]
    assert world.go() is None
    assert len(world.store.records()) == 1


def test_nothing_waits_for_a_host_once_somebody_wants_to_stop(world: World) -> None:
    world.ends = [LOST]

    def stop() -> None:
        world.cancelled = True
        raise LostError("gone")

    world._come_back = stop  # type: ignore[method-assign]
    assert world.go() is None
    assert world.store.records() == []


def test_an_event_has_its_time_and_is_told(world: World) -> None:
    log = SessionLog(world.store, world.watcher)
    log.append_event(make_event("quarantined", "it failed", "one"))
    (noted,) = world.store.events()
    assert (noted.kind, noted.rig, noted.reason) == ("quarantined", "one", "it failed")
    assert noted.at.startswith("20")
    assert world.watcher.said == ["one: it failed"]
