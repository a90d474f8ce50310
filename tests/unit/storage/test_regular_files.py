"""What may lie in the place of a session's file, and what becomes of it."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from builders import TIMED, header, record, rig, suite

from fwbench.collection import artifacts, telemetry
from fwbench.collection.histogram import LatencyCounts
from fwbench.collection.telemetry import TimeWindow
from fwbench.errors import FwbenchError, ParseError, RunError, SessionError
from fwbench.model.event import Event
from fwbench.plan import make_plan
from fwbench.storage.regular_files import open_to_write, read_whole
from fwbench.storage.store import SessionStore

WITHIN_S = 2


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def link(path: Path) -> None:
    other = path.with_name("elsewhere")
    other.write_text("{}\n")
    path.symlink_to(other)


def unix_socket(path: Path) -> None:
    with TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{short}/s")  # such names may have 107 bytes at most
        Path(f"{short}/s").rename(path)


IN_PLACE = [fifo, folder, link, unix_socket]

READERS: dict[str, Callable[[SessionStore], object]] = {
    "session.json": SessionStore.header,
    "plan.json": SessionStore.plan,
    "records.jsonl": SessionStore.records,
    "events.jsonl": SessionStore.events,
}

WRITERS: dict[str, Callable[[SessionStore], object]] = {
    "records.jsonl": lambda store: store.append_record(record()),
    "events.jsonl": lambda store: store.append_event(Event(at="now", kind="resumed", reason="so")),
    "session.json.partial": lambda store: store.write_header(header()),
    "lock": lambda store: store.lock().__enter__(),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    made = SessionStore.create(tmp_path / "s")
    asked = suite(blocks=1)
    made.initialise(header(suite=asked), make_plan(asked, [rig()]))
    return made


def error_of(act: Callable[[], object]) -> BaseException | None:
    """What it raises; a failure if it does not come to an end."""
    raised: list[BaseException | None] = []

    def acting() -> None:
        try:
            act()
        except BaseException as error:
            raised.append(error)
        else:
            raised.append(None)

    thread = threading.Thread(target=acting, daemon=True)
    thread.start()
    thread.join(WITHIN_S)
    assert raised, "it hangs"
    return raised[0]


def assert_refused(act: Callable[[], object], family: type[FwbenchError], name: str) -> None:
    error = error_of(act)
    assert isinstance(error, family), repr(error)
    assert name in str(error)
    assert "not a regular file" in str(error)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("put", IN_PLACE)
def test_a_session_reads_nothing_but_regular_files(
    store: SessionStore, name: str, put: Callable[[Path], None]
) -> None:
    (store.folder / name).unlink(missing_ok=True)
    put(store.folder / name)
    assert_refused(lambda: READERS[name](store), SessionError, name)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("put", IN_PLACE)
def test_a_session_writes_nothing_but_regular_files(
    store: SessionStore, name: str, put: Callable[[Path], None]
) -> None:
    (store.folder / name).unlink(missing_ok=True)
    put(store.folder / name)
    assert_refused(lambda: WRITERS[name](store), SessionError, name.removesuffix(".partial"))


@pytest.mark.parametrize("put", IN_PLACE)
def test_what_was_torn_off_goes_to_a_regular_file(
    store: SessionStore, put: Callable[[Path], None]
) -> None:
    (store.folder / "records.jsonl").write_text("{")
    put(store.folder / "records.torn")
    assert_refused(store.repair, SessionError, "records.jsonl")


@pytest.mark.parametrize(
    "name", ["commands.json", "clocks.json", "container-after.json", "telemetry-target.json"]
)
@pytest.mark.parametrize("put", IN_PLACE)
def test_a_run_reads_nothing_but_regular_files(
    tmp_path: Path, name: str, put: Callable[[Path], None]
) -> None:
    put(tmp_path / name)
    read = (
        (lambda: telemetry.read_telemetry(tmp_path / name, TimeWindow(0, 1)))
        if name.startswith("telemetry")
        else (lambda: artifacts.read_artifacts(tmp_path, TIMED))
    )
    assert_refused(read, RunError, name)


@pytest.mark.parametrize("put", IN_PLACE)
def test_counts_are_read_from_nothing_but_regular_files(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    put(tmp_path / "counts.gz")
    assert_refused(lambda: LatencyCounts.read(tmp_path / "counts.gz"), ParseError, "counts.gz")


@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero"])
def test_a_device_is_no_file(name: str) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        read_whole(Path(name), 1)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_whole(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_whole(tmp_path / "file", 4)


@pytest.mark.parametrize("name", ["session.json", "plan.json"])
def test_a_file_of_a_session_that_nobody_could_have_written_is_not_read(
    store: SessionStore, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (store.folder / name).stat().st_size
    monkeypatch.setattr("fwbench.storage.files.FILE_LIMIT_BYTES", size)
    READERS[name](store)
    monkeypatch.setattr("fwbench.storage.files.FILE_LIMIT_BYTES", size - 1)
    with pytest.raises(SessionError, match=rf"{name}.*larger than {size - 1} bytes"):
        READERS[name](store)


def test_a_line_that_no_run_could_have_left_is_not_read(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append_record(record())
    size = (store.folder / "records.jsonl").stat().st_size
    monkeypatch.setattr("fwbench.storage.files.LINE_LIMIT_BYTES", size)
    assert store.records() == [record()]
    monkeypatch.setattr("fwbench.storage.files.LINE_LIMIT_BYTES", size - 1)
    with pytest.raises(SessionError, match=r"records\.jsonl: line 1 is longer than"):
        store.records()


def test_a_file_that_is_made_is_its_users_alone(tmp_path: Path) -> None:
    os.close(open_to_write(tmp_path / "file", os.O_WRONLY))
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
