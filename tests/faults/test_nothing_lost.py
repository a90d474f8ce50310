"""Whatever happens to a session: every planned run once, none lost, none mixed, nothing left.

A few of each here; `make test-long` has as many as `docs/reliability.md` tells of.
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

Befall = Callable[..., InterruptedSession]
LEFT_OUT = 11
NO_SESSION = 10


@pytest.fixture
def befall(program: Program, lab: Lab, sessions: Path) -> Iterator[Befall]:
    begun: list[InterruptedSession] = []

    def begin(blocks: int) -> InterruptedSession:
        begun.append(InterruptedSession(program, lab, sessions, blocks))
        return begun[-1]

    yield begin
    for session in begun:
        session.abort()


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.long)])
def test_the_controller_is_killed_again_and_again(befall: Befall, kills: int) -> None:
    moments = random.Random(kills)  # noqa: S311 - moments, no secrets
    session = befall(blocks=6 if kills < 10 else 40)
    process = session.start("--quiet")
    killed = 0
    while killed < kills:
        time.sleep(moments.uniform(0.1, 6))
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
def test_the_connections_are_cut_again_and_again(befall: Befall, lab: Lab, cuts: int) -> None:
    moments = random.Random(cuts)  # noqa: S311 - moments, no secrets
    session = befall(blocks=6 if cuts < 10 else 25)
    process = session.start("--quiet")
    cut = 0
    while cut < cuts:
        time.sleep(moments.uniform(0.5, 5))
        if process.poll() is not None:
            break
        host = moments.choice(sorted(lab.hosts))
        # A failure means that the session had no connection to this host at that moment.
        lab.exec(host, "sh", "-c", "pkill -KILL -u admin sshd || true")
        cut += 1
    code, said = session.wait()
    assert code in ACCEPTED_EXITS, said
    assert cut == cuts, "the session was over before: give it more blocks"
    session.assert_nothing_lost()
    print(session.summary(f"connections of a host cut {cut} times"))


@pytest.mark.long
def test_the_controllers_network_is_cut_for_a_while(befall: Befall, lab: Lab) -> None:
    """Nothing is refused and nothing arrives, for longer than any command waits in silence."""
    session = befall(blocks=3)
    session.start("--quiet")
    session.await_run(3)
    with frozen_connections(int(str(host["ansible_port"])) for host in lab.hosts.values()):
        time.sleep(75)
    code, said = session.wait()
    if code == LEFT_OUT:
        session.resume()
    else:
        assert code in ACCEPTED_EXITS, said
    session.assert_nothing_lost()
    print(session.summary("network of the controller cut for 75 s"))


@pytest.mark.parametrize("host", ["client-1", "target-1"])
def test_a_host_is_rebooted(befall: Befall, lab: Lab, host: str) -> None:
    session = befall(blocks=3)
    session.start("--quiet")
    session.await_run(3)
    docker("restart", "--time=0", lab.container(host))
    code, said = session.wait()
    if code == LEFT_OUT:  # it was away for too long
        said = session.resume()
    else:
        assert code in ACCEPTED_EXITS, said
    session.assert_nothing_lost()
    print(session.summary(f"{host} rebooted"))


def test_the_engine_is_restarted(befall: Befall, lab: Lab) -> None:
    session = befall(blocks=3)
    session.start("--quiet")
    session.await_run(3)
    lab.run("target-1", "sudo service docker restart")
    code, said = session.wait()
    assert code in ACCEPTED_EXITS, said
    session.assert_nothing_lost()
    print(session.summary("engine restarted"))


@pytest.mark.long
def test_a_host_is_gone_and_the_other_rig_goes_on(befall: Befall, lab: Lab) -> None:
    session = befall(blocks=3)
    session.start("--quiet")
    session.await_run(3)
    docker("stop", "--time=0", lab.container("client-2"))
    try:
        code, said = session.wait()
        assert code == LEFT_OUT
        assert "rig-2: failed 3 times in a row" in said
        of = [record.run.rig for record in session.store.records()]
        assert of.count("rig-1") == 3
        assert of.count("rig-2") < 3
        assert "rig-2" in session.program("report", session.folder, exits=ACCEPTED_EXITS).stdout
        refused = session.resume(exits=5)
        assert "client-2: " in refused
    finally:
        docker("start", lab.container("client-2"))
    session.resume()
    session.assert_nothing_lost()
    print(session.summary("host gone, and back later"))


@pytest.mark.parametrize("host", ["client-1", pytest.param("target-1", marks=pytest.mark.long)])
def test_the_disk_of_a_host_is_full(befall: Befall, lab: Lab, host: str) -> None:
    """Its runs fail and are kept as failed, until its rig is set aside; then there is room."""
    session = befall(blocks=7)
    with small_disk_of(lab.container(host), kibibytes=4096):
        session.start("--quiet")
        session.await_run(4)
        # It is to fail: that is when the disk is full.
        lab.exec(host, "sh", "-c", "cat /dev/zero >/var/tmp/filler 2>/dev/null || true")
        code, said = session.wait()
        lab.exec(host, "rm", "/var/tmp/filler")
        assert code == LEFT_OUT, said
        assert "No space left on device" in said
        failed = [record for record in session.store.records() if record.observation.failure]
        assert {record.run.rig for record in failed} == {"rig-1"}
        assert len(failed) <= 3
        session.resume()
        session.assert_nothing_lost()
        print(session.summary(f"disk of {host} full"))


def test_the_disk_of_the_controller_is_full(befall: Befall, tmp_path: Path) -> None:
    session = befall(blocks=4)
    with small_disk(tmp_path / "small", kibibytes=2400) as disk:
        session.start(sessions=disk)
        session.await_run(3)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"0" * 4096)
        code, said = session.wait()
        assert code == NO_SESSION, said
        assert "No space left on device" in said
        assert "fwbench resume" in said
        session.assert_clean()
        filler.unlink()
        whole = session.store.records()
        session.resume()
        assert session.store.records()[: len(whole)] == whole
        session.assert_nothing_lost()
        print(session.summary("disk of the controller full"))


def test_the_laptop_is_closed_until_its_lease_is_over(befall: Befall, lab: Lab) -> None:
    session = befall(blocks=3)
    process = session.start("--quiet")
    session.await_run(3)
    process.send_signal(signal.SIGSTOP)
    try:
        told = session.program("prune", "-i", lab.inventory).stdout
        assert "kept, still in use: session befallen-" in told
        told = session.program("prune", "-i", lab.inventory, "--force").stdout
        assert ": removed (" in told
        session.assert_clean()
    finally:
        process.send_signal(signal.SIGCONT)
    code, said = session.wait()
    assert code in ACCEPTED_EXITS, said
    assert session.store.lost_attempts()
    session.assert_nothing_lost()
    print(session.summary("controller asleep for longer than its lease"))


def test_two_sessions_cannot_use_one_rig_at_once(befall: Befall, lab: Lab) -> None:
    session = befall(blocks=2)
    session.start("--quiet")
    refused = session.program(
        "run", "smoke", "-i", lab.inventory, "-o", session.sessions, exits=7
    ).stderr
    assert "is in use by session befallen-" in refused
    refused = session.program("teardown", "-i", lab.inventory, exits=7).stderr
    assert "is in use by session befallen-" in refused
    assert "fwbench prune --force" in refused
    code, said = session.wait()
    assert code in ACCEPTED_EXITS, said
    session.assert_nothing_lost()


def test_a_world_that_changed_is_refused_and_its_rest_is_a_new_session(befall: Befall) -> None:
    session = befall(blocks=2)
    process = session.start("--quiet")
    session.await_run(2)
    process.kill()
    process.communicate()
    session.suite.write_text(session.suite.read_text().replace("requests: 200", "requests: 201"))
    refused = session.resume(exits=NO_SESSION)
    assert "befallen.yml has changed: loads" in refused
    assert f"fwbench resume --fork {session.folder}" in refused
    done = session.store.completed_run_ids()
    rest = session.resume("--fork")
    assert "befallen" in rest
    old, new = sorted(session.sessions.glob("befallen-*"))
    session.sessions = new.parent
    assert SessionStore(old).completed_run_ids() == done
    assert SessionStore(new).header().forked_from == old.name
    planned = {run.id for run in SessionStore(old).plan().runs}
    assert {record.run.id for record in SessionStore(new).records()} == planned - done
    session.assert_clean()
