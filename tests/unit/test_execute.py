import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from building import COUNTED, FLASK, TIMED, answer, container, run
from fakes import NO_ANSWER, Clock, FakeHost

from fwbench import raw
from fwbench.execute import Bench, CancelledError, execute, time_limit_s
from fwbench.judge import judge
from fwbench.model.load import Load
from fwbench.model.observation import Observation

FOLDER = PurePosixPath("/var/tmp/fwbench-s")
START_TIMEOUT_S = 30.0

OnCall = Callable[[FakeHost, str], None]


class World:
    """A target and a client at the start of a run, and what has been asked of both, in order."""

    def __init__(self, into: Path, on_call: OnCall = lambda *_: None) -> None:
        self.into = into / "run"
        self.clock = Clock()
        self.calls: list[str] = []
        self.cancelled = False
        self._on_call = on_call
        self.target, self.client = (
            FakeHost(name, self.clock, self._heard) for name in ("target", "client")
        )
        for host in self.hosts:
            host.folders.add(str(FOLDER))
            host.files[str(FOLDER / "agent.pyz")] = b"the agent"

    @property
    def hosts(self) -> tuple[FakeHost, FakeHost]:
        return self.target, self.client

    def execute(self, load: Load = COUNTED) -> Observation:
        bench = Bench(
            session="s",
            target=self.target,
            client=self.client,
            address="198.18.0.1",
            cpus=(0, 1),
            folder=FOLDER,
            cancelled=lambda: self.cancelled,
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        return execute(run(load=load), load, FLASK, "sha256:0", START_TIMEOUT_S, bench, self.into)

    def assert_clean(self) -> None:
        for host in self.hosts:
            assert host.folders == {str(FOLDER)}
            assert set(host.files) == {str(FOLDER / "agent.pyz")}
            assert host.containers == set()
            assert host.loads == {}

    def _heard(self, host: FakeHost, what: str) -> None:
        self.calls.append(f"{host.name}: {what}")
        self._on_call(host, what)


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
    assert seen.answer_before == seen.answer_after == answer()
    assert seen.container_before == container(waited_s=0.2, settled=True)
    assert seen.container_after == container(waited_s=None, settled=None)
    assert seen.load is not None
    assert seen.load.figures is not None
    assert seen.load.figures.requests_done == 1000
    assert seen.load.log is not None
    assert seen.load.log.rows == 1000
    assert judge(run(load=COUNTED), FLASK, seen).word == "valid"


def test_phases_tell_the_application_and_the_load_apart(tmp_path: Path) -> None:
    def take_time(_: FakeHost, what: str) -> None:
        if "docker run" in what:
            world.clock.sleep(0.5)
        elif " ask " in what:
            world.clock.sleep(1.3)

    world = World(tmp_path, take_time)
    world.client.load_takes_s = 3.5
    phases = world.execute().phases
    assert phases.start_s == pytest.approx(0.5)
    assert phases.application_s == pytest.approx(1.3 + 0.2)  # until it answered, until it idled
    assert phases.load_s == 3.5
    assert phases.total_s == pytest.approx(0.5 + 1.3 + 3.5, abs=0.2)


def test_a_good_run_takes_its_steps_in_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.execute()
    assert steps(world) == [
        "target mkdir",
        "client mkdir",
        "target sh",
        "target get clock",
        "client sh",
        "client get clock",
        "target docker run",
        "client ask",
        "client get answer.json",
        "target settle",
        "target get container-before.json",
        "client load",
        "client exists load.json",
        "client get load.json",
        "client get h2load.out",
        "client get h2load.err",
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
    assert sorted(path.name for path in world.into.iterdir()) == sorted(
        [
            raw.COMMANDS,
            raw.BEFORE,
            raw.CONTAINER_BEFORE,
            raw.CONTAINER_AFTER,
            raw.CONTAINER_LOG,
            raw.LOAD,
            raw.OUTPUT,
            raw.ERRORS,
            raw.COUNTS,
            raw.LOG,
            raw.CLOCKS,
            raw.TELEMETRY_TARGET,
            raw.TELEMETRY_CLIENT,
        ]
    )
    world.assert_clean()


def test_the_commands_are_kept_as_they_were_given(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.execute()
    commands = json.loads((world.into / raw.COMMANDS).read_text())
    assert commands["contender"][:2] == ["docker", "run"]
    assert commands["contender"][-1] == "sha256:0"
    assert commands["load"][0] == "h2load"
    assert f"client: python3 -I {FOLDER}/agent.pyz load" in "\n".join(world.calls)
    assert " ".join(commands["load"]) in next(call for call in world.calls if " load " in call)


def test_nothing_is_asked_of_the_hosts_while_a_timed_load_runs(tmp_path: Path) -> None:
    """What the driver asks takes CPU from what is measured."""
    looks = []

    def look(host: FakeHost, _: str) -> None:
        if host.loads:
            looks.append(world.clock.now - began)

    world = World(tmp_path, look)
    world.client.load_takes_s = TIMED.nominal_s
    began = world.clock.now
    assert world.execute(TIMED).failure is None
    assert TIMED.nominal_s is not None
    assert min(looks) >= TIMED.nominal_s * 0.97


# A run that goes wrong


def test_a_contender_that_never_answers_gets_no_load(tmp_path: Path) -> None:
    def take_time(_: FakeHost, what: str) -> None:
        if " ask " in what:
            world.clock.sleep(2)

    world = World(tmp_path, take_time)
    world.client.answers = [NO_ANSWER]
    seen = world.execute()
    assert seen.failure is None
    assert seen.answer_before == NO_ANSWER
    assert seen.load is None
    assert seen.phases.load_s is None
    assert not [call for call in world.calls if " load " in call or "stop-load" in call]
    assert START_TIMEOUT_S < (seen.phases.application_s or 0) <= START_TIMEOUT_S + 4
    assert seen.container_after is not None
    assert (world.into / raw.CONTAINER_LOG).exists()
    world.assert_clean()
    assert judge(run(load=COUNTED), FLASK, seen).word == "invalid"


def test_a_contender_that_answers_late_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.client.answers = [NO_ANSWER, NO_ANSWER, answer()]
    seen = world.execute()
    assert seen.answer_before == answer()
    assert seen.load is not None


def test_a_contender_that_has_ended_is_asked_no_more(tmp_path: Path) -> None:
    def take_time(_: FakeHost, what: str) -> None:
        if " ask " in what:
            world.clock.sleep(2)
            if world.clock.now - began > 5:
                world.target.ended |= world.target.containers

    world = World(tmp_path, take_time)
    world.client.answers = [NO_ANSWER]
    began = world.clock.now
    seen = world.execute()
    assert steps(world).count("client ask") == 3
    assert (seen.answer_before, seen.load, seen.failure) == (NO_ANSWER, None, None)
    assert (world.into / raw.CONTAINER_LOG).exists()
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
    assert judge(run(load=COUNTED), FLASK, seen).word == "invalid"


def test_a_contender_that_cannot_be_started_is_a_failure(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.target.engine_says = "docker: port is already allocated"
    seen = world.execute()
    assert (seen.failure or "").startswith("target: port 8001 is in use")
    assert (seen.load, seen.answer_before, seen.phases.start_s) == (None, None, None)
    assert "target: docker rm --force --volumes fwbench-s-r1-0001-flask" in world.calls
    world.assert_clean()


def test_a_load_that_never_leaves_its_file_is_a_failure(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.client.load_takes_s = None
    seen = world.execute(TIMED)
    assert seen.failure == "client: the load left no load.json"
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
    assert (seen.load.exit_status, seen.load.figures) == (1, None)


def test_an_answer_that_the_agent_never_writes_is_a_failure(tmp_path: Path) -> None:
    def garble(host: FakeHost, what: str) -> None:
        if what.endswith("answer.json"):
            host.files[what.removeprefix("get ")] = b"{"

    world = World(tmp_path, garble)
    assert "not what the agent writes" in (world.execute().failure or "")
    world.assert_clean()


def number_of_calls(into: Path) -> int:
    world = World(into)
    world.execute()
    return len(world.calls)


LAST_CALL = 29


def test_the_steps_below_are_all_there_are(tmp_path: Path) -> None:
    assert number_of_calls(tmp_path) == LAST_CALL


@pytest.mark.parametrize("nth", range(1, LAST_CALL + 1))
def test_one_broken_call_is_named_and_everything_is_cleaned_up(tmp_path: Path, nth: int) -> None:
    """A call whose connection is lost is not done; the next one connects anew."""
    broken = []

    def break_nth(host: FakeHost, what: str) -> None:
        host.lost = len(world.calls) == nth
        if host.lost:
            broken.append(what)

    world = World(tmp_path, break_nth)
    seen = world.execute()
    assert f"the connection was lost during `{broken[0]}`" in (seen.failure or "")
    assert seen.load is None  # failure is never a number
    assert judge(run(load=COUNTED), FLASK, seen).word == "invalid"
    left = world.target if broken[0].startswith("rm") and nth == LAST_CALL else world.client
    if broken[0].startswith("rm"):
        left.folders = {str(FOLDER)}  # what could not be removed goes with the session's folder
        left.files = {str(FOLDER / "agent.pyz"): b""}
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
    if seen.failure is not None:
        assert seen.failure.startswith(f"{lost}: the connection was lost")
        assert seen.load is None


def test_the_failure_is_what_went_wrong_first_and_not_what_did_while_cleaning_up(
    tmp_path: Path,
) -> None:
    def lose(host: FakeHost, what: str) -> None:
        if "exists" in what:
            host.lost = True

    world = World(tmp_path, lose)
    assert "during `exists " in (world.execute().failure or "")


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
        world.cancelled = world.cancelled or (" ask " in what and asked_before())

    def asked_before() -> bool:
        return sum(" ask " in call for call in world.calls) > 1

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
    world.client.load_takes_s = TIMED.nominal_s
    world.execute(TIMED)
    assert [call for call in world.calls if " load " in call and "--for=34.0" in call]


# Telemetry


def test_what_both_hosts_did_is_observed(tmp_path: Path) -> None:
    seen = World(tmp_path).execute()
    assert seen.target is not None
    assert seen.client is not None
    assert seen.client.threads[0].cores == pytest.approx(0.2)


def test_a_host_that_leaves_no_telemetry_leaves_the_rest(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.target.samples = False
    seen = world.execute()
    assert seen.failure is None
    assert (seen.target, seen.client is None) == (None, False)
    assert judge(run(load=COUNTED), FLASK, seen).word == "suspect"


def test_the_clocks_of_both_hosts_are_compared(tmp_path: Path) -> None:
    def take_time(_: FakeHost, what: str) -> None:
        if what.startswith("sh "):
            world.clock.sleep(0.01)

    world = World(tmp_path, take_time)
    world.client.ahead_s, world.target.ahead_s = 3.0, -2.0
    clock = world.execute().clock
    assert clock is not None
    assert clock.client_minus_target_s == pytest.approx(5)
    assert clock.uncertainty_s == pytest.approx(0.01)


def test_a_clock_that_cannot_be_read_is_no_failure(tmp_path: Path) -> None:
    def garble(host: FakeHost, what: str) -> None:
        if what.endswith("/clock") and what.startswith("get"):
            host.files[what.removeprefix("get ")] = b"1795406759.%N\n"

    seen = World(tmp_path, garble).execute()
    assert (seen.failure, seen.clock) == (None, None)


def test_the_sampler_is_given_an_end_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.execute(TIMED)
    settle = next(call for call in world.calls if " settle " in call)
    assert f"--sample-for={time_limit_s(TIMED) + 60:g}" in settle
