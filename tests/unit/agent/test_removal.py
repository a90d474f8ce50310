import os
import time
from pathlib import Path

import pytest

from fwbench.agent import removal
from fwbench.agent.removal import remove_folders, remove_one_by_one

LONG_S = 30.0


def test_folder_is_removed_with_its_contents(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text("text")
    os.mkfifo(folder / "fifo")
    (folder / "-rf").mkdir(mode=0o000)
    (folder / "odd\nname").write_text("text")
    remove_folders([folder], LONG_S)
    assert not folder.exists()


def test_link_targets_are_kept(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("precious")
    (folder / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "instead").symlink_to(tmp_path / "precious")
    remove_folders([folder, tmp_path / "instead"], LONG_S)
    assert not folder.exists()
    assert (tmp_path / "precious" / "file").exists()


def test_folder_too_deep_for_python_is_removed(folder: Path) -> None:
    before = os.open(".", os.O_RDONLY)
    os.chdir(folder)
    for _ in range(3000):
        os.mkdir("d")  # noqa: PTH102 - its path is too long
        os.chdir("d")
    os.fchdir(before)
    os.close(before)
    remove_folders([folder], LONG_S)
    assert not folder.exists()


@pytest.mark.parametrize("inside", ["", "/sub", "/sub/a\\040b"])
def test_folder_with_a_mount_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    (folder / "file").write_text("text")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / {folder}{inside} rw,noatime - ext4 /dev/root rw\n")
    monkeypatch.setattr(removal, "MOUNTS", mounts)
    remove_folders([folder], LONG_S)
    assert (folder / "file").exists()


def test_mount_elsewhere_does_not_prevent_removal(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / {folder}-aa rw,noatime - ext4 /dev/root rw\n")
    monkeypatch.setattr(removal, "MOUNTS", mounts)
    remove_folders([folder], LONG_S)
    assert not folder.exists()


def test_removal_stops_at_its_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rm").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "rm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    folders = [tmp_path / f"folder-{number}" for number in range(100)]
    for folder in folders:
        folder.mkdir()
    began = time.monotonic()
    assert remove_one_by_one(folders, 0.5) == 0
    assert time.monotonic() - began < 5


def test_number_of_removed_folders_is_returned(tmp_path: Path) -> None:
    folders = [tmp_path / f"folder-{number}" for number in range(3)]
    for folder in folders:
        folder.mkdir()
    assert remove_one_by_one(folders, LONG_S) == 3
