"""What killed processes of fwbench left on the controller."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fwbench import paths
from fwbench.hosts import controller

WORKS = """
import sys, time
from fwbench import paths

with paths.temporary_folder() as folder:
    (folder / "pip.conf").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(controller, "SOCKETS_PARENT", tmp_path)
    return tmp_path


@pytest.fixture
def working(temporary: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A process that has a temporary folder."""
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", WORKS]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_folder_goes_once_its_process_is_gone(
    working: tuple["subprocess.Popen[str]", Path],
) -> None:
    process, folder = working
    assert folder.stat().st_mode & 0o777 == 0o700
    assert controller.remove_stale_folders() == 0
    assert (folder / "pip.conf").exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert folder.exists()
    assert controller.remove_stale_folders() == 1
    assert not folder.exists()


def test_a_folder_that_another_process_still_names_stays(
    working: tuple["subprocess.Popen[str]", Path],
) -> None:
    process, folder = working
    process.send_signal(signal.SIGKILL)
    process.wait()
    argv = ["sh", "-c", "read line", str(folder / "expected-hosts")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE):
        assert controller.remove_stale_folders() == 0
    assert controller.remove_stale_folders() == 1


def test_the_own_folder_stays_and_goes_at_the_end() -> None:
    with paths.temporary_folder() as folder:
        assert controller.remove_stale_folders() == 0
        assert folder.exists()
    assert not folder.exists()


def test_what_only_has_such_a_name_stays(temporary: Path) -> None:
    (temporary / "fwbench-abcdefgh").mkdir(mode=0o700)
    (temporary / "fwbench-traceback-1.txt").touch()
    precious = temporary / "precious"
    precious.mkdir()
    (precious / paths.LOCK).touch()
    (temporary / "fwbench-link").symlink_to(precious)
    if os.geteuid() == 0:
        theirs = temporary / "fwbench-theirs"
        theirs.mkdir()
        (theirs / paths.LOCK).touch()
        os.chown(theirs, 65534, 65534)
    before = sorted(temporary.rglob("*"))
    assert controller.remove_stale_folders() == 0
    assert sorted(temporary.rglob("*")) == before


def test_a_pipe_in_place_of_a_lock_delays_nobody(temporary: Path) -> None:
    (temporary / "fwbench-pipe").mkdir()
    os.mkfifo(temporary / "fwbench-pipe" / paths.LOCK)
    controller.remove_stale_folders()
