import os
import subprocess
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fwbench.agent import state
from fwbench.agent.files import UntrustedError

PATIENCE_S = 10


def test_roots_place_is_where_nobody_else_can_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state.state_folder() == Path("/run/fwbench")


def test_anybody_elses_place_is_in_his_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state.state_folder() == tmp_path / ".fwbench"


def test_the_place_is_its_users_alone_and_goes_when_nothing_is_kept(kept: Path) -> None:
    with state.lock():
        assert kept.stat().st_mode & 0o7777 == 0o700
    assert not kept.exists()


def test_the_place_stays_while_something_is_kept(kept: Path) -> None:
    with state.lock():
        state.session_state(Path("/var/tmp/fwbench-session-a")).mkdir()
    assert [path.name for path in kept.iterdir()] == ["fwbench-session-a"]
    with state.lock():
        state.remove_session_state(Path("/var/tmp/fwbench-session-a"))
    assert not kept.exists()


def test_one_agent_at_a_time_is_alone_also_where_the_place_goes_between(kept: Path) -> None:
    inside, most = [], []

    def enter() -> None:
        for _ in range(50):
            with state.lock():
                inside.append(1)
                most.append(len(inside))
                assert kept.is_dir()
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert most == [1] * 200


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777])
def test_a_place_that_others_can_enter_is_refused(kept: Path, mode: int) -> None:
    kept.mkdir()
    kept.chmod(mode)
    with pytest.raises(UntrustedError, match=f"{kept} has mode .* instead of 0700; remove it"):
        state.lock().__enter__()


def test_a_place_that_somebody_else_made_is_refused(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: kept.stat().st_uid + 1)
    with pytest.raises(UntrustedError, match="belongs to user"):
        state.lock().__enter__()


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, lambda path: path.symlink_to("/tmp")])
def test_a_place_that_is_no_folder_is_refused(kept: Path, make: object) -> None:
    assert callable(make)
    make(kept)
    with pytest.raises(UntrustedError, match="is not a folder; remove it"):
        state.lock().__enter__()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_nobody_else_can_lock_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with TemporaryDirectory(dir="/tmp") as made:
        place = Path(made) / "run"
        monkeypatch.setattr(state, "state_folder", lambda: place)
        Path(made).chmod(0o755)
        with state.lock():
            state.session_state(Path("/var/tmp/fwbench-session-a")).mkdir()
        argv = ["flock", "--nonblock", str(place), "true"]
        assert subprocess.run(argv).returncode == 0
        tried = subprocess.run(argv, user=65534, capture_output=True, text=True)
        assert "Permission denied" in tried.stderr
