"""A host is entered, held, left and cleaned: the agent's own program, on folders of these tests."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from surroundings import Agent, Sleeper, await_end, await_file, is_alive

from fwbench.agent import lease

HELD_BY_ANOTHER = 75
LONG_S = 60.0


class Host:
    """A place for sessions' folders, and what its engine is asked."""

    def __init__(self, place: Path, agent: Agent, path: str) -> None:
        self.place, self._agent, self._path = place, agent, path

    def folder(self, session: str) -> Path:
        made = self.place / f"fwbench-session-{session}"
        made.mkdir(mode=0o700)
        return made

    def begin(
        self, folder: Path, *, run: str | None = None, for_s: float = LONG_S, owner: str = "me"
    ) -> int:
        options = [f"--owner={owner}", f"--for={for_s}", *([f"--run={run}"] if run else [])]
        return self._ask("begin", *options, str(folder))

    def leave(self, folder: Path) -> int:
        return self._ask("leave", str(folder))

    def clean(self, *options: str) -> dict[str, list[dict[str, object]]]:
        mine = self.folder("clean-1")
        assert self._ask("clean", *options, str(mine)) == 0
        told: dict[str, list[dict[str, object]]] = json.loads((mine / "cleaned.json").read_text())
        return told

    @property
    def engine_was_asked(self) -> list[str]:
        log = self.place / "docker.log"
        return log.read_text().splitlines() if log.exists() else []

    def _ask(self, *arguments: str) -> int:
        done = self._agent(*arguments, PATH=self._path)
        assert done.stdout == ""
        return done.returncode


@pytest.fixture
def host(tmp_path: Path, agent: Agent) -> Iterator[Host]:
    programs = tmp_path / "bin"
    programs.mkdir()
    docker = programs / "docker"
    docker.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/docker.log\n'
        f'[ "$1" = ps ] && cat {tmp_path}/containers 2>/dev/null\nexit 0\n'
    )
    docker.chmod(0o755)
    yield Host(tmp_path, agent, f"{programs}:{os.environ['PATH']}")
    for pid in tmp_path.glob("*/warden.pid"):
        os.kill(int(pid.read_text()), signal.SIGKILL)


def warden_of(folder: Path) -> int:
    await_file(folder / "warden.pid")
    return int((folder / "warden.pid").read_text() or "0")


def test_a_host_that_nobody_has_is_entered(host: Host) -> None:
    mine = host.folder("a")
    assert host.begin(mine, run="r1-0001-flask") == 0
    assert (mine / "r1-0001-flask").stat().st_mode & 0o777 == 0o700
    told = lease.read(mine)
    assert told is not None
    assert (told["session"], told["owner"]) == ("a", "me")
    assert LONG_S - 10 < lease.left_s(mine) <= LONG_S


def test_two_sessions_cannot_have_one_host(host: Host) -> None:
    first, second = host.folder("a"), host.folder("b")
    assert host.begin(first, owner="somebody on a laptop") == 0
    assert host.begin(second) == HELD_BY_ANOTHER
    held_by = json.loads((second / "held-by.json").read_text())
    assert (held_by["session"], held_by["owner"]) == ("a", "somebody on a laptop")
    assert lease.read(second) is None
    assert first.exists()


def test_a_session_renews_its_own_lease(host: Host) -> None:
    mine = host.folder("a")
    assert host.begin(mine, for_s=5) == 0
    assert host.begin(mine, for_s=LONG_S) == 0
    assert lease.left_s(mine) > 5


def test_a_stale_lease_is_released_and_what_it_kept_goes(host: Host, sleeper: Sleeper) -> None:
    dead, mine = host.folder("dead"), host.folder("a")
    lease.take(dead, "somebody", 0)
    job = sleeper(f"--log-file={dead}/r1-0001-flask/h2load.log")
    assert host.begin(mine) == 0
    await_end(job)
    assert not dead.exists()


def test_a_lease_of_before_a_reboot_is_stale(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dead, mine = host.folder("dead"), host.folder("a")
    (tmp_path / "boot_id").write_text("another")
    monkeypatch.setattr(lease, "BOOT_ID", tmp_path / "boot_id")
    lease.take(dead, "somebody", LONG_S)
    assert host.begin(mine) == 0


def test_a_folder_without_a_lease_may_be_about_to_get_one(host: Host) -> None:
    young, old, mine = host.folder("young"), host.folder("old"), host.folder("a")
    long_ago = time.time() - 2 * lease.UNLEASED_S
    os.utime(old, (long_ago, long_ago))
    assert host.begin(mine) == 0
    assert young.exists()
    assert not old.exists()


def test_folders_of_other_tools_and_links_are_left_alone(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "fwbench-images-1"
    other.mkdir()
    (tmp_path / "fwbench-session-link").symlink_to(other)
    assert host.begin(host.folder("a")) == 0
    assert host.clean("--force")["swept"][0]["session"] == "a"
    assert other.exists()


def test_a_run_begins_without_anything_that_the_one_before_left(
    host: Host, sleeper: Sleeper, tmp_path: Path
) -> None:
    mine = host.folder("a")
    assert host.begin(mine, run="r1-0001-flask") == 0
    warden = warden_of(mine)
    job = sleeper(str(mine / "r1-0001-flask"))
    neighbour = sleeper(str(mine / "r1-0001-flask-twin"))
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
    (mine / "warden.pid").unlink()
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
    dead, living = host.folder("dead"), host.folder("living")
    lease.take(dead, "somebody", 0)
    lease.take(living, "somebody else", LONG_S)
    job = sleeper(str(dead / "r1-0001-flask"))
    told = host.clean()
    assert told["swept"] == [{"session": "dead", "processes": 1, "containers": 0, "gone": True}]
    assert [each["owner"] for each in told["living"]] == ["somebody else"]
    await_end(job)
    assert not dead.exists()
    assert living.exists()


def test_cleaning_by_force_takes_living_sessions_too(host: Host) -> None:
    living = host.folder("living")
    assert host.begin(living) == 0
    warden = warden_of(living)
    told = host.clean("--force")
    assert [each["session"] for each in told["swept"]] == ["living"]
    assert told["living"] == []
    await_end(warden)
    assert not living.exists()


def test_a_container_of_a_session_whose_folder_is_gone_goes_too(host: Host, tmp_path: Path) -> None:
    (tmp_path / "containers").write_text("orphan\n")
    assert host.clean()["orphans"] == 1
    assert "rm --force --volumes orphan" in host.engine_was_asked


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"until_s": "soon"}', "\x00"])
def test_a_lease_that_makes_no_sense_is_over(host: Host, broken: str) -> None:
    folder = host.folder("dead")
    (folder / "lease.json").write_text(broken)
    long_ago = time.time() - 2 * lease.UNLEASED_S
    os.utime(folder, (long_ago, long_ago))
    assert lease.left_s(folder) <= 0
