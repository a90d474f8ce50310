"""A host is entered, held, left and cleaned: the agent's own program, on folders of these tests."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_environment import Agent, Sleeper, await_end, await_file, is_alive

from fwbench.agent import cleanup, lease, state

HELD_BY_ANOTHER = 75
LONG_S = 60.0
BEGIN = ("--owner=me", f"--lease-s={LONG_S}")


class Host:
    """A place for sessions' folders, and what its engine is asked."""

    def __init__(self, place: Path, kept: Path, agent: Agent, path: str) -> None:
        self.place, self.kept, self._agent, self._path = place, kept, agent, path

    def folder(self, session: str) -> Path:
        made = self.place / f"fwbench-session-{session}"
        made.mkdir(mode=0o700)
        return made

    def begin(
        self, folder: Path, *, run: str | None = None, for_s: float = LONG_S, owner: str = "me"
    ) -> int:
        options = [f"--owner={owner}", f"--lease-s={for_s}", *([f"--run={run}"] if run else [])]
        return self._ask("acquire", *options, str(folder))

    def leave(self, folder: Path) -> int:
        return self._ask("release", str(folder))

    def clean(self, *options: str) -> dict[str, Any]:
        mine = self.folder("clean-1")
        assert self._ask("cleanup", *options, str(mine)) == 0
        told: dict[str, Any] = json.loads((mine / "cleanup.json").read_text())
        return told

    def dead(self, session: str) -> Path:
        """A session that nobody took off the host."""
        folder = self.folder(session)
        with state.lock():
            lease.write_lease(folder, "somebody", 0)
        return folder

    @property
    def engine_was_asked(self) -> list[str]:
        log = self.place / "docker.log"
        return log.read_text().splitlines() if log.exists() else []

    def ask(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        done = self._agent(*arguments, PATH=self._path)
        assert done.stdout == ""
        return done

    def _ask(self, *arguments: str) -> int:
        return self.ask(*arguments).returncode


@pytest.fixture
def host(tmp_path: Path, kept: Path, agent: Agent) -> Iterator[Host]:
    programs = tmp_path / "bin"
    programs.mkdir()
    docker = programs / "docker"
    docker.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/docker.log\n'
        f'[ "$1" = ps ] && cat {tmp_path}/containers 2>/dev/null\nexit 0\n'
    )
    docker.chmod(0o755)
    yield Host(tmp_path, kept, agent, f"{programs}:{os.environ['PATH']}")
    for pid in kept.glob("*/watchdog.pid"):
        os.kill(int(pid.read_text()), signal.SIGKILL)


def warden_of(folder: Path) -> int:
    pid_file = state.session_state(folder) / "watchdog.pid"
    await_file(pid_file)
    return int(pid_file.read_text())


def make_old(folder: Path) -> Path:
    long_ago = time.time() - 2 * cleanup.ABANDONED_AFTER_S
    os.utime(folder, (long_ago, long_ago))
    return folder


def test_a_host_that_nobody_has_is_entered(host: Host) -> None:
    mine = host.folder("a")
    assert host.begin(mine, run="r1-0001-flask") == 0
    assert (mine / "r1-0001-flask").stat().st_mode & 0o777 == 0o700
    told = lease.read_lease(mine)
    assert told is not None
    assert (told["session"], told["owner"]) == ("a", "me")
    assert LONG_S - 10 < lease.remaining_s(mine) <= LONG_S


def test_two_sessions_cannot_have_one_host(host: Host) -> None:
    first, second = host.folder("a"), host.folder("b")
    assert host.begin(first, owner="somebody on a laptop") == 0
    assert host.begin(second) == HELD_BY_ANOTHER
    held_by = json.loads((second / "held-by.json").read_text())
    assert (held_by["session"], held_by["owner"]) == ("a", "somebody on a laptop")
    assert lease.read_lease(second) is None
    assert first.exists()


def test_a_host_says_whether_a_session_has_it_and_changes_nothing(host: Host) -> None:
    asking, dead = host.folder("check"), host.dead("dead")
    assert host.ask("check-unused", str(asking)).returncode == 0
    assert dead.exists()
    living = host.folder("a")
    assert host.begin(living, owner="somebody on a laptop") == 0
    assert host.ask("check-unused", str(asking)).returncode == HELD_BY_ANOTHER
    held_by = json.loads((asking / "held-by.json").read_text())
    assert (held_by["session"], held_by["owner"]) == ("a", "somebody on a laptop")
    assert lease.read_lease(asking) is None
    assert host.leave(living) == 0
    assert host.ask("check-unused", str(asking)).returncode == 0


def test_a_session_renews_its_own_lease(host: Host) -> None:
    mine = host.folder("a")
    assert host.begin(mine, for_s=5) == 0
    assert host.begin(mine, for_s=LONG_S) == 0
    assert lease.remaining_s(mine) > 5


def test_a_stale_lease_is_released_and_what_it_kept_goes(host: Host, sleeper: Sleeper) -> None:
    dead, mine = host.dead("dead"), host.folder("a")
    job = sleeper(f"--log-file={dead}/r1-0001-flask/requests.log")
    assert host.begin(mine) == 0
    await_end(job)
    assert not dead.exists()


def test_a_lease_of_before_a_reboot_is_stale(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dead, mine = host.folder("dead"), host.folder("a")
    (tmp_path / "boot_id").write_text("another")
    monkeypatch.setattr(lease, "BOOT_ID", tmp_path / "boot_id")
    with state.lock():
        lease.write_lease(dead, "somebody", LONG_S)
    assert host.begin(mine) == 0
    assert not dead.exists()


def test_a_folder_without_a_lease_may_be_about_to_get_one(host: Host) -> None:
    young, old, mine = host.folder("young"), make_old(host.folder("old")), host.folder("a")
    assert host.begin(mine) == 0
    assert young.exists()
    assert not old.exists()


def test_a_run_does_not_wait_for_folders_of_no_session(host: Host) -> None:
    mine = host.folder("a")
    assert host.begin(mine) == 0
    old = make_old(host.folder("old"))
    assert host.begin(mine, run="r1-0001-flask") == 0
    assert old.exists()


def test_folders_of_other_tools_and_links_are_left_alone(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "fwbench-images-1"
    other.mkdir()
    (tmp_path / "fwbench-session-link").symlink_to(other)
    assert host.begin(host.folder("a")) == 0
    assert host.clean("--force")["removed"][0]["session"] == "a"
    assert other.exists()


def test_a_run_begins_without_anything_that_the_one_before_left(
    host: Host, sleeper: Sleeper, tmp_path: Path
) -> None:
    mine = host.folder("a")
    assert host.begin(mine, run="r1-0001-flask") == 0
    warden = warden_of(mine)
    job = sleeper(str(mine / "r1-0001-flask"))
    neighbour = sleeper(str(mine / "r1-0001-flask-aa"))
    (tmp_path / "containers").write_text("c1\nc2\n")
    assert host.begin(mine, run="r1-0002-flask") == 0
    await_end(job)
    assert is_alive(neighbour)
    assert sorted(path.name for path in mine.iterdir() if path.is_dir()) == ["r1-0002-flask"]
    assert "rm --force --volumes c1 c2" in host.engine_was_asked
    assert warden_of(mine) == warden
    assert is_alive(warden)


def test_a_session_that_comes_anew_has_a_warden_of_its_own(host: Host) -> None:
    mine = host.folder("a")
    assert host.begin(mine) == 0
    before = warden_of(mine)
    assert host.begin(mine) == 0
    await_end(before)
    assert warden_of(mine) != before


def test_a_host_is_left_as_it_was(host: Host, sleeper: Sleeper, tmp_path: Path) -> None:
    mine = host.folder("a")
    assert host.begin(mine, run="r1-0001-flask") == 0
    warden, job = warden_of(mine), sleeper(str(mine / "r1-0001-flask"))
    (tmp_path / "containers").write_text("c1\n")
    assert host.leave(mine) == 0
    await_end(warden)
    await_end(job)
    assert not mine.exists()
    assert "ps --all --quiet --no-trunc --filter=label=fwbench.session=a" in host.engine_was_asked
    assert "rm --force --volumes c1" in host.engine_was_asked


def test_nothing_runs_on_after_its_controller_has_died(
    host: Host, sleeper: Sleeper, tmp_path: Path
) -> None:
    mine = host.folder("a")
    assert host.begin(mine, run="r1-0001-flask", for_s=1) == 0
    warden, job = warden_of(mine), sleeper(str(mine / "r1-0001-flask"))
    (tmp_path / "containers").write_text("c1\n")
    await_end(job)
    await_end(warden)
    assert not mine.exists()
    assert "rm --force --volumes c1" in host.engine_was_asked


def test_cleaning_takes_dead_sessions_and_leaves_living_ones(host: Host, sleeper: Sleeper) -> None:
    dead, living = host.dead("dead"), host.folder("living")
    with state.lock():
        lease.write_lease(living, "somebody else", LONG_S)
    job = sleeper(str(dead / "r1-0001-flask"))
    told = host.clean()
    assert told["removed"] == [
        {"session": "dead", "processes": 1, "containers": 0, "folder_removed": True}
    ]
    assert [each["owner"] for each in told["live_sessions"]] == ["somebody else"]
    await_end(job)
    assert not dead.exists()
    assert living.exists()


def test_cleaning_by_force_takes_living_sessions_too(host: Host) -> None:
    living = host.folder("living")
    assert host.begin(living) == 0
    warden = warden_of(living)
    told = host.clean("--force")
    assert [each["session"] for each in told["removed"]] == ["living"]
    assert told["live_sessions"] == []
    await_end(warden)
    assert not living.exists()


@pytest.fixture
def provisioning(tmp_path: Path) -> Path:
    """Where provisioning has its temporary folders: two that are old, and one that is not."""
    parent = tmp_path / "tmp-of-provisioning"
    for name in ("fwbench-build-old", "fwbench-images-old", "fwbench-build-young"):
        (parent / name).mkdir(parents=True)
        (parent / name / "pip.conf").touch()
    long_ago = time.time() - 2 * cleanup.PROVISIONING_AFTER_S
    for path in (*parent.glob("*old/*"), *parent.glob("*old")):
        os.utime(path, (long_ago, long_ago))
    parent.chmod(0o711)
    return parent


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_provisioning_left_goes_after_a_day_or_by_force(
    host: Host, provisioning: Path
) -> None:
    assert host.begin(host.folder("a")) == 0
    assert len(names(provisioning)) == 3
    assert host.clean()["provisioning_folders"] == 2
    assert names(provisioning) == ["fwbench-build-young"]
    shutil.rmtree(host.place / "fwbench-session-clean-1")
    assert host.clean("--force")["provisioning_folders"] == 1
    assert names(provisioning) == []


def test_a_folder_of_a_provisioning_that_goes_on_stays_even_by_force(
    host: Host, provisioning: Path, sleeper: Sleeper
) -> None:
    sleeper(f"{provisioning}/fwbench-build-old/flask")
    with (provisioning / "fwbench-images-old" / "pip.conf").open():
        argv = ["sleep", "60"]
        with subprocess.Popen(argv, cwd=provisioning / "fwbench-build-young") as working:
            assert host.clean("--force")["provisioning_folders"] == 0
            working.kill()
    assert len(names(provisioning)) == 3


def test_where_another_user_could_make_folders_none_goes(host: Host, provisioning: Path) -> None:
    provisioning.chmod(0o777)
    assert host.clean("--force")["provisioning_folders"] == 0
    if os.geteuid() == 0:
        provisioning.chmod(0o711)
        os.chown(provisioning, 65534, 65534)
        shutil.rmtree(host.place / "fwbench-session-clean-1")
        assert host.clean("--force")["provisioning_folders"] == 0
    assert len(names(provisioning)) == 3


def test_a_container_of_a_session_whose_folder_is_gone_goes_too(host: Host, tmp_path: Path) -> None:
    (tmp_path / "containers").write_text("orphan\n")
    assert host.clean()["orphan_containers"] == 1
    assert "rm --force --volumes orphan" in host.engine_was_asked


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"until_s": "soon"}', "\x00"])
def test_a_lease_that_makes_no_sense_is_over(host: Host, broken: str) -> None:
    folder = host.dead("dead")
    (state.session_state(folder) / "lease.json").write_text(broken)
    assert lease.remaining_s(folder) <= 0
    assert host.begin(host.folder("a")) == 0
    assert not state.session_state(folder).exists()


def test_a_session_leaves_nothing_of_what_was_kept_of_it(host: Host) -> None:
    mine = host.folder("a")
    assert host.begin(mine, run="r1-0001-flask") == 0
    warden_of(mine)
    assert host.leave(mine) == 0
    assert not host.kept.exists()


def false_lease(theirs: Path, *, large: bool = False) -> None:
    """What an agent would have to take for the lease of a living session."""
    boot = lease.BOOT_ID.read_text().strip()
    text = json.dumps({"session": "x", "owner": "y", "boot_id": boot, "until_s": 1e12})
    (theirs / "lease.json").write_text(text + (" " * (64 << 20) if large else ""))


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a false lease": false_lease,
    "a huge lease": lambda theirs: false_lease(theirs, large=True),
    "a FIFO": lambda theirs: os.mkfifo(theirs / "lease.json"),
    "a link to a device": lambda theirs: (theirs / "lease.json").symlink_to("/dev/zero"),
    "a folder": lambda theirs: (theirs / "lease.json").mkdir(),
}


class TestAnotherUserOfTheHost:
    """He may put anything beside the sessions' folders."""

    @pytest.mark.parametrize("lay", HOSTILE.values(), ids=HOSTILE)
    def test_cannot_keep_a_session_from_it(self, host: Host, lay: Callable[[Path], object]) -> None:
        theirs, mine = host.folder("theirs"), host.folder("a")
        lay(theirs)
        began = time.monotonic()
        assert host.begin(mine, run="r1-0001-flask") == 0
        assert host.clean()["live_sessions"] == [lease.read_lease(mine)]
        assert time.monotonic() - began < 20

    def test_cannot_hold_an_agent_up_with_a_lock(self, host: Host) -> None:
        mine = host.folder("a")
        descriptor = os.open(host.place, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            assert host.begin(mine) == 0
        finally:
            os.close(descriptor)

    def test_cannot_keep_containers_of_no_session(self, host: Host) -> None:
        (host.place / "containers").write_text("orphan\n")
        false_lease(host.folder("theirs"))
        assert host.clean()["orphan_containers"] == 1

    def test_has_no_process_killed_by_a_folders_name(self, host: Host, sleeper: Sleeper) -> None:
        theirs = make_old(host.folder("theirs"))
        innocent = sleeper(str(theirs / "file"))
        assert host.begin(host.folder("a")) == 0
        assert not theirs.exists()
        assert is_alive(innocent)

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
    def test_has_no_process_of_his_killed_with_a_session(self, host: Host) -> None:
        dead = host.dead("dead")
        argv = ["sh", "-c", "read line", str(dead)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, user=65534) as his:
            assert host.begin(host.folder("a")) == 0
            assert is_alive(his.pid)
        assert not dead.exists()

    def test_has_no_container_of_a_living_session_removed(self, host: Host) -> None:
        mine = host.folder("a")
        assert host.begin(mine, run="r1-0001-flask") == 0
        make_old(host.folder("theirs"))
        (host.place / "containers").write_text("c1\n")
        told = host.clean()
        assert (told["removed"], told["abandoned_folders"], told["orphan_containers"]) == ([], 1, 0)
        assert not any("rm --force" in asked for asked in host.engine_was_asked)

    def test_cannot_have_the_folder_of_a_living_session_removed(self, host: Host) -> None:
        mine = host.folder("a")
        assert host.begin(mine) == 0
        make_old(mine)
        assert host.clean()["abandoned_folders"] == 0
        assert mine.exists()

    def test_cannot_spoil_what_is_told_by_a_folders_name(self, host: Host) -> None:
        odd = os.fsencode(host.place) + b"/fwbench-session-\xff\x1b[2J\n"
        os.mkdir(odd)  # noqa: PTH102 - as bytes
        told = host.clean("--force")
        assert (told["removed"], told["abandoned_folders"], told["unremovable"]) == ([], 1, 0)

    def test_has_nothing_removed_that_a_link_leads_to(self, host: Host, tmp_path: Path) -> None:
        (tmp_path / "precious").mkdir()
        make_old(tmp_path / "precious")
        (host.place / "fwbench-session-link").symlink_to(tmp_path / "precious")
        theirs = host.folder("theirs")
        (theirs / "link").symlink_to(tmp_path / "precious")
        host.clean("--force")
        assert (tmp_path / "precious").exists()
        assert not theirs.exists()

    @pytest.mark.parametrize("command", ["acquire", "cleanup"])
    def test_cannot_offer_a_link_for_a_folder(self, host: Host, command: str) -> None:
        real, mine = host.folder("real"), host.place / "fwbench-session-a"
        mine.symlink_to(real)
        done = host.ask(command, *(BEGIN if command == "acquire" else ()), str(mine))
        assert done.returncode == 1
        assert done.stderr == f"{mine} is not a folder; remove it\n"
        assert list(real.iterdir()) == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
    def test_cannot_offer_a_folder_of_his(self, host: Host) -> None:
        his = host.folder("a")
        os.chown(his, 65534, 65534)
        done = host.ask("acquire", *BEGIN, str(his))
        assert done.returncode == 1
        assert done.stderr.endswith(
            "belongs to user 65534 of this host, not to fwbench; remove it\n"
        )
        assert list(his.iterdir()) == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
    def test_cannot_offer_a_run_in_a_folder_of_his(self, host: Host) -> None:
        his = host.folder("a")
        run = his / "r1-0001-flask"
        run.mkdir(mode=0o700)
        os.chown(his, 65534, 65534)
        done = host.ask("facts", str(run))
        assert "belongs to user 65534" in done.stderr
        assert list(run.iterdir()) == []

    def test_may_have_made_the_place_of_leases_which_is_told(self, host: Host) -> None:
        host.kept.mkdir()
        host.kept.chmod(0o777)
        done = host.ask("acquire", *BEGIN, str(host.folder("a")))
        assert done.returncode == 1
        assert done.stderr == f"{host.kept} has mode 0777 instead of 0700; remove it\n"
