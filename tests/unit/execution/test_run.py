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


class Harness:
    """A rig at the start of a run, and all calls to its hosts, in order."""

    def __init__(
        self,
        folder: Path,
        on_call: OnCall = lambda *_: None,
        clients: tuple[str, ...] = ("client",),
    ) -> None:
        self.folder = folder / "run"
        self.clock = Clock()
        self.calls: list[str] = []
        self.cancelled = False
        self.on_call = on_call
        self.target, *self.clients = (
            FakeHost(name, self.clock, self._record_call) for name in ("target", *clients)
        )
        self.client = self.clients[0]
        for host in self.hosts:
            host.folders.add(str(FOLDER))
            host.files[str(FOLDER / "agent.pyz")] = b"the agent"

    @property
    def hosts(self) -> tuple[FakeHost, ...]:
        return self.target, *self.clients

    def execute(self, load: Load = COUNTED) -> Observation:
        context = RigContext(
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
            run(load=load), load, FLASK, "sha256:0", START_TIMEOUT_S, context, self.folder
        )

    def assert_clean(self) -> None:
        for host in self.hosts:
            assert host.folders == {str(FOLDER)}
            assert set(host.files) == {str(FOLDER / "agent.pyz")}
            assert host.containers == set()
            assert host.loads == {}

    def _record_call(self, host: FakeHost, call: str) -> None:
        self.calls.append(f"{host.name}: {call}")
        self.on_call(host, call)


def only_client(observation: Observation) -> ClientObservation:
    (client,) = observation.clients
    return client


def short_calls(harness: Harness) -> list[str]:
    """Return the calls without their arguments: host, command, and file name if any."""
    shortened = []
    for call in harness.calls:
        host, _, command = call.partition(": ")
        argv = [argument for argument in command.split() if argument not in ("python3", "-I")]
        is_agent = argv[0].endswith("/agent.pyz")
        verb = argv[1] if is_agent else " ".join(argv[:2]) if argv[0] == "docker" else argv[0]
        name = PurePosixPath(argv[-1]).name if verb in ("get", "exists") else ""
        shortened.append(f"{host} {verb} {name}".strip())
    return shortened


# Successful runs


def test_successful_run_has_everything_that_a_verdict_needs(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.client.load_takes_s = 3.5
    observation = harness.execute()
    assert observation.failure is None
    assert (
        only_client(observation).answer_before == only_client(observation).answer_after == answer()
    )
    assert observation.container_before == container(idle_wait_s=0.2, reached_idle=True)
    assert observation.container_after == container(idle_wait_s=None, reached_idle=None)
    assert observation.load is not None
    assert observation.load.summary is not None
    assert observation.load.summary.requests_done == 1000
    assert observation.load.log is not None
    assert observation.load.log.rows == 1000
    assert evaluate_run(run(load=COUNTED), FLASK, observation).status == "valid"


def test_phases_separate_start_readiness_and_load(tmp_path: Path) -> None:
    def take_time(_: FakeHost, call: str) -> None:
        if "docker run" in call:
            harness.clock.sleep(0.5)
        elif " probe " in call:
            harness.clock.sleep(1.3)

    harness = Harness(tmp_path, take_time)
    harness.client.load_takes_s = 3.5
    phases = harness.execute().phases
    assert phases.start_s == pytest.approx(0.5)
    assert phases.ready_s == pytest.approx(1.3 + 0.2)  # time until the answer, and time until idle
    assert phases.load_s == 3.5
    assert phases.total_s == pytest.approx(0.5 + 1.3 + 3.5, abs=0.2)


def test_successful_run_makes_its_calls_in_order(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.execute()
    assert short_calls(harness) == [
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


def test_successful_run_leaves_its_raw_files_and_clean_hosts(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.execute()
    run_files = [
        files.COMMANDS,
        files.CLOCKS,
        protocol.CONTAINER_BEFORE,
        protocol.CONTAINER_AFTER,
        protocol.CONTAINER_LOG,
        protocol.TELEMETRY_TARGET,
    ]
    client_files = [
        files.ANSWER_BEFORE,
        protocol.LOAD_EXIT,
        protocol.LOAD_OUTPUT,
        protocol.LOAD_ERRORS,
        protocol.LATENCY_COUNTS,
        protocol.LOG_SUMMARY,
        protocol.TELEMETRY_CLIENT,
    ]
    assert {str(path.relative_to(harness.folder)) for path in harness.folder.rglob("*.*")} == {
        *run_files,
        *(f"client-1/{name}" for name in client_files),
    }
    harness.assert_clean()


def test_command_that_uses_the_session_folder_first_enters_it(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.execute()
    commands = [each for host in harness.hosts for each in host.within]
    in_session_folder = [
        (command, within) for command, within in commands if str(FOLDER) in command
    ]
    assert len(in_session_folder) > 8
    assert [command for command, within in in_session_folder if within != FOLDER] == []


def test_executed_commands_are_stored(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.execute()
    commands = json.loads((harness.folder / files.COMMANDS).read_text())
    assert commands["contender"][:2] == ["docker", "run"]
    assert commands["contender"][-1] == "sha256:0"
    (load,) = commands["load"]
    assert load["client"] == "client"
    assert load["argv"][0] == "h2load"
    assert f"client: python3 -I {FOLDER}/agent.pyz load" in "\n".join(harness.calls)
    assert " ".join(load["argv"]) in next(call for call in harness.calls if " load " in call)


def test_hosts_receive_no_call_during_a_timed_load(tmp_path: Path) -> None:
    """Calls would take CPU time from the measurement."""
    call_times_s = []

    def note_time(host: FakeHost, _: str) -> None:
        if host.loads:
            call_times_s.append(harness.clock.now - start)

    harness = Harness(tmp_path, note_time)
    harness.client.load_takes_s = TIMED.nominal_duration_s
    start = harness.clock.now
    assert harness.execute(TIMED).failure is None
    assert TIMED.nominal_duration_s is not None
    assert min(call_times_s) >= TIMED.nominal_duration_s * 0.97


# Failures


def test_contender_that_never_answers_gets_no_load(tmp_path: Path) -> None:
    def take_time(_: FakeHost, call: str) -> None:
        if " probe " in call:
            harness.clock.sleep(2)

    harness = Harness(tmp_path, take_time)
    harness.client.answers = [NO_ANSWER]
    observation = harness.execute()
    assert observation.failure is None
    assert only_client(observation).answer_before == NO_ANSWER
    assert observation.load is None
    assert observation.phases.load_s is None
    assert not [call for call in harness.calls if " load " in call or "stop-load" in call]
    assert START_TIMEOUT_S < (observation.phases.ready_s or 0) <= START_TIMEOUT_S + 4
    assert observation.container_after is not None
    assert (harness.folder / protocol.CONTAINER_LOG).exists()
    harness.assert_clean()
    assert evaluate_run(run(load=COUNTED), FLASK, observation).status == "invalid"


def test_run_waits_for_a_contender_that_answers_late(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.client.answers = [NO_ANSWER, NO_ANSWER, answer()]
    observation = harness.execute()
    assert only_client(observation).answer_before == answer()
    assert observation.load is not None


def test_contender_that_has_exited_is_not_probed_again(tmp_path: Path) -> None:
    def take_time(_: FakeHost, call: str) -> None:
        if " probe " in call:
            harness.clock.sleep(2)
            if harness.clock.now - start > 5:
                harness.target.ended |= harness.target.containers

    harness = Harness(tmp_path, take_time)
    harness.client.answers = [NO_ANSWER]
    start = harness.clock.now
    observation = harness.execute()
    assert short_calls(harness).count("client probe") == 3
    assert (only_client(observation).answer_before, observation.load, observation.failure) == (
        NO_ANSWER,
        None,
        None,
    )
    assert (harness.folder / protocol.CONTAINER_LOG).exists()
    harness.assert_clean()


def test_container_state_is_queried_only_after_a_failed_probe(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.client.answers = [NO_ANSWER, answer()]
    harness.execute()
    assert sum("{{.State.Running}}" in call for call in harness.calls) == 1


def test_contender_that_breaks_the_contract_still_gets_load(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.client.answers = [answer(status=500)]
    observation = harness.execute()
    assert observation.load is not None
    assert evaluate_run(run(load=COUNTED), FLASK, observation).status == "invalid"


def test_start_error_is_a_failure(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.target.engine_says = "docker: port is already allocated"
    observation = harness.execute()
    assert (observation.failure or "").startswith("target: port 8001 is in use")
    assert (
        observation.load,
        only_client(observation).answer_before,
        observation.phases.start_s,
    ) == (None, None, None)
    assert "target: docker rm --force --volumes fwbench-s-r1-0001-flask" in harness.calls
    harness.assert_clean()


def test_load_that_never_writes_its_result_is_a_failure(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.client.load_takes_s = None
    observation = harness.execute(TIMED)
    assert "client: the agent did not write load.json" in (observation.failure or "")
    assert observation.load is None
    assert harness.clock.now - 1000 < time_limit_s(TIMED) + 60
    harness.assert_clean()


def test_load_generator_error_is_not_a_failed_run(tmp_path: Path) -> None:
    """The checks judge its output, so the run keeps it."""
    harness = Harness(tmp_path)
    harness.client.load_ends = {"exit_status": 1, "timed_out": False}
    harness.client.output = "no such option\n"
    observation = harness.execute()
    assert observation.failure is None
    assert observation.load is not None
    assert (observation.load.exit_status, observation.load.summary) == (1, None)


def test_malformed_answer_file_is_a_failure(tmp_path: Path) -> None:
    def garble(host: FakeHost, call: str) -> None:
        if call.endswith("answer.json"):
            host.files[call.removeprefix("get ")] = b"{"

    harness = Harness(tmp_path, garble)
    assert "malformed" in (harness.execute().failure or "")
    harness.assert_clean()


def number_of_calls(folder: Path) -> int:
    harness = Harness(folder)
    harness.execute()
    return len(harness.calls)


LAST_CALL = 29


def test_last_call_is_the_number_of_calls(tmp_path: Path) -> None:
    assert number_of_calls(tmp_path) == LAST_CALL


def lose(harness: Harness, nth: int) -> OnCall:
    """Return a callback that loses the connection during one call, before it takes effect."""

    def on_call(host: FakeHost, _: str) -> None:
        host.lost = len(harness.calls) == nth

    return on_call


# fwbench does not repeat these calls, because the lost one may have taken effect.
NOT_REPEATED = ("acquire", "sh", "docker run", "wait-idle", "load")


@pytest.mark.parametrize("nth", range(1, LAST_CALL + 1))
def test_lost_connection_delays_or_fails_the_run(tmp_path: Path, nth: int) -> None:
    harness = Harness(tmp_path)
    harness.on_call = lose(harness, nth)
    undisturbed = Harness(tmp_path / "whole").execute()
    observation = harness.execute()
    host, _, call = short_calls(harness)[nth - 1].partition(" ")
    if call in NOT_REPEATED:
        assert (observation.failure or "").startswith(f"{host}: the connection was lost")
        # A failed run has no numbers.
        assert (observation.load, observation.infrastructure_failure) == (None, True)
        assert evaluate_run(run(load=COUNTED), FLASK, observation).status == "invalid"
    else:
        assert (observation.failure, observation.infrastructure_failure) == (None, False)
        assert observation.load == undisturbed.load
        assert observation.container_after == undisturbed.container_after
        assert harness.clock.now - 1000 < 5
    harness.assert_clean()


@pytest.mark.parametrize("lost", ["target", "client"])
@pytest.mark.parametrize("nth", range(1, LAST_CALL + 1))
def test_lost_host_does_not_prevent_cleanup_of_the_other(
    tmp_path: Path, lost: str, nth: int
) -> None:
    def lose(_: FakeHost, __: str) -> None:
        if len(harness.calls) == nth:
            next(host for host in harness.hosts if host.name == lost).lost = True

    harness = Harness(tmp_path, lose)
    observation = harness.execute()
    other = harness.client if lost == "target" else harness.target
    assert other.folders == {str(FOLDER)}
    assert (other.containers, other.loads) == (set(), {})
    assert harness.clock.now - 1000 < RECONNECT_TIMEOUT_S + 5
    if observation.failure is not None:
        assert observation.failure.startswith(f"{lost}: the connection was lost")
        assert (observation.load, observation.infrastructure_failure) == (None, True)


def test_host_lost_after_all_files_are_fetched_is_not_a_failure(tmp_path: Path) -> None:
    def lose(host: FakeHost, call: str) -> None:
        host.lost = host.lost or call.startswith("rm")

    observation = Harness(tmp_path, lose).execute()
    assert (observation.failure, observation.infrastructure_failure) == (None, False)
    assert observation.load is not None


def test_failure_is_the_first_error_and_not_that_of_the_cleanup(
    tmp_path: Path,
) -> None:
    def lose(host: FakeHost, call: str) -> None:
        if "exists" in call:
            host.lost = True

    harness = Harness(tmp_path, lose)
    assert "during `exists " in (harness.execute().failure or "")


@pytest.mark.parametrize("away_s", [5, 55])
def test_load_continues_while_its_client_is_unreachable(tmp_path: Path, away_s: float) -> None:
    """The reconnect timeout starts at the planned end of the load, not at the disconnection."""

    def lose(host: FakeHost, _: str) -> None:
        host.lost = bool(host.loads) and harness.clock.now < 1000 + 600 + away_s

    harness = Harness(tmp_path, lose)
    load = Load(connections=10, duration_s=600)
    harness.client.load_takes_s = 600
    observation = harness.execute(load)
    assert (observation.failure, observation.infrastructure_failure) == (None, False)
    assert observation.load is not None
    assert 600 + away_s <= harness.clock.now - 1000 < 600 + away_s + 5
    harness.assert_clean()


def test_run_fails_after_the_reconnect_timeout(tmp_path: Path) -> None:
    def lose(host: FakeHost, call: str) -> None:
        host.lost = host.lost or "finish" in call

    harness = Harness(tmp_path, lose)
    observation = harness.execute()
    assert (observation.failure or "").startswith("target: the connection was lost during")
    assert observation.infrastructure_failure
    assert RECONNECT_TIMEOUT_S <= harness.clock.now - 1000 < RECONNECT_TIMEOUT_S + 5


def test_cancellation_ends_the_wait_for_a_lost_host(tmp_path: Path) -> None:
    def lose(host: FakeHost, call: str) -> None:
        if "finish" in call:
            host.lost = harness.cancelled = True

    harness = Harness(tmp_path, lose)
    with pytest.raises(CancelledError):
        harness.execute()
    assert harness.clock.now - 1000 < 2


def test_repeated_finish_after_a_lost_connection_succeeds(
    tmp_path: Path,
) -> None:
    """The host executed the command, but the connection was lost before its exit status arrived."""
    lost_calls = []

    def lose(host: FakeHost, call: str) -> None:
        if "finish" in call and not lost_calls:
            lost_calls.append(call)
            host.perform(call)
            host.lost = True
        else:
            host.lost = False

    harness = Harness(tmp_path, lose)
    observation = harness.execute()
    assert sum("finish" in call for call in harness.calls) == 2
    assert (observation.failure, observation.infrastructure_failure) == (None, False)
    assert observation.container_after == container(idle_wait_s=None, reached_idle=None)
    harness.assert_clean()


def reboot(host: FakeHost) -> None:
    """Reboot a host: files remain, loads are gone, and containers have exited."""
    host.loads.clear()
    host.ended |= host.containers


@pytest.mark.parametrize("which", ["target", "client"])
def test_reboot_during_a_run_is_an_infrastructure_failure(tmp_path: Path, which: str) -> None:
    rebooted = []

    def reboot_once(host: FakeHost, _: str) -> None:
        if harness.client.loads and not rebooted:
            rebooted.extend(candidate for candidate in harness.hosts if candidate.name == which)
            reboot(rebooted[0])
            rebooted[0].lost = True
        elif host in rebooted:
            host.lost = sum(call.startswith(which) for call in harness.calls) % 3 == 0

    harness = Harness(tmp_path, reboot_once)
    harness.client.load_takes_s = 3
    observation = harness.execute(TIMED)
    assert observation.failure is not None
    assert (observation.load, observation.infrastructure_failure) == (None, True)


def test_container_exit_is_not_an_infrastructure_failure(
    tmp_path: Path,
) -> None:
    def end(host: FakeHost, call: str) -> None:
        if "finish" in call:
            host.ended |= host.containers

    observation = Harness(tmp_path, end).execute()
    assert (observation.failure, observation.infrastructure_failure) == (None, False)
    assert observation.container_after is not None
    assert not observation.container_after.running


@pytest.mark.parametrize(
    "stderr", ["docker: port is already allocated", "Unable to find image: No such image"]
)
def test_start_error_is_not_an_infrastructure_failure(tmp_path: Path, stderr: str) -> None:
    harness = Harness(tmp_path)
    harness.target.engine_says = stderr
    observation = harness.execute()
    assert (observation.failure is None, observation.infrastructure_failure) == (False, False)


# Cancellation


@pytest.mark.parametrize("nth", range(1, LAST_CALL + 1))
def test_cancelled_run_raises_and_leaves_clean_hosts(tmp_path: Path, nth: int) -> None:
    """After the end of the load, the run is completed instead, which takes no longer."""

    def cancel(_: FakeHost, __: str) -> None:
        harness.cancelled = harness.cancelled or len(harness.calls) == nth

    harness = Harness(tmp_path, cancel)
    load_ended = nth >= 13  # the call that finds load.json
    if load_ended:
        assert harness.execute().failure is None
    else:
        with pytest.raises(CancelledError):
            harness.execute()
    harness.assert_clean()


def test_cancelled_load_is_stopped_early(tmp_path: Path) -> None:
    def cancel(_: FakeHost, call: str) -> None:
        harness.cancelled = harness.cancelled or " load " in call

    harness = Harness(tmp_path, cancel)
    harness.client.load_takes_s = 3600
    start = harness.clock.now
    with pytest.raises(CancelledError):
        harness.execute(Load(connections=10, duration_s=3600))
    assert harness.clock.now - start < 1
    assert "client stop-load" in short_calls(harness)
    harness.assert_clean()


def test_wait_for_an_answer_can_be_cancelled(tmp_path: Path) -> None:
    def cancel(_: FakeHost, call: str) -> None:
        harness.cancelled = harness.cancelled or (" probe " in call and already_probed())

    def already_probed() -> bool:
        return sum(" probe " in call for call in harness.calls) > 1

    harness = Harness(tmp_path, cancel)
    harness.client.answers = [NO_ANSWER]
    with pytest.raises(CancelledError):
        harness.execute()
    harness.assert_clean()


def test_cancelled_run_stays_cancelled_if_cleanup_fails(tmp_path: Path) -> None:
    def cancel(host: FakeHost, call: str) -> None:
        if " load " in call:
            harness.cancelled = True
        elif call.startswith("rm"):
            host.lost = True

    harness = Harness(tmp_path, cancel)
    harness.client.load_takes_s = 3600
    with pytest.raises(CancelledError):
        harness.execute(TIMED)


# Time limits


@pytest.mark.parametrize(("load", "limit_s"), [(TIMED, 34.0), (COUNTED, 120.0)])
def test_time_limit_exceeds_the_duration_of_the_load(load: Load, limit_s: float) -> None:
    assert time_limit_s(load) == limit_s


def test_agent_receives_the_time_limit(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.client.load_takes_s = TIMED.nominal_duration_s
    harness.execute(TIMED)
    assert [call for call in harness.calls if " load " in call and "--time-limit-s=34.0" in call]


@pytest.mark.parametrize(("load", "lasts_s"), [(TIMED, 34 + 4), (COUNTED, 120)])
def test_lease_of_a_run_expires_a_few_minutes_after_it(
    tmp_path: Path, load: Load, lasts_s: float
) -> None:
    harness = Harness(tmp_path)
    harness.client.load_takes_s = load.nominal_duration_s
    harness.execute(load)
    acquire_calls = [call for call in harness.calls if " acquire " in call]
    assert len(acquire_calls) == 2
    for call in acquire_calls:
        assert f"--lease-s={2 * START_TIMEOUT_S + lasts_s + 180}" in call.split()


class HugeFile(bytes):
    """A file that reports a size without having the content."""

    def __len__(self) -> int:
        return self.size

    def __new__(cls, size: int) -> "HugeFile":
        instance = super().__new__(cls)
        instance.size = size
        return instance

    size: int


@pytest.mark.parametrize(
    ("name", "mib"),
    [
        *[("answer.json", 16), ("container-before.json", 16), ("load.json", 16)],
        *[("loadgen.out", 16), ("loadgen.err", 16), ("log.json", 16), ("container.log", 16)],
        *[("counts.gz", 256), ("telemetry-client.json", 64), ("telemetry-target.json", 64)],
    ],
)
def test_file_larger_than_its_limit_is_not_fetched(tmp_path: Path, name: str, mib: int) -> None:
    def enlarge(host: FakeHost, call: str) -> None:
        if call.startswith("get ") and call.endswith(f"/{name}"):
            host.files[call.removeprefix("get ")] = HugeFile(size)

    size = mib << 20
    observation = Harness(tmp_path / "most", enlarge).execute()
    assert "more than fwbench fetches" not in (observation.failure or "")
    size += 1
    observation = Harness(tmp_path / "more", enlarge).execute()
    assert f"/{name} has {size} bytes, more than fwbench fetches" in (observation.failure or "")


# Telemetry


def test_telemetry_of_both_hosts_is_observed(tmp_path: Path) -> None:
    observation = Harness(tmp_path).execute()
    assert observation.target is not None
    usage = only_client(observation).usage
    assert usage is not None
    assert usage.threads[0].cores == pytest.approx(0.2)


def test_missing_telemetry_of_a_host_does_not_fail_the_run(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.target.samples = False
    observation = harness.execute()
    assert observation.failure is None
    assert (observation.target, only_client(observation).usage is None) == (None, False)
    assert evaluate_run(run(load=COUNTED), FLASK, observation).status == "suspect"


def test_clocks_of_both_hosts_are_compared(tmp_path: Path) -> None:
    def take_time(_: FakeHost, call: str) -> None:
        if call.startswith("sh "):
            harness.clock.sleep(0.01)

    harness = Harness(tmp_path, take_time)
    harness.client.ahead_s, harness.target.ahead_s = 3.0, -2.0
    clock = only_client(harness.execute()).clock
    assert clock is not None
    assert clock.client_minus_target_s == pytest.approx(5)
    assert clock.uncertainty_s == pytest.approx(0.01)


def test_unreadable_clock_is_not_a_failure(tmp_path: Path) -> None:
    def garble(host: FakeHost, call: str) -> None:
        if call.endswith("/clock") and call.startswith("get"):
            host.files[call.removeprefix("get ")] = b"1795406759.%N\n"

    observation = Harness(tmp_path, garble).execute()
    assert (observation.failure, only_client(observation).clock) == (None, None)


def test_sampler_receives_a_time_limit(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.execute(TIMED)
    wait_idle = next(call for call in harness.calls if " wait-idle " in call)
    assert f"--sampling-limit-s={time_limit_s(TIMED) + 60}" in wait_idle


# Several clients

CLIENT_NAMES = ("near", "a/../strange name")
SHARED_LOAD = Load(connections=10, duration_s=1)


def shared_log(client: FakeHost, *, late_us: int = 0, rows: int = 1000) -> str:
    return log_of(STARTED_US + round(client.ahead_s * 1e6) + late_us, rows)


def test_clients_share_one_load_and_their_counts_are_added(tmp_path: Path) -> None:
    harness = Harness(tmp_path, clients=CLIENT_NAMES)
    observation = harness.execute(SHARED_LOAD)
    assert observation.failure is None
    assert [client.host for client in observation.clients] == list(CLIENT_NAMES)
    loads = [client.load for client in observation.clients]
    rows = [load.log.rows for load in loads if load and load.log]
    assert len(rows) == 2
    assert observation.load is not None
    assert observation.load.log is not None
    assert observation.load.summary is not None
    assert observation.load.log.rows == sum(rows) == 2000
    assert observation.load.log.successful_rows == 2000
    assert sum(second.completions for second in observation.load.log.per_second) == 2000
    assert observation.load.log.completions_per_100ms == (196, *[200] * 9, 4)
    assert observation.load.summary.requests_done == 2000
    commands = json.loads((harness.folder / files.COMMANDS).read_text())["load"]
    assert [command["client"] for command in commands] == list(CLIENT_NAMES)
    assert all("-c5" in command["argv"] for command in commands)
    assert (harness.folder / "client-1" / protocol.LOAD_EXIT).exists()
    assert (harness.folder / "client-2" / protocol.LOAD_EXIT).exists()
    assert list(tmp_path.rglob("*strange*")) == []
    harness.assert_clean()


def test_every_client_verifies_the_contract(tmp_path: Path) -> None:
    harness = Harness(tmp_path, clients=CLIENT_NAMES)
    harness.clients[1].answers = [answer(body="nonsense"), answer()]
    observation = harness.execute(SHARED_LOAD)
    assert [client.answer_before for client in observation.clients] == [
        answer(),
        answer(body="nonsense"),
    ]
    evidence = {
        f.code: f.evidence for f in evaluate_run(run(load=SHARED_LOAD), FLASK, observation).findings
    }
    assert evidence["contract-broken"].startswith(f"on {CLIENT_NAMES[1]}, before the load, GET /")


def test_target_that_one_client_cannot_reach_gets_no_load(tmp_path: Path) -> None:
    harness = Harness(tmp_path, clients=CLIENT_NAMES)
    harness.clients[1].answers = [NO_ANSWER]
    observation = harness.execute(SHARED_LOAD)
    assert (observation.failure, observation.load) == (None, None)
    assert not [call for call in harness.calls if " load " in call]
    evidence = {
        f.code: f.evidence for f in evaluate_run(run(load=SHARED_LOAD), FLASK, observation).findings
    }
    assert evidence["never-ready"].startswith(
        f"on {CLIENT_NAMES[1]}, the application did not answer"
    )


def test_clients_start_together_by_their_own_clocks(tmp_path: Path) -> None:
    harness = Harness(tmp_path, clients=CLIENT_NAMES)
    harness.clients[0].ahead_s, harness.clients[1].ahead_s = -40.0, 700.0
    harness.execute(SHARED_LOAD)
    commands = [call.split() for call in harness.calls if " load " in call]
    argvs = {call[0].rstrip(":"): call for call in commands}
    start_times_s = [
        float(next(arg for arg in argvs[name.split()[0]] if arg.startswith("--start-at-s="))[13:])
        for name in CLIENT_NAMES
    ]
    assert start_times_s[1] - start_times_s[0] == pytest.approx(740)
    assert start_times_s[0] > 1000 - 40


def test_only_the_overlap_of_all_clients_counts(tmp_path: Path) -> None:
    """Their clocks differ by minutes, which is corrected."""
    harness = Harness(tmp_path, clients=CLIENT_NAMES)
    first, second = harness.clients
    first.ahead_s, second.ahead_s = 3.0, -200.0
    first.log, second.log = shared_log(first), shared_log(second, late_us=30_000)
    observation = harness.execute(SHARED_LOAD)
    assert observation.overlap is not None
    assert observation.overlap.skew_s == pytest.approx(0.03)
    assert observation.overlap.overlap_s == pytest.approx(0.999 + 0.002 - 0.03)
    assert observation.overlap_s == observation.overlap.overlap_s
    rows = [client.load.log for client in observation.clients if client.load]
    assert [(log.rows, log.rows_outside_window) for log in rows if log] == [(970, 30), (970, 30)]
    assert observation.load is not None
    assert observation.load.log is not None
    assert observation.load.log.rows == 1940


def test_clients_that_start_too_far_apart_are_reported(tmp_path: Path) -> None:
    harness = Harness(tmp_path, clients=CLIENT_NAMES)
    harness.clients[1].log = shared_log(harness.clients[1], late_us=60_000)
    verdict = evaluate_run(run(load=SHARED_LOAD), FLASK, harness.execute(SHARED_LOAD))
    evidence = {f.code: f.evidence for f in verdict.findings}
    assert verdict.status == "invalid"
    assert (
        evidence["client-skew"]
        == f"{CLIENT_NAMES[1]} began 60 ms after near (± 0 ms; threshold: 50 ms)"
    )


def test_client_that_ends_early_makes_the_overlap_too_short(tmp_path: Path) -> None:
    harness = Harness(tmp_path, clients=CLIENT_NAMES)
    harness.clients[0].log = shared_log(harness.clients[0], rows=500)
    observation = harness.execute(SHARED_LOAD)
    evidence = {
        f.code: f.evidence for f in evaluate_run(run(load=SHARED_LOAD), FLASK, observation).findings
    }
    assert evidence["short-overlap"].endswith("for 0.50 s of 1.00 s (threshold: 90 %)")


def test_client_without_any_response_is_named(tmp_path: Path) -> None:
    harness = Harness(tmp_path, clients=CLIENT_NAMES)
    harness.clients[1].log = ""
    harness.clients[1].output = (SAMPLES / "1.52" / "refused.out").read_text()
    observation = harness.execute(SHARED_LOAD)
    assert observation.failure is None
    evidence = {
        f.code: f.evidence for f in evaluate_run(run(load=SHARED_LOAD), FLASK, observation).findings
    }
    assert evidence["nothing-done"] == f"on {CLIENT_NAMES[1]}, no request was answered"


def test_artifacts_of_several_clients_give_the_same_observation(tmp_path: Path) -> None:
    harness = Harness(tmp_path, clients=CLIENT_NAMES)
    harness.clients[1].ahead_s = 5.0
    observation = harness.execute(SHARED_LOAD)
    stored = artifacts.read_artifacts(harness.folder, SHARED_LOAD)
    assert (stored.load, stored.clients, stored.overlap) == (
        observation.load,
        observation.clients,
        observation.overlap,
    )


def test_unreadable_clocks_of_several_clients_are_a_failure(tmp_path: Path) -> None:
    def garble(host: FakeHost, call: str) -> None:
        if call.endswith("/clock") and call.startswith("get"):
            host.files[call.removeprefix("get ")] = b"1795406759.%N\n"

    harness = Harness(tmp_path, garble, CLIENT_NAMES)
    observation = harness.execute(SHARED_LOAD)
    assert "clocks could not be read" in (observation.failure or "")
    assert (observation.load, observation.infrastructure_failure) == (None, False)
    harness.assert_clean()


def test_more_clients_than_connections_are_a_failure(tmp_path: Path) -> None:
    harness = Harness(tmp_path, clients=CLIENT_NAMES)
    load = Load(connections=1, duration_s=1)
    observation = harness.execute(load)
    assert (observation.failure or "").startswith(
        "a load of 1 connections cannot be divided among 2"
    )
    assert harness.calls == []
    assert evaluate_run(run(load=load), FLASK, observation).status == "invalid"


def test_lost_connection_with_two_clients_delays_or_fails_the_run(tmp_path: Path) -> None:
    undisturbed = Harness(tmp_path / "whole", clients=CLIENT_NAMES)
    expected = undisturbed.execute(SHARED_LOAD)
    outcomes = set()
    for nth in range(1, len(undisturbed.calls) + 1):
        harness = Harness(tmp_path / str(nth), clients=CLIENT_NAMES)
        harness.on_call = lose(harness, nth)
        observation = harness.execute(SHARED_LOAD)
        if observation.failure is None:
            assert (observation.load, observation.infrastructure_failure) == (expected.load, False)
        else:
            assert (observation.load, observation.infrastructure_failure) == (None, True)
        harness.assert_clean()
        outcomes.add(observation.infrastructure_failure)
    assert outcomes == {False, True}


@pytest.mark.parametrize("repeatable", [" reduce ", "exists ", "get ", " probe ", " finish "])
def test_repeatable_calls_survive_a_lost_connection_of_each_client(
    tmp_path: Path, repeatable: str
) -> None:
    lost: set[str] = set()

    def lose(host: FakeHost, call: str) -> None:
        host.lost = repeatable in call and host.name not in lost
        if host.lost:
            lost.add(host.name)

    harness = Harness(tmp_path, lose, CLIENT_NAMES)
    observation = harness.execute(SHARED_LOAD)
    assert lost
    assert (observation.failure, observation.infrastructure_failure) == (None, False)
    assert (
        observation.load
        == Harness(tmp_path / "whole", clients=CLIENT_NAMES).execute(SHARED_LOAD).load
    )
    harness.assert_clean()


def test_cancelled_load_is_stopped_on_all_clients(tmp_path: Path) -> None:
    def cancel(_: FakeHost, call: str) -> None:
        harness.cancelled = harness.cancelled or " load " in call

    harness = Harness(tmp_path, cancel, CLIENT_NAMES)
    for client in harness.clients:
        client.load_takes_s = 3600
    with pytest.raises(CancelledError):
        harness.execute(Load(connections=10, duration_s=3600))
    harness.assert_clean()


def test_unwritable_run_folder_is_a_session_error(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    (tmp_path / "run").write_text("in the way of the run's folder")
    with pytest.raises(
        SessionError, match=f"{tmp_path}/run: cannot be written: File exists; free disk space"
    ):
        harness.execute()
    harness.assert_clean()


def test_failure_to_store_a_file_is_a_session_error(tmp_path: Path) -> None:
    def refuse(_: FakeHost, call: str) -> None:
        if call.startswith("get ") and call.endswith("load.json"):
            raise SessionError("load.json: No space left on device")

    harness = Harness(tmp_path, refuse)
    with pytest.raises(SessionError, match="No space left"):
        harness.execute()
    harness.assert_clean()
