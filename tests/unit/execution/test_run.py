import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from builders import COUNTED, FLASK, SAMPLES, TIMED, answer, container, run
from fakes import NO_ANSWER, STARTED_US, Clock, FakeHost, log_of

from fwbench.agent import protocol
from fwbench.checks.evaluate import evaluate_run
from fwbench.collection import artifacts, files
from fwbench.errors import SessionError
from fwbench.execution.agent_client import RECONNECT_TIMEOUT_S
from fwbench.execution.load_phase import time_limit_s
from fwbench.execution.rig_context import CancelledError, RigContext
from fwbench.execution.run import execute_run
from fwbench.model.load import Load
from fwbench.model.observation import ClientObservation, Observation

FOLDER = PurePosixPath("/var/tmp/fwbench-s")
START_TIMEOUT_S = 30.0

OnCall = Callable[[FakeHost, str], None]


class World:
    """A rig at the start of a run, and what has been asked of its hosts, in order."""

    def __init__(
        self, into: Path, on_call: OnCall = lambda *_: None, clients: tuple[str, ...] = ("client",)
    ) -> None:
        self.into = into / "run"
        self.clock = Clock()
        self.calls: list[str] = []
        self.cancelled = False
        self.on_call = on_call
        self.target, *self.clients = (
            FakeHost(name, self.clock, self._heard) for name in ("target", *clients)
        )
        self.client = self.clients[0]
        for host in self.hosts:
            host.folders.add(str(FOLDER))
            host.files[str(FOLDER / "agent.pyz")] = b"the agent"

    @property
    def hosts(self) -> tuple[FakeHost, ...]:
        return self.target, *self.clients

    def execute(self, load: Load = COUNTED) -> Observation:
        bench = RigContext(
            session="s",
            target=self.target,
            clients=tuple(self.clients),
            address="192.0.2.1",
            cpus=(0, 1),
            folder=FOLDER,
            cancelled=lambda: self.cancelled,
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        return execute_run(
            run(load=load), load, FLASK, "sha256:0", START_TIMEOUT_S, bench, self.into
        )

    def assert_clean(self) -> None:
        for host in self.hosts:
            assert host.folders == {str(FOLDER)}
            assert set(host.files) == {str(FOLDER / "agent.pyz")}
            assert host.containers == set()
            assert host.loads == {}

    def _heard(self, host: FakeHost, what: str) -> None:
        self.calls.append(f"{host.name}: {what}")
        self.on_call(host, what)


def side(seen: Observation) -> ClientObservation:
    (only,) = seen.clients
    return only


def steps(world: World) -> list[str]:
    """The calls without their arguments: where, and what."""
    short = []
    for call in world.calls:
        host, _, what = call.partition(": ")
        words = [word for word in what.split() if word not in ("python3", "-I")]
        of_agent = words[0].endswith("/agent.pyz")
        word = words[1] if of_agent else " ".join(words[:2]) if words[0] == "docker" else words[0]
        name = PurePosixPath(words[-1]).name if word in ("get", "exists") else ""
        short.append(f"{host} {word} {name}".strip())
    return short


# A run that goes well


def test_a_good_run_has_everything_that_a_verdict_needs(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.client.load_takes_s = 3.5
    seen = world.execute()
    assert seen.failure is None
    assert side(seen).answer_before == side(seen).answer_after == answer()
    assert seen.container_before == container(idle_wait_s=0.2, reached_idle=True)
    assert seen.container_after == container(idle_wait_s=None, reached_idle=None)
    assert seen.load is not None
    assert seen.load.summary is not None
    assert seen.load.summary.requests_done == 1000
    assert seen.load.log is not None
    assert seen.load.log.rows == 1000
    assert evaluate_run(run(load=COUNTED), FLASK, seen).status == "valid"


def test_phases_tell_the_application_and_the_load_apart(tmp_path: Path) -> None:
    def take_time(_: FakeHost, what: str) -> None:
        if "docker run" in what:
            world.clock.sleep(0.5)
        elif " probe " in what:
            world.clock.sleep(1.3)

    world = World(tmp_path, take_time)
    world.client.load_takes_s = 3.5
    phases = world.execute().phases
    assert phases.start_s == pytest.approx(0.5)
    assert phases.ready_s == pytest.approx(1.3 + 0.2)  # until it answered, until it idled
    assert phases.load_s == 3.5
    assert phases.total_s == pytest.approx(0.5 + 1.3 + 3.5, abs=0.2)


def test_a_good_run_takes_its_steps_in_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.execute()
    assert steps(world) == [
        "target acquire",
        "client acquire",
        "target sh",
        "target get clock",
        "client sh",
        "client get clock",
        "target docker run",
        "client probe",
        "client get answer.json",
        "target wait-idle",
        "target get container-before.json",
        "client load",
        "client exists load.json",
        "client get load.json",
        "client get loadgen.out",
        "client get loadgen.err",
        "client exists counts.gz",
        "client get counts.gz",
        "client exists log.json",
        "client get log.json",
        "client exists telemetry-client.json",
        "client get telemetry-client.json",
        "target finish",
        "target get container-after.json",
        "target get container.log",
        "target exists telemetry-target.json",
        "target get telemetry-target.json",
        "client rm",
        "target rm",
    ]


def test_a_good_run_leaves_its_raw_files_and_hosts_that_are_clean(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.execute()
    of_the_run = [
        files.COMMANDS,
        files.CLOCKS,
        protocol.CONTAINER_BEFORE,
        protocol.CONTAINER_AFTER,
        protocol.CONTAINER_LOG,
        protocol.TELEMETRY_TARGET,
    ]
    of_the_client = [
        files.ANSWER_BEFORE,
        protocol.LOAD_EXIT,
        protocol.LOAD_OUTPUT,
        protocol.LOAD_ERRORS,
        protocol.LATENCY_COUNTS,
        protocol.LOG_SUMMARY,
        protocol.TELEMETRY_CLIENT,
    ]
    assert {str(path.relative_to(world.into)) for path in world.into.rglob("*.*")} == {
        *of_the_run,
        *(f"client-1/{name}" for name in of_the_client),
    }
    world.assert_clean()


def test_each_command_that_uses_the_sessions_folder_first_enters_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.execute()
    asked = [each for host in world.hosts for each in host.within]
    using = [(command, within) for command, within in asked if str(FOLDER) in command]
    assert len(using) > 8
    assert [command for command, within in using if within != FOLDER] == []


def test_the_commands_are_kept_as_they_were_given(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.execute()
    commands = json.loads((world.into / files.COMMANDS).read_text())
    assert commands["contender"][:2] == ["docker", "run"]
    assert commands["contender"][-1] == "sha256:0"
    (load,) = commands["load"]
    assert load["client"] == "client"
    assert load["argv"][0] == "h2load"
    assert f"client: python3 -I {FOLDER}/agent.pyz load" in "\n".join(world.calls)
    assert " ".join(load["argv"]) in next(call for call in world.calls if " load " in call)


def test_nothing_is_asked_of_the_hosts_while_a_timed_load_runs(tmp_path: Path) -> None:
    """What the driver asks takes CPU from what is measured."""
    looks = []

    def look(host: FakeHost, _: str) -> None:
        if host.loads:
            looks.append(world.clock.now - began)

    world = World(tmp_path, look)
    world.client.load_takes_s = TIMED.nominal_duration_s
    began = world.clock.now
    assert world.execute(TIMED).failure is None
    assert TIMED.nominal_duration_s is not None
    assert min(looks) >= TIMED.nominal_duration_s * 0.97


# A run that goes wrong


def test_a_contender_that_never_answers_gets_no_load(tmp_path: Path) -> None:
    def take_time(_: FakeHost, what: str) -> None:
        if " probe " in what:
            world.clock.sleep(2)

    world = World(tmp_path, take_time)
    world.client.answers = [NO_ANSWER]
    seen = world.execute()
    assert seen.failure is None
    assert side(seen).answer_before == NO_ANSWER
    assert seen.load is None
    assert seen.phases.load_s is None
    assert not [call for call in world.calls if " load " in call or "stop-load" in call]
    assert START_TIMEOUT_S < (seen.phases.ready_s or 0) <= START_TIMEOUT_S + 4
    assert seen.container_after is not None
    assert (world.into / protocol.CONTAINER_LOG).exists()
    world.assert_clean()
    assert evaluate_run(run(load=COUNTED), FLASK, seen).status == "invalid"


def test_a_contender_that_answers_late_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.client.answers = [NO_ANSWER, NO_ANSWER, answer()]
    seen = world.execute()
    assert side(seen).answer_before == answer()
    assert seen.load is not None


def test_a_contender_that_has_ended_is_asked_no_more(tmp_path: Path) -> None:
    def take_time(_: FakeHost, what: str) -> None:
        if " probe " in what:
            world.clock.sleep(2)
            if world.clock.now - began > 5:
                world.target.ended |= world.target.containers

    world = World(tmp_path, take_time)
    world.client.answers = [NO_ANSWER]
    began = world.clock.now
    seen = world.execute()
    assert steps(world).count("client probe") == 3
    assert (side(seen).answer_before, seen.load, seen.failure) == (NO_ANSWER, None, None)
    assert (world.into / protocol.CONTAINER_LOG).exists()
    world.assert_clean()


def test_the_engine_is_asked_only_after_no_answer(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.client.answers = [NO_ANSWER, answer()]
    world.execute()
    assert sum("{{.State.Running}}" in call for call in world.calls) == 1


def test_an_answer_that_breaks_the_contract_is_loaded_all_the_same(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.client.answers = [answer(status=500)]
    seen = world.execute()
    assert seen.load is not None
    assert evaluate_run(run(load=COUNTED), FLASK, seen).status == "invalid"


def test_a_contender_that_cannot_be_started_is_a_failure(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.target.engine_says = "docker: port is already allocated"
    seen = world.execute()
    assert (seen.failure or "").startswith("target: port 8001 is in use")
    assert (seen.load, side(seen).answer_before, seen.phases.start_s) == (None, None, None)
    assert "target: docker rm --force --volumes fwbench-s-r1-0001-flask" in world.calls
    world.assert_clean()


def test_a_load_that_never_leaves_its_file_is_a_failure(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.client.load_takes_s = None
    seen = world.execute(TIMED)
    assert "client: the agent did not write load.json" in (seen.failure or "")
    assert seen.load is None
    assert world.clock.now - 1000 < time_limit_s(TIMED) + 60
    world.assert_clean()


def test_a_load_generator_that_fails_is_no_failure_of_the_run(tmp_path: Path) -> None:
    """It is for the judge to say; what it left is kept."""
    world = World(tmp_path)
    world.client.load_ends = {"exit_status": 1, "timed_out": False}
    world.client.output = "no such option\n"
    seen = world.execute()
    assert seen.failure is None
    assert seen.load is not None
    assert (seen.load.exit_status, seen.load.summary) == (1, None)


def test_an_answer_that_the_agent_never_writes_is_a_failure(tmp_path: Path) -> None:
    def garble(host: FakeHost, what: str) -> None:
        if what.endswith("answer.json"):
            host.files[what.removeprefix("get ")] = b"{"

    world = World(tmp_path, garble)
    assert "malformed" in (world.execute().failure or "")
    world.assert_clean()


def number_of_calls(into: Path) -> int:
    world = World(into)
    world.execute()
    return len(world.calls)


LAST_CALL = 29


def test_the_steps_below_are_all_there_are(tmp_path: Path) -> None:
    assert number_of_calls(tmp_path) == LAST_CALL


def lose(world: World, nth: int) -> OnCall:
    """Lose the connection during one call, which is not done; the next one connects anew."""

    def on_call(host: FakeHost, _: str) -> None:
        host.lost = len(world.calls) == nth

    return on_call


# These happen once, whether or not anybody hears that they did.
ONCE = ("acquire", "sh", "docker run", "wait-idle", "load")


@pytest.mark.parametrize("nth", range(1, LAST_CALL + 1))
def test_a_connection_that_breaks_costs_time_or_is_why_the_run_failed(
    tmp_path: Path, nth: int
) -> None:
    world = World(tmp_path)
    world.on_call = lose(world, nth)
    whole = World(tmp_path / "whole").execute()
    seen = world.execute()
    host, _, step = steps(world)[nth - 1].partition(" ")
    if step in ONCE:
        assert (seen.failure or "").startswith(f"{host}: the connection was lost")
        assert (seen.load, seen.infrastructure_failure) == (None, True)  # failure is never a number
        assert evaluate_run(run(load=COUNTED), FLASK, seen).status == "invalid"
    else:
        assert (seen.failure, seen.infrastructure_failure) == (None, False)
        assert seen.load == whole.load
        assert seen.container_after == whole.container_after
        assert world.clock.now - 1000 < 5
    world.assert_clean()


@pytest.mark.parametrize("lost", ["target", "client"])
@pytest.mark.parametrize("nth", range(1, LAST_CALL + 1))
def test_a_host_that_is_lost_for_good_does_not_keep_the_other_from_being_cleaned_up(
    tmp_path: Path, lost: str, nth: int
) -> None:
    def lose(_: FakeHost, __: str) -> None:
        if len(world.calls) == nth:
            next(host for host in world.hosts if host.name == lost).lost = True

    world = World(tmp_path, lose)
    seen = world.execute()
    other = world.client if lost == "target" else world.target
    assert other.folders == {str(FOLDER)}
    assert (other.containers, other.loads) == (set(), {})
    assert world.clock.now - 1000 < RECONNECT_TIMEOUT_S + 5
    if seen.failure is not None:
        assert seen.failure.startswith(f"{lost}: the connection was lost")
        assert (seen.load, seen.infrastructure_failure) == (None, True)


def test_a_host_that_is_lost_once_all_is_fetched_does_not_spoil_the_run(tmp_path: Path) -> None:
    def lose(host: FakeHost, what: str) -> None:
        host.lost = host.lost or what.startswith("rm")

    seen = World(tmp_path, lose).execute()
    assert (seen.failure, seen.infrastructure_failure) == (None, False)
    assert seen.load is not None


def test_the_failure_is_what_went_wrong_first_and_not_what_did_while_cleaning_up(
    tmp_path: Path,
) -> None:
    def lose(host: FakeHost, what: str) -> None:
        if "exists" in what:
            host.lost = True

    world = World(tmp_path, lose)
    assert "during `exists " in (world.execute().failure or "")


@pytest.mark.parametrize("away_s", [5, 55])
def test_a_load_goes_on_while_its_client_cannot_be_reached(tmp_path: Path, away_s: float) -> None:
    """Patience begins when the load ought to be over, not when the connection broke."""

    def lose(host: FakeHost, _: str) -> None:
        host.lost = bool(host.loads) and world.clock.now < 1000 + 600 + away_s

    world = World(tmp_path, lose)
    load = Load(connections=10, duration_s=600)
    world.client.load_takes_s = 600
    seen = world.execute(load)
    assert (seen.failure, seen.infrastructure_failure) == (None, False)
    assert seen.load is not None
    assert 600 + away_s <= world.clock.now - 1000 < 600 + away_s + 5
    world.assert_clean()


def test_patience_has_an_end(tmp_path: Path) -> None:
    def lose(host: FakeHost, what: str) -> None:
        host.lost = host.lost or "finish" in what

    world = World(tmp_path, lose)
    seen = world.execute()
    assert (seen.failure or "").startswith("target: the connection was lost during")
    assert seen.infrastructure_failure
    assert RECONNECT_TIMEOUT_S <= world.clock.now - 1000 < RECONNECT_TIMEOUT_S + 5


def test_nobody_who_wants_to_stop_waits_for_a_host_that_is_lost(tmp_path: Path) -> None:
    def lose(host: FakeHost, what: str) -> None:
        if "finish" in what:
            host.lost = world.cancelled = True

    world = World(tmp_path, lose)
    with pytest.raises(CancelledError):
        world.execute()
    assert world.clock.now - 1000 < 2


def test_a_container_that_is_finished_while_its_host_is_lost_is_not_finished_again(
    tmp_path: Path,
) -> None:
    """The command was done, and only its end was not heard."""
    told = []

    def lose(host: FakeHost, what: str) -> None:
        if "finish" in what and not told:
            told.append(what)
            host.perform(what)
            host.lost = True
        else:
            host.lost = False

    world = World(tmp_path, lose)
    seen = world.execute()
    assert sum("finish" in call for call in world.calls) == 2
    assert (seen.failure, seen.infrastructure_failure) == (None, False)
    assert seen.container_after == container(idle_wait_s=None, reached_idle=None)
    world.assert_clean()


def started_anew(host: FakeHost) -> None:
    """What is left of a host's runs after it was: files, and a container that has ended."""
    host.loads.clear()
    host.ended |= host.containers


@pytest.mark.parametrize("which", ["target", "client"])
def test_a_host_that_is_started_anew_in_mid_run_was_lost(tmp_path: Path, which: str) -> None:
    gone = []

    def start_anew(host: FakeHost, _: str) -> None:
        if world.client.loads and not gone:
            gone.extend(one for one in world.hosts if one.name == which)
            started_anew(gone[0])
            gone[0].lost = True
        elif host in gone:
            host.lost = sum(call.startswith(which) for call in world.calls) % 3 == 0

    world = World(tmp_path, start_anew)
    world.client.load_takes_s = 3
    seen = world.execute(TIMED)
    assert seen.failure is not None
    assert (seen.load, seen.infrastructure_failure) == (None, True)


def test_a_container_that_ends_on_a_host_that_was_never_lost_is_the_contenders_fault(
    tmp_path: Path,
) -> None:
    def end(host: FakeHost, what: str) -> None:
        if "finish" in what:
            host.ended |= host.containers

    seen = World(tmp_path, end).execute()
    assert (seen.failure, seen.infrastructure_failure) == (None, False)
    assert seen.container_after is not None
    assert not seen.container_after.running


@pytest.mark.parametrize(
    "says", ["docker: port is already allocated", "Unable to find image: No such image"]
)
def test_a_contender_that_cannot_be_started_was_not_lost(tmp_path: Path, says: str) -> None:
    world = World(tmp_path)
    world.target.engine_says = says
    seen = world.execute()
    assert (seen.failure is None, seen.infrastructure_failure) == (False, False)


# A run that is cancelled


@pytest.mark.parametrize("nth", range(1, LAST_CALL + 1))
def test_a_run_that_is_cancelled_is_no_run_and_leaves_nothing(tmp_path: Path, nth: int) -> None:
    """Once the load has ended, the run is brought to its end: that takes no longer."""

    def cancel(_: FakeHost, __: str) -> None:
        world.cancelled = world.cancelled or len(world.calls) == nth

    world = World(tmp_path, cancel)
    load_ended = nth >= 13  # the look that finds load.json
    if load_ended:
        assert world.execute().failure is None
    else:
        with pytest.raises(CancelledError):
            world.execute()
    world.assert_clean()


def test_a_cancelled_load_is_stopped_long_before_its_end(tmp_path: Path) -> None:
    def cancel(_: FakeHost, what: str) -> None:
        world.cancelled = world.cancelled or " load " in what

    world = World(tmp_path, cancel)
    world.client.load_takes_s = 3600
    began = world.clock.now
    with pytest.raises(CancelledError):
        world.execute(Load(connections=10, duration_s=3600))
    assert world.clock.now - began < 1
    assert "client stop-load" in steps(world)
    world.assert_clean()


def test_a_wait_for_an_answer_can_be_cancelled(tmp_path: Path) -> None:
    def cancel(_: FakeHost, what: str) -> None:
        world.cancelled = world.cancelled or (" probe " in what and asked_before())

    def asked_before() -> bool:
        return sum(" probe " in call for call in world.calls) > 1

    world = World(tmp_path, cancel)
    world.client.answers = [NO_ANSWER]
    with pytest.raises(CancelledError):
        world.execute()
    world.assert_clean()


def test_a_cancelled_run_stays_cancelled_if_a_host_cannot_be_cleaned_up(tmp_path: Path) -> None:
    def cancel(host: FakeHost, what: str) -> None:
        if " load " in what:
            world.cancelled = True
        elif what.startswith("rm"):
            host.lost = True

    world = World(tmp_path, cancel)
    world.client.load_takes_s = 3600
    with pytest.raises(CancelledError):
        world.execute(TIMED)


# Time limits


@pytest.mark.parametrize(("load", "limit_s"), [(TIMED, 34.0), (COUNTED, 120.0)])
def test_a_load_is_given_its_own_time_and_then_some(load: Load, limit_s: float) -> None:
    assert time_limit_s(load) == limit_s


def test_the_agent_is_told_the_limit(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.client.load_takes_s = TIMED.nominal_duration_s
    world.execute(TIMED)
    assert [call for call in world.calls if " load " in call and "--time-limit-s=34.0" in call]


@pytest.mark.parametrize(("load", "lasts_s"), [(TIMED, 34 + 4), (COUNTED, 120)])
def test_the_lease_of_a_run_is_over_a_few_minutes_after_it(
    tmp_path: Path, load: Load, lasts_s: float
) -> None:
    world = World(tmp_path)
    world.client.load_takes_s = load.nominal_duration_s
    world.execute(load)
    begun = [call for call in world.calls if " acquire " in call]
    assert len(begun) == 2
    for call in begun:
        assert f"--lease-s={2 * START_TIMEOUT_S + lasts_s + 180}" in call.split()


class Huge(bytes):
    """A file of which only the size is real."""

    def __len__(self) -> int:
        return self.size

    def __new__(cls, size: int) -> "Huge":
        made = super().__new__(cls)
        made.size = size
        return made

    size: int


@pytest.mark.parametrize(
    ("name", "mib"),
    [
        *[("answer.json", 16), ("container-before.json", 16), ("load.json", 16)],
        *[("loadgen.out", 16), ("loadgen.err", 16), ("log.json", 16), ("container.log", 16)],
        *[("counts.gz", 256), ("telemetry-client.json", 64), ("telemetry-target.json", 64)],
    ],
)
def test_no_file_is_fetched_that_is_larger_than_its_limit(
    tmp_path: Path, name: str, mib: int
) -> None:
    def swell(host: FakeHost, what: str) -> None:
        if what.startswith("get ") and what.endswith(f"/{name}"):
            host.files[what.removeprefix("get ")] = Huge(size)

    size = mib << 20
    seen = World(tmp_path / "most", swell).execute()
    assert "more than fwbench fetches" not in (seen.failure or "")
    size += 1
    seen = World(tmp_path / "more", swell).execute()
    assert f"/{name} has {size} bytes, more than fwbench fetches" in (seen.failure or "")


# Telemetry


def test_what_both_hosts_did_is_observed(tmp_path: Path) -> None:
    seen = World(tmp_path).execute()
    assert seen.target is not None
    usage = side(seen).usage
    assert usage is not None
    assert usage.threads[0].cores == pytest.approx(0.2)


def test_a_host_that_leaves_no_telemetry_leaves_the_rest(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.target.samples = False
    seen = world.execute()
    assert seen.failure is None
    assert (seen.target, side(seen).usage is None) == (None, False)
    assert evaluate_run(run(load=COUNTED), FLASK, seen).status == "suspect"


def test_the_clocks_of_both_hosts_are_compared(tmp_path: Path) -> None:
    def take_time(_: FakeHost, what: str) -> None:
        if what.startswith("sh "):
            world.clock.sleep(0.01)

    world = World(tmp_path, take_time)
    world.client.ahead_s, world.target.ahead_s = 3.0, -2.0
    clock = side(world.execute()).clock
    assert clock is not None
    assert clock.client_minus_target_s == pytest.approx(5)
    assert clock.uncertainty_s == pytest.approx(0.01)


def test_a_clock_that_cannot_be_read_is_no_failure(tmp_path: Path) -> None:
    def garble(host: FakeHost, what: str) -> None:
        if what.endswith("/clock") and what.startswith("get"):
            host.files[what.removeprefix("get ")] = b"1795406759.%N\n"

    seen = World(tmp_path, garble).execute()
    assert (seen.failure, side(seen).clock) == (None, None)


def test_the_sampler_is_given_an_end_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.execute(TIMED)
    settle = next(call for call in world.calls if " wait-idle " in call)
    assert f"--sampling-limit-s={time_limit_s(TIMED) + 60}" in settle


# Several clients

PAIR = ("near", "a/../strange name")
EVEN = Load(connections=10, duration_s=1)


def even_log(client: FakeHost, *, late_us: int = 0, rows: int = 1000) -> str:
    return log_of(STARTED_US + round(client.ahead_s * 1e6) + late_us, rows)


def test_clients_share_one_load_and_their_counts_are_added(tmp_path: Path) -> None:
    world = World(tmp_path, clients=PAIR)
    seen = world.execute(EVEN)
    assert seen.failure is None
    assert [side.host for side in seen.clients] == list(PAIR)
    loads = [side.load for side in seen.clients]
    rows = [load.log.rows for load in loads if load and load.log]
    assert len(rows) == 2
    assert seen.load is not None
    assert seen.load.log is not None
    assert seen.load.summary is not None
    assert seen.load.log.rows == sum(rows) == 2000
    assert seen.load.log.successful_rows == 2000
    assert sum(second.completions for second in seen.load.log.per_second) == 2000
    assert seen.load.log.completions_per_100ms == (196, *[200] * 9, 4)
    assert seen.load.summary.requests_done == 2000
    commands = json.loads((world.into / files.COMMANDS).read_text())["load"]
    assert [command["client"] for command in commands] == list(PAIR)
    assert all("-c5" in command["argv"] for command in commands)
    assert (world.into / "client-1" / protocol.LOAD_EXIT).exists()
    assert (world.into / "client-2" / protocol.LOAD_EXIT).exists()
    assert list(tmp_path.rglob("*strange*")) == []
    world.assert_clean()


def test_every_client_sees_whether_the_contract_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path, clients=PAIR)
    world.clients[1].answers = [answer(body="nonsense"), answer()]
    seen = world.execute(EVEN)
    assert [side.answer_before for side in seen.clients] == [answer(), answer(body="nonsense")]
    evidence = {f.code: f.evidence for f in evaluate_run(run(load=EVEN), FLASK, seen).findings}
    assert evidence["contract-broken"].startswith(f"on {PAIR[1]}, before the load, GET /")


def test_a_target_that_one_client_cannot_reach_gets_no_load(tmp_path: Path) -> None:
    world = World(tmp_path, clients=PAIR)
    world.clients[1].answers = [NO_ANSWER]
    seen = world.execute(EVEN)
    assert (seen.failure, seen.load) == (None, None)
    assert not [call for call in world.calls if " load " in call]
    evidence = {f.code: f.evidence for f in evaluate_run(run(load=EVEN), FLASK, seen).findings}
    assert evidence["never-ready"].startswith(f"on {PAIR[1]}, the application did not answer")


def test_clients_start_at_the_same_moment_each_by_its_own_clock(tmp_path: Path) -> None:
    world = World(tmp_path, clients=PAIR)
    world.clients[0].ahead_s, world.clients[1].ahead_s = -40.0, 700.0
    world.execute(EVEN)
    words = [call.split() for call in world.calls if " load " in call]
    at = {call[0].rstrip(":"): call for call in words}
    times = [
        float(next(word for word in at[name.split()[0]] if word.startswith("--start-at-s="))[13:])
        for name in PAIR
    ]
    assert times[1] - times[0] == pytest.approx(740)
    assert times[0] > 1000 - 40


def test_only_the_time_in_which_all_clients_loaded_counts(tmp_path: Path) -> None:
    """Their clocks differ by minutes, and that is taken off."""
    world = World(tmp_path, clients=PAIR)
    first, second = world.clients
    first.ahead_s, second.ahead_s = 3.0, -200.0
    first.log, second.log = even_log(first), even_log(second, late_us=30_000)
    seen = world.execute(EVEN)
    assert seen.overlap is not None
    assert seen.overlap.skew_s == pytest.approx(0.03)
    assert seen.overlap.overlap_s == pytest.approx(0.999 + 0.002 - 0.03)
    assert seen.overlap_s == seen.overlap.overlap_s
    rows = [side.load.log for side in seen.clients if side.load]
    assert [(log.rows, log.rows_outside_window) for log in rows if log] == [(970, 30), (970, 30)]
    assert seen.load is not None
    assert seen.load.log is not None
    assert seen.load.log.rows == 1940


def test_clients_that_begin_too_far_apart_are_told(tmp_path: Path) -> None:
    world = World(tmp_path, clients=PAIR)
    world.clients[1].log = even_log(world.clients[1], late_us=60_000)
    verdict = evaluate_run(run(load=EVEN), FLASK, world.execute(EVEN))
    evidence = {f.code: f.evidence for f in verdict.findings}
    assert verdict.status == "invalid"
    assert evidence["client-skew"] == f"{PAIR[1]} began 60 ms after near (± 0 ms; threshold: 50 ms)"


def test_a_client_that_ends_early_leaves_too_little_in_common(tmp_path: Path) -> None:
    world = World(tmp_path, clients=PAIR)
    world.clients[0].log = even_log(world.clients[0], rows=500)
    seen = world.execute(EVEN)
    evidence = {f.code: f.evidence for f in evaluate_run(run(load=EVEN), FLASK, seen).findings}
    assert evidence["short-overlap"].endswith("for 0.50 s of 1.00 s (threshold: 90 %)")


def test_a_client_without_one_answer_is_named(tmp_path: Path) -> None:
    world = World(tmp_path, clients=PAIR)
    world.clients[1].log = ""
    world.clients[1].output = (SAMPLES / "1.52" / "refused.out").read_text()
    seen = world.execute(EVEN)
    assert seen.failure is None
    evidence = {f.code: f.evidence for f in evaluate_run(run(load=EVEN), FLASK, seen).findings}
    assert evidence["nothing-done"] == f"on {PAIR[1]}, no request was answered"


def test_what_was_observed_of_several_clients_can_be_read_again(tmp_path: Path) -> None:
    world = World(tmp_path, clients=PAIR)
    world.clients[1].ahead_s = 5.0
    seen = world.execute(EVEN)
    left = artifacts.read_artifacts(world.into, EVEN)
    assert (left.load, left.clients, left.overlap) == (seen.load, seen.clients, seen.overlap)


def test_clients_whose_clocks_cannot_be_read_cannot_start_together(tmp_path: Path) -> None:
    def garble(host: FakeHost, what: str) -> None:
        if what.endswith("/clock") and what.startswith("get"):
            host.files[what.removeprefix("get ")] = b"1795406759.%N\n"

    world = World(tmp_path, garble, PAIR)
    seen = world.execute(EVEN)
    assert "clocks could not be read" in (seen.failure or "")
    assert (seen.load, seen.infrastructure_failure) == (None, False)
    world.assert_clean()


def test_more_clients_than_connections_are_a_failure_that_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, clients=PAIR)
    load = Load(connections=1, duration_s=1)
    seen = world.execute(load)
    assert (seen.failure or "").startswith("a load of 1 connections cannot be divided among 2")
    assert world.calls == []
    assert evaluate_run(run(load=load), FLASK, seen).status == "invalid"


def test_any_broken_connection_of_several_clients_costs_time_or_the_run(tmp_path: Path) -> None:
    whole = World(tmp_path / "whole", clients=PAIR)
    expected = whole.execute(EVEN)
    outcomes = set()
    for nth in range(1, len(whole.calls) + 1):
        world = World(tmp_path / str(nth), clients=PAIR)
        world.on_call = lose(world, nth)
        seen = world.execute(EVEN)
        if seen.failure is None:
            assert (seen.load, seen.infrastructure_failure) == (expected.load, False)
        else:
            assert (seen.load, seen.infrastructure_failure) == (None, True)
        world.assert_clean()
        outcomes.add(seen.infrastructure_failure)
    assert outcomes == {False, True}


@pytest.mark.parametrize("what", [" reduce ", "exists ", "get ", " probe ", " finish "])
def test_what_several_clients_can_be_asked_again_costs_time_alone(
    tmp_path: Path, what: str
) -> None:
    lost: set[str] = set()

    def lose(host: FakeHost, call: str) -> None:
        host.lost = what in call and host.name not in lost
        if host.lost:
            lost.add(host.name)

    world = World(tmp_path, lose, PAIR)
    seen = world.execute(EVEN)
    assert lost
    assert (seen.failure, seen.infrastructure_failure) == (None, False)
    assert seen.load == World(tmp_path / "whole", clients=PAIR).execute(EVEN).load
    world.assert_clean()


def test_a_cancelled_load_of_several_clients_is_stopped_on_all(tmp_path: Path) -> None:
    def cancel(_: FakeHost, what: str) -> None:
        world.cancelled = world.cancelled or " load " in what

    world = World(tmp_path, cancel, PAIR)
    for client in world.clients:
        client.load_takes_s = 3600
    with pytest.raises(CancelledError):
        world.execute(Load(connections=10, duration_s=3600))
    world.assert_clean()


def test_a_disk_that_is_full_here_is_no_result_of_the_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    (tmp_path / "run").write_text("in the way of the run's folder")
    with pytest.raises(
        SessionError, match=f"{tmp_path}/run: cannot be written: File exists; free disk space"
    ):
        world.execute()
    world.assert_clean()


def test_a_file_that_cannot_be_kept_here_is_no_result_of_the_run(tmp_path: Path) -> None:
    def refuse(_: FakeHost, what: str) -> None:
        if what.startswith("get ") and what.endswith("load.json"):
            raise SessionError("load.json: No space left on device")

    world = World(tmp_path, refuse)
    with pytest.raises(SessionError, match="No space left"):
        world.execute()
    world.assert_clean()
