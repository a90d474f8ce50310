import os
from pathlib import Path

import pytest

from fwbench.agent import files


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files, "hand_over", full)
    with pytest.raises(OSError, match="disk full"):
        files.write(tmp_path / "answer.json", {})
    assert not (tmp_path / "answer.json").exists()


def test_a_file_that_root_writes_is_the_folders_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *owner: given.append((path.name, owner)))
    files.write(tmp_path / "facts.json", {})
    owner = (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    assert given == [("facts.json.partial", owner)]
