"""`fwbench report --output`: a whole file or none, and never over another one."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import finding, header, record, rig, suite
from click.testing import CliRunner, Result

from fwbench.cli.main import main
from fwbench.cli.output_file import write_file
from fwbench.errors import FwbenchError, ParseError
from fwbench.plan import make_plan
from fwbench.report.registry import FORMATS
from fwbench.storage.store import SessionStore


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionStore:
    monkeypatch.chdir(tmp_path)
    store = SessionStore.create(tmp_path / "session")
    store.initialise(header(), make_plan(suite(), [rig()]))
    store.append_record(record())
    return store


def report(*words: str) -> Result:
    return CliRunner().invoke(main, ["report", "session", *words])


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"session"}


def test_the_help_of_format_lists_every_format_with_its_help() -> None:
    help_text = " ".join(report("--help").stdout.split())
    for each in FORMATS.values():
        assert f"{each.name} ({each.suffix}): {each.help}." in help_text


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_has_what_would_be_printed(tmp_path: Path, name: str) -> None:
    printed = report("--format", name)
    written = report("--format", name, "--output", "there")
    assert (printed.exit_code, written.exit_code, written.output) == (0, 0, "")
    assert (tmp_path / "there").read_bytes() == printed.stdout_bytes
    assert files(tmp_path) == {"there"}


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("name", FORMATS)
def test_the_suffix_selects_the_format(tmp_path: Path, name: str) -> None:
    file = f"there{FORMATS[name].suffix}"
    assert report("--output", file).exit_code == 0
    assert (tmp_path / file).read_bytes() == report("--format", name).stdout_bytes


@pytest.mark.usefixtures("session")
def test_another_suffix_is_text_and_a_format_that_is_named_wins(tmp_path: Path) -> None:
    report("-o", "one.page")
    assert (tmp_path / "one.page").read_bytes() == report().stdout_bytes
    report("-o", "two.txt", "--format", "json")
    assert (tmp_path / "two.txt").read_bytes() == report("--format", "json").stdout_bytes


@pytest.mark.usefixtures("session")
def test_a_file_that_exists_stays_unless_forced(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    refused = report("-o", "mine.txt")
    assert refused.exit_code == 2
    assert "mine.txt exists: name another file, or replace it with --force" in refused.stderr
    assert mine.read_text() == "mine"
    assert report("-o", "mine.txt", "--force").exit_code == 0
    assert mine.read_bytes() == report().stdout_bytes
    assert files(tmp_path) == {"mine.txt"}


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_no_file_stays_even_if_forced(tmp_path: Path, kind: str) -> None:
    place, other = tmp_path / "place", tmp_path / "other"
    other.write_text("other")
    make = {"folder": place.mkdir, "pipe": lambda: os.mkfifo(place)}
    make.get(kind, lambda: place.symlink_to(other))()
    before = place.lstat()
    refused = report("-o", "place", "--force")
    assert refused.exit_code == 2
    assert "place is not a regular file: name another one" in refused.stderr
    assert (place.lstat().st_ino, other.read_text()) == (before.st_ino, "other")


@pytest.mark.usefixtures("session")
def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    failed = report("-o", "nowhere/there.txt")
    assert failed.exit_code == 1
    assert failed.stderr == (
        "fwbench: nowhere/there.txt: cannot be written: No such file or directory\n"
    )
    assert files(tmp_path) == set()


def test_an_invalid_run_shows_in_the_exit_code_of_a_file_too(
    session: SessionStore, tmp_path: Path
) -> None:
    session.append_record(record(block=2, findings=(finding(),)))
    assert report("-o", "there.txt").exit_code == 8
    assert (tmp_path / "there.txt").exists()


@pytest.mark.usefixtures("session")
def test_a_package_that_is_missing_is_one_sentence_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    for words in ((), ("-o", "there.hlog")):
        failed = report("--format", "hdr", *words)
        assert (failed.exit_code, failed.stdout) == (1, "")
        (line,) = failed.stderr.splitlines()
        assert line.endswith("pip install 'fwbench[hdr]'")
    assert files(tmp_path) == set()


def test_a_report_that_fails_in_between_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield "a part"
        raise ParseError("truncated")

    mine = tmp_path / "mine"
    mine.write_text("mine")
    with pytest.raises(ParseError):
        write_file(mine, broken(), force=True)
    assert (files(tmp_path), mine.read_text()) == ({"mine"}, "mine")


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine"

    def slow() -> Iterator[str]:
        mine.write_text("mine")
        yield "report"

    with pytest.raises(Exception, match="exists"):
        write_file(mine, slow(), force=False)
    assert (files(tmp_path), mine.read_text()) == ({"mine"}, "mine")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_one_sentence_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "open", lambda *_: open("/dev/full", "wb"))  # noqa: PTH123, SIM115
    with pytest.raises(FwbenchError, match=r"there: cannot be written: No space left on device"):
        write_file(tmp_path / "there", ["text"], force=False)


def test_text_is_written_as_utf_8_and_bytes_as_they_are(tmp_path: Path) -> None:
    write_file(tmp_path / "there", ["1.5 ×\n", b"\x00\xff"], force=False)
    assert (tmp_path / "there").read_bytes() == "1.5 ×\n".encode() + b"\x00\xff"


def test_a_file_can_be_read_by_those_who_may_read_other_new_files(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    write_file(tmp_path / "there", ["text"], force=False)
    assert (tmp_path / "there").stat().st_mode == (tmp_path / "other").stat().st_mode
