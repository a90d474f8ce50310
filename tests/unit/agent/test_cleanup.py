"""Test how the agent acquires, releases and cleans a host. The host's folders are temporary."""

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

HELD_BY_ANOTHER_SESSION = 75
LONG_S = 60.0
ACQUIRE_OPTIONS = ("--owner=me", f"--lease-s={LONG_S}")


class Host:
    """The agent's commands on a host with temporary folders and a stand-in for docker."""

    def __init__(self, parent: Path, state_folder: Path, agent: Agent, path: str) -> None:
        self.parent, self.state_folder, self._agent, self._path = parent, state_folder, agent, path

    def session_folder(self, session: str) -> Path:
        path = self.parent / f"fwbench-session-{session}"
        path.mkdir(mode=0o700)
        return path

    def acquire(
        self, folder: Path, *, run: str | None = None, lease_s: float = LONG_S, owner: str = "me"
    ) -> int:
        options = [f"--owner={owner}", f"--lease-s={lease_s}", *([f"--run={run}"] if run else [])]
        return self._exit_code("acquire", *options, str(folder))

    def release(self, folder: Path) -> int:
        return self._exit_code("release", str(folder))

    def cleanup(self, *options: str) -> dict[str, Any]:
        folder = self.session_folder("clean-1")
        assert self._exit_code("cleanup", *options, str(folder)) == 0
        result: dict[str, Any] = json.loads((folder / "cleanup.json").read_text())
        return result

    def expired_session(self, session: str) -> Path:
        """Return the folder of a session whose lease has expired."""
        folder = self.session_folder(session)
        with state.lock():
            lease.write_lease(folder, "somebody", 0)
        return folder

    @property
    def docker_calls(self) -> list[str]:
        log = self.parent / "docker.log"
        return log.read_text().splitlines() if log.exists() else []

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        result = self._agent(*arguments, PATH=self._path)
        assert result.stdout == ""
        return result

    def _exit_code(self, *arguments: str) -> int:
        return self.run(*arguments).returncode


@pytest.fixture
def host(tmp_path: Path, state_folder: Path, agent: Agent) -> Iterator[Host]:
    """Yield a host; kill the watchdogs that are left at the end of the test."""
    programs = tmp_path / "bin"
    programs.mkdir()
    docker = programs / "docker"
    docker.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/docker.log\n'
        f'[ "$1" = ps ] && cat {tmp_path}/containers 2>/dev/null\nexit 0\n'
    )
    docker.chmod(0o755)
    yield Host(tmp_path, state_folder, agent, f"{programs}:{os.environ['PATH']}")
    for pid in state_folder.glob("*/watchdog.pid"):
        os.kill(int(pid.read_text()), signal.SIGKILL)


def watchdog_pid(folder: Path) -> int:
    pid_file = state.session_state(folder) / "watchdog.pid"
    await_file(pid_file)
    return int(pid_file.read_text())


def make_old(folder: Path) -> Path:
    long_ago = time.time() - 2 * cleanup.ABANDONED_AFTER_S
    os.utime(folder, (long_ago, long_ago))
    return folder


def test_unused_host_is_acquired(host: Host) -> None:
    folder = host.session_folder("a")
    assert host.acquire(folder, run="r1-0001-flask") == 0
    assert (folder / "r1-0001-flask").stat().st_mode & 0o777 == 0o700
    own_lease = lease.read_lease(folder)
    assert own_lease is not None
    assert (own_lease["session"], own_lease["owner"]) == ("a", "me")
    assert LONG_S - 10 < lease.remaining_s(folder) <= LONG_S


def test_second_session_is_refused(host: Host) -> None:
    first, second = host.session_folder("a"), host.session_folder("b")
    assert host.acquire(first, owner="somebody on a laptop") == 0
    assert host.acquire(second) == HELD_BY_ANOTHER_SESSION
    held_by = json.loads((second / "held-by.json").read_text())
    assert (held_by["session"], held_by["owner"]) == ("a", "somebody on a laptop")
    assert lease.read_lease(second) is None
    assert first.exists()


def test_check_unused_changes_nothing(host: Host) -> None:
    checking, expired = host.session_folder("check"), host.expired_session("expired")
    assert host.run("check-unused", str(checking)).returncode == 0
    assert expired.exists()
    live = host.session_folder("a")
    assert host.acquire(live, owner="somebody on a laptop") == 0
    assert host.run("check-unused", str(checking)).returncode == HELD_BY_ANOTHER_SESSION
    held_by = json.loads((checking / "held-by.json").read_text())
    assert (held_by["session"], held_by["owner"]) == ("a", "somebody on a laptop")
    assert lease.read_lease(checking) is None
    assert host.release(live) == 0
    assert host.run("check-unused", str(checking)).returncode == 0


def test_a_session_renews_its_own_lease(host: Host) -> None:
    folder = host.session_folder("a")
    assert host.acquire(folder, lease_s=5) == 0
    assert host.acquire(folder, lease_s=LONG_S) == 0
    assert lease.remaining_s(folder) > 5


def test_expired_session_is_removed_with_its_processes(host: Host, sleeper: Sleeper) -> None:
    expired, folder = host.expired_session("expired"), host.session_folder("a")
    job = sleeper(f"--log-file={expired}/r1-0001-flask/requests.log")
    assert host.acquire(folder) == 0
    await_end(job)
    assert not expired.exists()


def test_reboot_ends_lease(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expired, folder = host.session_folder("expired"), host.session_folder("a")
    (tmp_path / "boot_id").write_text("another")
    monkeypatch.setattr(lease, "BOOT_ID", tmp_path / "boot_id")
    with state.lock():
        lease.write_lease(expired, "somebody", LONG_S)
    assert host.acquire(folder) == 0
    assert not expired.exists()


def test_new_folder_without_lease_is_kept(host: Host) -> None:
    young, old, folder = (
        host.session_folder("young"),
        make_old(host.session_folder("old")),
        host.session_folder("a"),
    )
    assert host.acquire(folder) == 0
    assert young.exists()
    assert not old.exists()


def test_new_run_leaves_abandoned_folders(host: Host) -> None:
    folder = host.session_folder("a")
    assert host.acquire(folder) == 0
    old = make_old(host.session_folder("old"))
    assert host.acquire(folder, run="r1-0001-flask") == 0
    assert old.exists()


def test_unrelated_folders_and_links_are_kept(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "fwbench-images-1"
    other.mkdir()
    (tmp_path / "fwbench-session-link").symlink_to(other)
    assert host.acquire(host.session_folder("a")) == 0
    assert host.cleanup("--force")["removed"][0]["session"] == "a"
    assert other.exists()


def test_new_run_removes_leftovers_of_previous_run(
    host: Host, sleeper: Sleeper, tmp_path: Path
) -> None:
    folder = host.session_folder("a")
    assert host.acquire(folder, run="r1-0001-flask") == 0
    watchdog = watchdog_pid(folder)
    job = sleeper(str(folder / "r1-0001-flask"))
    neighbour = sleeper(str(folder / "r1-0001-flask-aa"))
    (tmp_path / "containers").write_text("c1\nc2\n")
    assert host.acquire(folder, run="r1-0002-flask") == 0
    await_end(job)
    assert is_alive(neighbour)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["r1-0002-flask"]
    assert "rm --force --volumes c1 c2" in host.docker_calls
    assert watchdog_pid(folder) == watchdog
    assert is_alive(watchdog)


def test_reacquired_host_has_new_watchdog(host: Host) -> None:
    folder = host.session_folder("a")
    assert host.acquire(folder) == 0
    before = watchdog_pid(folder)
    assert host.acquire(folder) == 0
    await_end(before)
    assert watchdog_pid(folder) != before


def test_release_removes_everything_of_session(
    host: Host, sleeper: Sleeper, tmp_path: Path
) -> None:
    folder = host.session_folder("a")
    assert host.acquire(folder, run="r1-0001-flask") == 0
    watchdog, job = watchdog_pid(folder), sleeper(str(folder / "r1-0001-flask"))
    (tmp_path / "containers").write_text("c1\n")
    assert host.release(folder) == 0
    await_end(watchdog)
    await_end(job)
    assert not folder.exists()
    assert "ps --all --quiet --no-trunc --filter=label=fwbench.session=a" in host.docker_calls
    assert "rm --force --volumes c1" in host.docker_calls


def test_watchdog_removes_session_after_lease_expires(
    host: Host, sleeper: Sleeper, tmp_path: Path
) -> None:
    folder = host.session_folder("a")
    assert host.acquire(folder, run="r1-0001-flask", lease_s=1) == 0
    watchdog, job = watchdog_pid(folder), sleeper(str(folder / "r1-0001-flask"))
    (tmp_path / "containers").write_text("c1\n")
    await_end(job)
    await_end(watchdog)
    assert not folder.exists()
    assert "rm --force --volumes c1" in host.docker_calls


def test_cleanup_removes_only_expired_sessions(host: Host, sleeper: Sleeper) -> None:
    expired, live = host.expired_session("expired"), host.session_folder("live")
    with state.lock():
        lease.write_lease(live, "somebody else", LONG_S)
    job = sleeper(str(expired / "r1-0001-flask"))
    result = host.cleanup()
    assert result["removed"] == [
        {"session": "expired", "processes": 1, "containers": 0, "folder_removed": True}
    ]
    assert [session["owner"] for session in result["live_sessions"]] == ["somebody else"]
    await_end(job)
    assert not expired.exists()
    assert live.exists()


def test_forced_cleanup_removes_live_sessions(host: Host) -> None:
    live = host.session_folder("live")
    assert host.acquire(live) == 0
    watchdog = watchdog_pid(live)
    result = host.cleanup("--force")
    assert [session["session"] for session in result["removed"]] == ["live"]
    assert result["live_sessions"] == []
    await_end(watchdog)
    assert not live.exists()


@pytest.fixture
def provisioning(tmp_path: Path) -> Path:
    """Return the parent of provisioning's temporary folders: two are old, one is new."""
    parent = tmp_path / "provisioning-tmp"
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


def test_provisioning_folders_are_removed_after_a_day_or_by_force(
    host: Host, provisioning: Path
) -> None:
    assert host.acquire(host.session_folder("a")) == 0
    assert len(names(provisioning)) == 3
    assert host.cleanup()["provisioning_folders"] == 2
    assert names(provisioning) == ["fwbench-build-young"]
    shutil.rmtree(host.parent / "fwbench-session-clean-1")
    assert host.cleanup("--force")["provisioning_folders"] == 1
    assert names(provisioning) == []


def test_provisioning_folders_in_use_are_kept(
    host: Host, provisioning: Path, sleeper: Sleeper
) -> None:
    sleeper(f"{provisioning}/fwbench-build-old/flask")
    with (provisioning / "fwbench-images-old" / "pip.conf").open():
        argv = ["sleep", "60"]
        with subprocess.Popen(argv, cwd=provisioning / "fwbench-build-young") as process:
            assert host.cleanup("--force")["provisioning_folders"] == 0
            process.kill()
    assert len(names(provisioning)) == 3


def test_nothing_is_removed_where_others_can_create_folders(host: Host, provisioning: Path) -> None:
    provisioning.chmod(0o777)
    assert host.cleanup("--force")["provisioning_folders"] == 0
    if os.geteuid() == 0:
        provisioning.chmod(0o711)
        os.chown(provisioning, 65534, 65534)
        shutil.rmtree(host.parent / "fwbench-session-clean-1")
        assert host.cleanup("--force")["provisioning_folders"] == 0
    assert len(names(provisioning)) == 3


def test_orphan_container_is_removed(host: Host, tmp_path: Path) -> None:
    (tmp_path / "containers").write_text("orphan\n")
    assert host.cleanup()["orphan_containers"] == 1
    assert "rm --force --volumes orphan" in host.docker_calls


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"until_s": "soon"}', "\x00"])
def test_malformed_lease_counts_as_expired(host: Host, broken: str) -> None:
    folder = host.expired_session("expired")
    (state.session_state(folder) / "lease.json").write_text(broken)
    assert lease.remaining_s(folder) <= 0
    assert host.acquire(host.session_folder("a")) == 0
    assert not state.session_state(folder).exists()


def test_release_removes_state_of_session(host: Host) -> None:
    folder = host.session_folder("a")
    assert host.acquire(folder, run="r1-0001-flask") == 0
    watchdog_pid(folder)
    assert host.release(folder) == 0
    assert not host.state_folder.exists()


def false_lease(foreign: Path, *, large: bool = False) -> None:
    """Write a file that would pass for the lease of a live session."""
    boot = lease.BOOT_ID.read_text().strip()
    text = json.dumps({"session": "x", "owner": "y", "boot_id": boot, "until_s": 1e12})
    (foreign / "lease.json").write_text(text + (" " * (64 << 20) if large else ""))


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a false lease": false_lease,
    "a huge lease": lambda foreign: false_lease(foreign, large=True),
    "a FIFO": lambda foreign: os.mkfifo(foreign / "lease.json"),
    "a link to a device": lambda foreign: (foreign / "lease.json").symlink_to("/dev/zero"),
    "a folder": lambda foreign: (foreign / "lease.json").mkdir(),
}


class TestLocalUser:
    """Another user of the host can create anything beside the sessions' folders."""

    @pytest.mark.parametrize("create", HOSTILE.values(), ids=HOSTILE)
    def test_cannot_block_a_session(self, host: Host, create: Callable[[Path], object]) -> None:
        foreign, folder = host.session_folder("foreign"), host.session_folder("a")
        create(foreign)
        began = time.monotonic()
        assert host.acquire(folder, run="r1-0001-flask") == 0
        assert host.cleanup()["live_sessions"] == [lease.read_lease(folder)]
        assert time.monotonic() - began < 20

    def test_cannot_block_the_agent_with_a_lock(self, host: Host) -> None:
        folder = host.session_folder("a")
        descriptor = os.open(host.parent, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            assert host.acquire(folder) == 0
        finally:
            os.close(descriptor)

    def test_cannot_protect_orphan_containers(self, host: Host) -> None:
        (host.parent / "containers").write_text("orphan\n")
        false_lease(host.session_folder("foreign"))
        assert host.cleanup()["orphan_containers"] == 1

    def test_cannot_have_processes_killed_by_a_folder_name(
        self, host: Host, sleeper: Sleeper
    ) -> None:
        foreign = make_old(host.session_folder("foreign"))
        innocent = sleeper(str(foreign / "file"))
        assert host.acquire(host.session_folder("a")) == 0
        assert not foreign.exists()
        assert is_alive(innocent)

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
    def test_keeps_own_processes(self, host: Host) -> None:
        expired = host.expired_session("expired")
        argv = ["sh", "-c", "read line", str(expired)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, user=65534) as foreign_process:
            assert host.acquire(host.session_folder("a")) == 0
            assert is_alive(foreign_process.pid)
        assert not expired.exists()

    def test_cannot_have_containers_of_live_sessions_removed(self, host: Host) -> None:
        folder = host.session_folder("a")
        assert host.acquire(folder, run="r1-0001-flask") == 0
        make_old(host.session_folder("foreign"))
        (host.parent / "containers").write_text("c1\n")
        result = host.cleanup()
        assert (result["removed"], result["abandoned_folders"], result["orphan_containers"]) == (
            [],
            1,
            0,
        )
        assert not any("rm --force" in call for call in host.docker_calls)

    def test_cannot_have_folder_of_live_session_removed(self, host: Host) -> None:
        folder = host.session_folder("a")
        assert host.acquire(folder) == 0
        make_old(folder)
        assert host.cleanup()["abandoned_folders"] == 0
        assert folder.exists()

    def test_cannot_corrupt_output_by_a_folder_name(self, host: Host) -> None:
        odd_name = os.fsencode(host.parent) + b"/fwbench-session-\xff\x1b[2J\n"
        os.mkdir(odd_name)  # noqa: PTH102 - as bytes
        result = host.cleanup("--force")
        assert (result["removed"], result["abandoned_folders"], result["unremovable"]) == ([], 1, 0)

    def test_cannot_have_link_targets_removed(self, host: Host, tmp_path: Path) -> None:
        (tmp_path / "precious").mkdir()
        make_old(tmp_path / "precious")
        (host.parent / "fwbench-session-link").symlink_to(tmp_path / "precious")
        foreign = host.session_folder("foreign")
        (foreign / "link").symlink_to(tmp_path / "precious")
        host.cleanup("--force")
        assert (tmp_path / "precious").exists()
        assert not foreign.exists()

    @pytest.mark.parametrize("command", ["acquire", "cleanup"])
    def test_cannot_replace_session_folder_by_a_link(self, host: Host, command: str) -> None:
        real, folder = host.session_folder("real"), host.parent / "fwbench-session-a"
        folder.symlink_to(real)
        result = host.run(command, *(ACQUIRE_OPTIONS if command == "acquire" else ()), str(folder))
        assert result.returncode == 1
        assert result.stderr == f"{folder} is not a folder; remove it\n"
        assert list(real.iterdir()) == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
    def test_cannot_provide_session_folder(self, host: Host) -> None:
        foreign_folder = host.session_folder("a")
        os.chown(foreign_folder, 65534, 65534)
        result = host.run("acquire", *ACQUIRE_OPTIONS, str(foreign_folder))
        assert result.returncode == 1
        assert result.stderr.endswith(
            "belongs to user 65534 of this host, not to fwbench; remove it\n"
        )
        assert list(foreign_folder.iterdir()) == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
    def test_cannot_provide_run_folder(self, host: Host) -> None:
        foreign_folder = host.session_folder("a")
        run = foreign_folder / "r1-0001-flask"
        run.mkdir(mode=0o700)
        os.chown(foreign_folder, 65534, 65534)
        result = host.run("facts", str(run))
        assert "belongs to user 65534" in result.stderr
        assert list(run.iterdir()) == []

    def test_cannot_provide_state_folder(self, host: Host) -> None:
        host.state_folder.mkdir()
        host.state_folder.chmod(0o777)
        result = host.run("acquire", *ACQUIRE_OPTIONS, str(host.session_folder("a")))
        assert result.returncode == 1
        assert result.stderr == f"{host.state_folder} has mode 0777 instead of 0700; remove it\n"
