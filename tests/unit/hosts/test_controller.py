"""Test the removal of what killed fwbench processes left on the controller."""

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

PROGRAM = """
import sys, time
from fwbench import paths

with paths.temporary_folder() as folder:
    (folder / "pip.conf").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that replaces the system's folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(controller, "SOCKETS_PARENT", tmp_path)
    return tmp_path


@pytest.fixture
def process_with_folder(temporary_parent: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """Yield a process that uses a temporary folder, and this folder."""
    environment = {
        **os.environ,
        "TMPDIR": str(temporary_parent),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    argv = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_folder_of_a_killed_process_is_removed(
    process_with_folder: tuple["subprocess.Popen[str]", Path],
) -> None:
    process, folder = process_with_folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert controller.remove_stale_folders() == 0
    assert (folder / "pip.conf").exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert folder.exists()
    assert controller.remove_stale_folders() == 1
    assert not folder.exists()


def test_folder_named_by_another_process_is_kept(
    process_with_folder: tuple["subprocess.Popen[str]", Path],
) -> None:
    process, folder = process_with_folder
    process.send_signal(signal.SIGKILL)
    process.wait()
    argv = ["sh", "-c", "read line", str(folder / "expected-hosts")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE):
        assert controller.remove_stale_folders() == 0
    assert controller.remove_stale_folders() == 1


def test_own_folder_is_kept_until_the_end() -> None:
    with paths.temporary_folder() as folder:
        assert controller.remove_stale_folders() == 0
        assert folder.exists()
    assert not folder.exists()


def test_unrelated_files_with_a_similar_name_are_kept(temporary_parent: Path) -> None:
    (temporary_parent / "fwbench-abcdefgh").mkdir(mode=0o700)
    (temporary_parent / "fwbench-traceback-1.txt").touch()
    precious = temporary_parent / "precious"
    precious.mkdir()
    (precious / paths.LOCK).touch()
    (temporary_parent / "fwbench-link").symlink_to(precious)
    if os.geteuid() == 0:
        foreign = temporary_parent / "fwbench-foreign"
        foreign.mkdir()
        (foreign / paths.LOCK).touch()
        os.chown(foreign, 65534, 65534)
    before = sorted(temporary_parent.rglob("*"))
    assert controller.remove_stale_folders() == 0
    assert sorted(temporary_parent.rglob("*")) == before


def test_fifo_in_place_of_a_lock_does_not_block(temporary_parent: Path) -> None:
    (temporary_parent / "fwbench-pipe").mkdir()
    os.mkfifo(temporary_parent / "fwbench-pipe" / paths.LOCK)
    controller.remove_stale_folders()
