import gzip
import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from building import SAMPLES, answer, container
from fakes import FakeHost

from fwbench import raw
from fwbench.errors import HostError, RunError
from fwbench.model.observation import Answer

ENDED = {
    "exit_status": 0,
    "timed_out": False,
    "started": 1.0,
    "load_s": 4.1,
    "answer_after": answer().model_dump(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a run leaves whose load ended well: 1000 requests and as many rows."""
    (tmp_path / raw.LOAD).write_text(json.dumps(ENDED))
    (tmp_path / raw.OUTPUT).write_text((SAMPLES / "1.52" / "ok-n.out").read_text())
    (tmp_path / raw.ERRORS).write_text("")
    write_log(tmp_path, "".join(f"{10**15 + n * 1000}\t200\t2000\n" for n in range(1000)))
    (tmp_path / raw.CONTAINER_AFTER).write_text(container().model_dump_json())
    return tmp_path


def write_log(folder: Path, text: str) -> None:
    (folder / raw.LOG).write_bytes(gzip.compress(text.encode()))


def change(folder: Path, **changes: Any) -> None:
    (folder / raw.LOAD).write_text(json.dumps(ENDED | changes))


def test_a_run_that_ended_well_has_everything(folder: Path) -> None:
    left = raw.read(folder)
    assert left.load_s == 4.1
    assert left.answer_after == answer()
    assert left.container_after == container()
    assert left.load is not None
    assert (left.load.exit_status, left.load.timed_out, left.load.stderr) == (0, False, "")
    assert left.load.figures is not None
    assert left.load.figures.requests_done == 1000
    assert left.load.log is not None
    assert left.load.log.rows == 1000
    assert left.load.unreadable is None


def test_reading_twice_gives_the_same(folder: Path) -> None:
    assert raw.read(folder) == raw.read(folder)


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    assert raw.read(tmp_path) == raw.Left()


def test_a_run_without_a_load_has_its_container_alone(folder: Path) -> None:
    (folder / raw.LOAD).unlink()
    assert raw.read(folder) == raw.Left(container_after=container())


def test_output_that_no_version_prints_gives_no_figures_but_the_reason(folder: Path) -> None:
    (folder / raw.OUTPUT).write_text("Segmentation fault\n")
    load = raw.read(folder).load
    assert load is not None
    assert load.figures is None
    assert load.unreadable == "h2load printed no 'finished in' line"


def test_a_load_generator_that_could_not_be_started_is_the_reason(folder: Path) -> None:
    change(folder, exit_status=None, unstartable="h2load: No such file or directory")
    load = raw.read(folder).load
    assert load is not None
    assert load.unreadable == "h2load: No such file or directory"
    assert (load.figures, load.log) == (None, None)


def test_a_killed_load_generator_has_no_exit_status(folder: Path) -> None:
    change(folder, exit_status=None, timed_out=True)
    (folder / raw.OUTPUT).write_text("")
    load = raw.read(folder).load
    assert load is not None
    assert (load.exit_status, load.timed_out, load.figures) == (None, True, None)


def test_a_missing_log_has_no_rows(folder: Path) -> None:
    (folder / raw.LOG).unlink()
    load = raw.read(folder).load
    assert load is not None
    assert load.log is not None
    assert load.log.rows == 0


def test_a_torn_log_gives_no_summary_but_the_reason(folder: Path) -> None:
    packed = (folder / raw.LOG).read_bytes()
    (folder / raw.LOG).write_bytes(packed[: len(packed) // 2])
    load = raw.read(folder).load
    assert load is not None
    assert load.log is None
    assert load.unreadable is not None


@pytest.mark.parametrize("content", [b"plain text\n", b"\x1f\x8b\x08\x00garbage of all kinds"])
def test_a_log_that_is_no_archive_gives_no_summary(folder: Path, content: bytes) -> None:
    (folder / raw.LOG).write_bytes(content)
    load = raw.read(folder).load
    assert load is not None
    assert load.log is None


def test_only_the_end_of_a_flood_of_errors_is_kept(folder: Path) -> None:
    (folder / raw.ERRORS).write_text("x" * 100_000 + "end")
    load = raw.read(folder).load
    assert load is not None
    assert len(load.stderr) == 4000
    assert load.stderr.endswith("end")


def test_bytes_that_are_no_text_are_shown(folder: Path) -> None:
    (folder / raw.ERRORS).write_bytes(b"\xff!")
    load = raw.read(folder).load
    assert load is not None
    assert load.stderr == "\\xff!"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"{}", b"\xff", json.dumps(ENDED | {"answer_after": 7}).encode()],
)
def test_a_load_file_that_the_agent_never_writes_is_an_error(folder: Path, content: bytes) -> None:
    (folder / raw.LOAD).write_bytes(content)
    with pytest.raises(RunError, match=str(folder / raw.LOAD)):
        raw.read(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff"])
def test_a_container_file_that_the_agent_never_writes_is_an_error(
    folder: Path, content: bytes
) -> None:
    (folder / raw.CONTAINER_AFTER).write_bytes(content)
    with pytest.raises(RunError, match=str(folder / raw.CONTAINER_AFTER)):
        raw.read(folder)


def test_a_fetched_file_is_kept_and_told(tmp_path: Path) -> None:
    host = FakeHost("client")
    host.folders.add("/there")
    host.put(b"\xff text", "/there/file")
    assert raw.fetch(host, PurePosixPath("/there/file"), tmp_path / "here") == "\\xff text"
    assert (tmp_path / "here").read_bytes() == b"\xff text"


def test_a_file_that_is_not_there_is_an_error_of_the_host(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="client: no such file: /nowhere"):
        raw.fetch(FakeHost("client"), PurePosixPath("/nowhere"), tmp_path / "here")


def test_a_model_is_read_from_its_text() -> None:
    assert raw.model(Answer, '{"status": 200}', Path("answer.json")) == Answer(status=200)


def test_a_text_that_is_no_model_is_an_error_that_names_the_file() -> None:
    with pytest.raises(RunError, match=r"answer\.json: not what the agent writes"):
        raw.model(Answer, '{"surprise": 1}', Path("answer.json"))
