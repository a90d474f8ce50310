import os
import subprocess
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fwbench.agent import state
from fwbench.agent.files import UntrustedError

JOIN_TIMEOUT_S = 10


def test_state_folder_of_root_is_in_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state.state_folder() == Path("/run/fwbench")


def test_state_folder_of_other_users_is_in_their_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state.state_folder() == tmp_path / ".fwbench"


def test_state_folder_is_private_and_removed_when_empty(state_folder: Path) -> None:
    with state.lock():
        assert state_folder.stat().st_mode & 0o7777 == 0o700
    assert not state_folder.exists()


def test_state_folder_is_kept_until_it_is_empty(state_folder: Path) -> None:
    with state.lock():
        state.session_state(Path("/var/tmp/fwbench-session-a")).mkdir()
    assert [path.name for path in state_folder.iterdir()] == ["fwbench-session-a"]
    with state.lock():
        state.remove_session_state(Path("/var/tmp/fwbench-session-a"))
    assert not state_folder.exists()


def test_lock_is_exclusive_although_its_folder_is_removed(state_folder: Path) -> None:
    inside, counts = [], []

    def lock_repeatedly() -> None:
        for _ in range(50):
            with state.lock():
                inside.append(1)
                counts.append(len(inside))
                assert state_folder.is_dir()
                inside.pop()

    threads = [threading.Thread(target=lock_repeatedly) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(JOIN_TIMEOUT_S)
    assert counts == [1] * 200


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777])
def test_state_folder_open_to_others_is_refused(state_folder: Path, mode: int) -> None:
    state_folder.mkdir()
    state_folder.chmod(mode)
    with pytest.raises(
        UntrustedError, match=f"{state_folder} has mode .* instead of 0700; remove it"
    ):
        state.lock().__enter__()


def test_state_folder_of_another_user_is_refused(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: state_folder.stat().st_uid + 1)
    with pytest.raises(UntrustedError, match="belongs to user"):
        state.lock().__enter__()


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, lambda path: path.symlink_to("/tmp")])
def test_state_folder_that_is_no_folder_is_refused(state_folder: Path, make: object) -> None:
    assert callable(make)
    make(state_folder)
    with pytest.raises(UntrustedError, match="is not a folder; remove it"):
        state.lock().__enter__()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_other_users_cannot_lock_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    with TemporaryDirectory(dir="/tmp") as parent:
        path = Path(parent) / "run"
        monkeypatch.setattr(state, "state_folder", lambda: path)
        Path(parent).chmod(0o755)
        with state.lock():
            state.session_state(Path("/var/tmp/fwbench-session-a")).mkdir()
        argv = ["flock", "--nonblock", str(path), "true"]
        assert subprocess.run(argv).returncode == 0
        result = subprocess.run(argv, user=65534, capture_output=True, text=True)
        assert "Permission denied" in result.stderr
