import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fwbench.agent import files


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files, "give_to_folder_owner", full)
    with pytest.raises(OSError, match="disk full"):
        files.write(tmp_path / "answer.json", {})
    assert not (tmp_path / "answer.json").exists()


def test_a_file_that_root_writes_is_the_folders_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *owner, **_: given.append((path.name, owner)))
    files.write(tmp_path / "facts.json", {})
    owner = (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    assert given == [("facts.json.partial", owner)]


@pytest.fixture
def _no_longer_than_a_moment() -> Iterator[None]:
    signal.alarm(10)  # ends the tests: nothing else interrupts a read that hangs
    yield
    signal.alarm(0)


@pytest.mark.usefixtures("_no_longer_than_a_moment")
class TestWhatIsNoSmallFileIsNotRead:
    def test_a_fifo(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "lease.json")
        with pytest.raises(OSError, match="not a regular file"):
            files.read(tmp_path / "lease.json")

    def test_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("{}")
        (tmp_path / "lease.json").symlink_to(tmp_path / "secret")
        with pytest.raises(OSError, match="symbolic links"):
            files.read(tmp_path / "lease.json")

    def test_a_link_to_a_device_without_an_end(self, tmp_path: Path) -> None:
        (tmp_path / "lease.json").symlink_to("/dev/zero")
        with pytest.raises(OSError, match="symbolic links"):
            files.read(tmp_path / "lease.json")

    def test_a_device(self) -> None:
        with pytest.raises(OSError, match="not a regular file"):
            files.read(Path("/dev/zero"))

    def test_a_huge_file(self, tmp_path: Path) -> None:
        with (tmp_path / "lease.json").open("wb") as huge:
            huge.truncate(1 << 40)
        with pytest.raises(OSError, match="more than 65536 bytes"):
            files.read(tmp_path / "lease.json")


def test_a_small_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "lease.json").write_bytes(b"x" * files.LIMIT_BYTES)
    assert len(files.read(tmp_path / "lease.json")) == files.LIMIT_BYTES


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    for name in ("facts.json", "facts.json.partial"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    files.write(tmp_path / "facts.json", {})
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "facts.json").is_symlink()


def test_a_folder_of_our_own_is_private(folder: Path) -> None:
    files.check_private(folder, files.trusted_users())


def test_a_folder_of_somebody_else_is_not(folder: Path) -> None:
    with pytest.raises(files.UntrustedError, match=r"belongs to user \d+ .* not to fwbench"):
        files.check_private(folder, {os.geteuid() + 1})


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755, 0o1777])
def test_a_folder_that_others_can_enter_is_not(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(files.UntrustedError, match=f"mode {mode:04o} instead of 0700"):
        files.check_private(folder, files.trusted_users())


def test_a_link_to_a_folder_of_our_own_is_not(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(files.UntrustedError, match="is not a folder"):
        files.check_private(tmp_path / "link", files.trusted_users())


@pytest.mark.parametrize(
    ("user", "sudo", "ours"), [(0, "1000", {0, 1000}), (0, None, {0}), (1000, "0", {1000})]
)
def test_ours_are_who_runs_the_agent_and_who_logged_in(
    monkeypatch: pytest.MonkeyPatch, user: int, sudo: str | None, ours: set[int]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.delenv("SUDO_UID", raising=False)
    if sudo is not None:
        monkeypatch.setenv("SUDO_UID", sudo)
    assert files.trusted_users() == ours
