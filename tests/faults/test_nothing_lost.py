"""Interrupted sessions record every planned run exactly once, and leave nothing on the hosts.

Without `-m long`, there are few interruptions of each kind. `make test-long` makes as many as
`docs/reliability.md` reports.
"""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from interruptions import InterruptedSession, frozen_connections, small_disk, small_disk_of
from lab_program import ACCEPTED_EXITS, Lab, Program

from fwbench.providers.lab.docker import docker
from fwbench.storage.store import SessionStore

NewSession = Callable[..., InterruptedSession]
EXIT_RIG_EXCLUDED = 11
EXIT_SESSION_ERROR = 10


@pytest.fixture
def new_session(program: Program, lab: Lab, sessions: Path) -> Iterator[NewSession]:
    """Yield a function that makes a session; at the end, abort sessions that still run."""
    created: list[InterruptedSession] = []

    def create(blocks: int) -> InterruptedSession:
        created.append(InterruptedSession(program, lab, sessions, blocks))
        return created[-1]

    yield create
    for session in created:
        session.abort()


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.long)])
def test_session_survives_kills_of_the_controller(new_session: NewSession, kills: int) -> None:
    rng = random.Random(kills)  # noqa: S311 - not for secrets
    session = new_session(blocks=6 if kills < 10 else 40)
    process = session.start("--quiet")
    killed = 0
    while killed < kills:
        time.sleep(rng.uniform(0.1, 6))
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        killed += 1
        process = session.resume_in_background("--quiet")
    code, _ = session.wait()
    assert code in ACCEPTED_EXITS
    assert killed == kills, "the session was over before: give it more blocks"
    session.assert_nothing_lost()
    print(session.summary(f"controller killed {killed} times"))


@pytest.mark.parametrize("cuts", [2, pytest.param(20, marks=pytest.mark.long)])
def test_session_survives_cut_connections(new_session: NewSession, lab: Lab, cuts: int) -> None:
    rng = random.Random(cuts)  # noqa: S311 - not for secrets
    session = new_session(blocks=6 if cuts < 10 else 25)
    process = session.start("--quiet")
    cut = 0
    while cut < cuts:
        time.sleep(rng.uniform(0.5, 5))
        if process.poll() is not None:
            break
        host = rng.choice(sorted(lab.hosts))
        # A failure means that the session had no connection to this host at that moment.
        lab.exec(host, "sh", "-c", "pkill -KILL -u admin sshd || true")
        cut += 1
    code, output = session.wait()
    assert code in ACCEPTED_EXITS, output
    assert cut == cuts, "the session was over before: give it more blocks"
    session.assert_nothing_lost()
    print(session.summary(f"connections of a host cut {cut} times"))


@pytest.mark.long
def test_session_survives_a_network_outage(new_session: NewSession, lab: Lab) -> None:
    """No connection is refused and no data arrives, for longer than any command waits."""
    session = new_session(blocks=3)
    session.start("--quiet")
    session.await_run(3)
    with frozen_connections(int(str(host["ansible_port"])) for host in lab.hosts.values()):
        time.sleep(75)
    code, output = session.wait()
    if code == EXIT_RIG_EXCLUDED:
        session.resume()
    else:
        assert code in ACCEPTED_EXITS, output
    session.assert_nothing_lost()
    print(session.summary("network of the controller cut for 75 s"))


@pytest.mark.parametrize("host", ["client-1", "target-1"])
def test_session_survives_a_reboot(new_session: NewSession, lab: Lab, host: str) -> None:
    session = new_session(blocks=3)
    session.start("--quiet")
    session.await_run(3)
    docker("restart", "--time=0", lab.container(host))
    code, output = session.wait()
    if code == EXIT_RIG_EXCLUDED:  # the reboot took too long
        output = session.resume()
    else:
        assert code in ACCEPTED_EXITS, output
    session.assert_nothing_lost()
    print(session.summary(f"{host} rebooted"))


def test_session_survives_an_engine_restart(new_session: NewSession, lab: Lab) -> None:
    session = new_session(blocks=3)
    session.start("--quiet")
    session.await_run(3)
    lab.run("target-1", "sudo service docker restart")
    code, output = session.wait()
    assert code in ACCEPTED_EXITS, output
    session.assert_nothing_lost()
    print(session.summary("engine restarted"))


@pytest.mark.long
def test_other_rig_continues_without_a_stopped_host(new_session: NewSession, lab: Lab) -> None:
    session = new_session(blocks=3)
    session.start("--quiet")
    session.await_run(3)
    docker("stop", "--time=0", lab.container("client-2"))
    try:
        code, output = session.wait()
        assert code == EXIT_RIG_EXCLUDED
        assert "rig-2: failed 3 times in a row" in output
        rigs = [record.run.rig for record in session.store.records()]
        assert rigs.count("rig-1") == 3
        assert rigs.count("rig-2") < 3
        assert "rig-2" in session.program("report", session.folder, exits=ACCEPTED_EXITS).stdout
        refused = session.resume(exits=5)
        assert "client-2: " in refused
    finally:
        docker("start", lab.container("client-2"))
    session.resume()
    session.assert_nothing_lost()
    print(session.summary("host gone, and back later"))


@pytest.mark.parametrize("host", ["client-1", pytest.param("target-1", marks=pytest.mark.long)])
def test_session_survives_a_full_disk_of_a_host(
    new_session: NewSession, lab: Lab, host: str
) -> None:
    """The rig's runs are recorded as failed, until it is quarantined. `resume` has space again."""
    session = new_session(blocks=7)
    with small_disk_of(lab.container(host), kibibytes=4096):
        session.start("--quiet")
        session.await_run(4)
        # The command fails when the disk is full.
        lab.exec(host, "sh", "-c", "cat /dev/zero >/var/tmp/filler 2>/dev/null || true")
        code, output = session.wait()
        lab.exec(host, "rm", "/var/tmp/filler")
        assert code == EXIT_RIG_EXCLUDED, output
        assert "No space left on device" in output
        failed = [record for record in session.store.records() if record.observation.failure]
        assert {record.run.rig for record in failed} == {"rig-1"}
        assert len(failed) <= 3
        session.resume()
        session.assert_nothing_lost()
        print(session.summary(f"disk of {host} full"))


def test_session_survives_a_full_disk_of_the_controller(
    new_session: NewSession, tmp_path: Path
) -> None:
    session = new_session(blocks=4)
    with small_disk(tmp_path / "small", kibibytes=2400) as disk:
        session.start(sessions=disk)
        session.await_run(3)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"0" * 4096)
        code, output = session.wait()
        assert code == EXIT_SESSION_ERROR, output
        assert "No space left on device" in output
        assert "fwbench resume" in output
        session.assert_clean()
        filler.unlink()
        recorded = session.store.records()
        session.resume()
        assert session.store.records()[: len(recorded)] == recorded
        session.assert_nothing_lost()
        print(session.summary("disk of the controller full"))


def test_session_survives_suspension_beyond_its_lease(new_session: NewSession, lab: Lab) -> None:
    session = new_session(blocks=3)
    process = session.start("--quiet")
    session.await_run(3)
    process.send_signal(signal.SIGSTOP)
    try:
        stdout = session.program("prune", "-i", lab.inventory).stdout
        assert "kept, still in use: session resumable-" in stdout
        stdout = session.program("prune", "-i", lab.inventory, "--force").stdout
        assert ": removed (" in stdout
        session.assert_clean()
    finally:
        process.send_signal(signal.SIGCONT)
    code, output = session.wait()
    assert code in ACCEPTED_EXITS, output
    assert session.store.lost_attempts()
    session.assert_nothing_lost()
    print(session.summary("controller asleep for longer than its lease"))


def test_two_sessions_cannot_use_one_rig(new_session: NewSession, lab: Lab) -> None:
    session = new_session(blocks=2)
    session.start("--quiet")
    refused = session.program(
        "run", "smoke", "-i", lab.inventory, "-o", session.sessions, exits=7
    ).stderr
    assert "is in use by session resumable-" in refused
    refused = session.program("teardown", "-i", lab.inventory, exits=7).stderr
    assert "is in use by session resumable-" in refused
    assert "fwbench prune --force" in refused
    code, output = session.wait()
    assert code in ACCEPTED_EXITS, output
    session.assert_nothing_lost()


def test_changed_suite_is_refused_and_can_be_forked(new_session: NewSession) -> None:
    session = new_session(blocks=2)
    process = session.start("--quiet")
    session.await_run(2)
    process.kill()
    process.communicate()
    session.suite.write_text(session.suite.read_text().replace("requests: 200", "requests: 201"))
    refused = session.resume(exits=EXIT_SESSION_ERROR)
    assert "resumable.yml has changed: loads" in refused
    assert f"fwbench resume --fork {session.folder}" in refused
    completed = session.store.completed_run_ids()
    output = session.resume("--fork")
    assert "resumable" in output
    old, new = sorted(session.sessions.glob("resumable-*"))
    session.sessions = new.parent
    assert SessionStore(old).completed_run_ids() == completed
    assert SessionStore(new).header().forked_from == old.name
    planned = {run.id for run in SessionStore(old).plan().runs}
    assert {record.run.id for record in SessionStore(new).records()} == planned - completed
    session.assert_clean()
