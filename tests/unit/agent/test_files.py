import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fwbench.agent import files


def test_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files, "give_to_folder_owner", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write(tmp_path / "answer.json", {})
    assert not (tmp_path / "answer.json").exists()


def test_file_written_by_root_belongs_to_folder_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chown_calls = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        os, "chown", lambda path, *owner, **_: chown_calls.append((path.name, owner))
    )
    files.write(tmp_path / "facts.json", {})
    owner = (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    assert chown_calls == [("facts.json.partial", owner)]


@pytest.fixture
def _time_limit() -> Iterator[None]:
    signal.alarm(10)  # ends the test process; nothing else interrupts a read that hangs
    yield
    signal.alarm(0)


@pytest.mark.usefixtures("_time_limit")
class TestReadRefuses:
    def test_a_fifo(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "lease.json")
        with pytest.raises(OSError, match="not a regular file"):
            files.read(tmp_path / "lease.json")

    def test_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("{}")
        (tmp_path / "lease.json").symlink_to(tmp_path / "secret")
        with pytest.raises(OSError, match="symbolic links"):
            files.read(tmp_path / "lease.json")

    def test_a_link_to_an_endless_device(self, tmp_path: Path) -> None:
        (tmp_path / "lease.json").symlink_to("/dev/zero")
        with pytest.raises(OSError, match="symbolic links"):
            files.read(tmp_path / "lease.json")

    def test_a_device(self) -> None:
        with pytest.raises(OSError, match="not a regular file"):
            files.read(Path("/dev/zero"))

    def test_a_huge_file(self, tmp_path: Path) -> None:
        with (tmp_path / "lease.json").open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(OSError, match="more than 65536 bytes"):
            files.read(tmp_path / "lease.json")


def test_file_of_maximum_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "lease.json").write_bytes(b"x" * files.LIMIT_BYTES)
    assert len(files.read(tmp_path / "lease.json")) == files.LIMIT_BYTES


def test_write_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    for name in ("facts.json", "facts.json.partial"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    files.write(tmp_path / "facts.json", {})
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "facts.json").is_symlink()


def test_own_private_folder_is_accepted(folder: Path) -> None:
    files.check_private(folder, files.trusted_users())


def test_folder_of_another_user_is_refused(folder: Path) -> None:
    with pytest.raises(files.UntrustedError, match=r"belongs to user \d+ .* not to fwbench"):
        files.check_private(folder, {os.geteuid() + 1})


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755, 0o1777])
def test_folder_open_to_others_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(files.UntrustedError, match=f"mode {mode:04o} instead of 0700"):
        files.check_private(folder, files.trusted_users())


def test_link_to_own_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(files.UntrustedError, match="is not a folder"):
        files.check_private(tmp_path / "link", files.trusted_users())


@pytest.mark.parametrize(
    ("user", "sudo_uid", "trusted"), [(0, "1000", {0, 1000}), (0, None, {0}), (1000, "0", {1000})]
)
def test_agents_user_and_login_user_are_trusted(
    monkeypatch: pytest.MonkeyPatch, user: int, sudo_uid: str | None, trusted: set[int]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.delenv("SUDO_UID", raising=False)
    if sudo_uid is not None:
        monkeypatch.setenv("SUDO_UID", sudo_uid)
    assert files.trusted_users() == trusted
