"""`fwbench report --output` writes a complete file or none, and keeps existing files."""

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


def report(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["report", "session", *arguments])


def files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()} - {"session"}


def test_help_describes_every_format() -> None:
    help_text = "".join(report("--help").stdout.split())  # lines may break at any blank or hyphen
    for report_format in FORMATS.values():
        description = f"{report_format.name} ({report_format.suffix}): {report_format.help}."
        assert "".join(description.split()) in help_text


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("name", FORMATS)
def test_file_equals_the_printed_report(tmp_path: Path, name: str) -> None:
    printed = report("--format", name)
    written = report("--format", name, "--output", "out")
    assert (printed.exit_code, written.exit_code, written.output) == (0, 0, "")
    assert (tmp_path / "out").read_bytes() == printed.stdout_bytes
    assert files(tmp_path) == {"out"}


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("name", FORMATS)
def test_suffix_selects_the_format(tmp_path: Path, name: str) -> None:
    file = f"out{FORMATS[name].suffix}"
    assert report("--output", file).exit_code == 0
    assert (tmp_path / file).read_bytes() == report("--format", name).stdout_bytes


@pytest.mark.usefixtures("session")
def test_unknown_suffix_is_text_and_format_option_wins(tmp_path: Path) -> None:
    report("-o", "one.page")
    assert (tmp_path / "one.page").read_bytes() == report().stdout_bytes
    report("-o", "two.txt", "--format", "json")
    assert (tmp_path / "two.txt").read_bytes() == report("--format", "json").stdout_bytes


@pytest.mark.usefixtures("session")
def test_dash_is_standard_output(tmp_path: Path) -> None:
    assert report("-o", "-").stdout_bytes == report().stdout_bytes
    assert files(tmp_path) == set()


def test_files_of_the_session_are_never_replaced(session: SessionStore) -> None:
    before = (session.folder / "session.json").read_bytes()
    for name in ("session.json", "records.jsonl", "events.jsonl"):
        refused = report("-o", f"session/{name}", "--force")
        assert refused.exit_code == 2
        assert f"session/{name} belongs to the session: name another file" in refused.stderr
    assert (session.folder / "session.json").read_bytes() == before
    assert report("-o", "session/report.txt").exit_code == 0


@pytest.mark.usefixtures("session")
def test_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
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
def test_other_file_types_are_kept_even_if_forced(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "place", tmp_path / "other"
    other.write_text("other")
    make = {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}
    make.get(kind, lambda: path.symlink_to(other))()
    before = path.lstat()
    refused = report("-o", "place", "--force")
    assert refused.exit_code == 2
    assert "place is not a regular file: name another one" in refused.stderr
    assert (path.lstat().st_ino, other.read_text()) == (before.st_ino, "other")


@pytest.mark.usefixtures("session")
def test_missing_folder_is_reported(tmp_path: Path) -> None:
    failed = report("-o", "nowhere/out.txt")
    assert failed.exit_code == 1
    assert failed.stderr == (
        "fwbench: nowhere/out.txt: cannot be written: No such file or directory\n"
    )
    assert files(tmp_path) == set()


def test_invalid_run_sets_the_exit_code_of_a_written_report(
    session: SessionStore, tmp_path: Path
) -> None:
    session.append_record(record(block=2, findings=(finding(),)))
    assert report("-o", "out.txt").exit_code == 8
    assert (tmp_path / "out.txt").exists()


@pytest.mark.usefixtures("session")
def test_missing_package_is_reported_and_no_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    for arguments in ((), ("-o", "out.hlog")):
        failed = report("--format", "hdr", *arguments)
        assert (failed.exit_code, failed.stdout) == (1, "")
        (line,) = failed.stderr.splitlines()
        assert line.endswith("pip install 'fwbench[hdr]'")
    assert files(tmp_path) == set()


def test_failing_report_leaves_the_file_unchanged(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield "a part"
        raise ParseError("truncated")

    mine = tmp_path / "mine"
    mine.write_text("mine")
    with pytest.raises(ParseError):
        write_file(mine, broken(), force=True)
    assert (files(tmp_path), mine.read_text()) == ({"mine"}, "mine")


def test_file_created_meanwhile_is_kept(tmp_path: Path) -> None:
    mine = tmp_path / "mine"

    def slow() -> Iterator[str]:
        mine.write_text("mine")
        yield "report"

    with pytest.raises(Exception, match="exists"):
        write_file(mine, slow(), force=False)
    assert (files(tmp_path), mine.read_text()) == ({"mine"}, "mine")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_disk_error_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "open", lambda *_: open("/dev/full", "wb"))  # noqa: PTH123, SIM115
    with pytest.raises(FwbenchError, match=r"out: cannot be written: No space left on device"):
        write_file(tmp_path / "out", ["text"], force=False)


def test_text_is_written_as_utf_8_and_bytes_unchanged(tmp_path: Path) -> None:
    write_file(tmp_path / "out", ["1.5 ×\n", b"\x00\xff"], force=False)
    assert (tmp_path / "out").read_bytes() == "1.5 ×\n".encode() + b"\x00\xff"


def test_file_has_the_default_mode_of_new_files(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    write_file(tmp_path / "out", ["text"], force=False)
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "other").stat().st_mode
