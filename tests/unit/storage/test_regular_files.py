"""Pipes, folders, links and sockets in place of a session's files."""

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

TIMEOUT_S = 2


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
        listener.bind(f"{short}/s")  # the path of a socket has at most 107 bytes
        Path(f"{short}/s").rename(path)


REPLACEMENTS = [fifo, folder, link, unix_socket]

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
    store = SessionStore.create(tmp_path / "s")
    one_block = suite(blocks=1)
    store.initialise(header(suite=one_block), make_plan(one_block, [rig()]))
    return store


def error_of(action: Callable[[], object]) -> BaseException | None:
    """Return the error that `action` raises, or None. Fail if it does not return in time."""
    raised: list[BaseException | None] = []

    def call_action() -> None:
        try:
            action()
        except BaseException as error:
            raised.append(error)
        else:
            raised.append(None)

    thread = threading.Thread(target=call_action, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    assert raised, "the action hangs"
    return raised[0]


def assert_refused(action: Callable[[], object], error_type: type[FwbenchError], name: str) -> None:
    error = error_of(action)
    assert isinstance(error, error_type), repr(error)
    assert name in str(error)
    assert "not a regular file" in str(error)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("place", REPLACEMENTS)
def test_session_reads_only_regular_files(
    store: SessionStore, name: str, place: Callable[[Path], None]
) -> None:
    (store.folder / name).unlink(missing_ok=True)
    place(store.folder / name)
    assert_refused(lambda: READERS[name](store), SessionError, name)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("place", REPLACEMENTS)
def test_session_writes_only_regular_files(
    store: SessionStore, name: str, place: Callable[[Path], None]
) -> None:
    (store.folder / name).unlink(missing_ok=True)
    place(store.folder / name)
    assert_refused(lambda: WRITERS[name](store), SessionError, name.removesuffix(".partial"))


@pytest.mark.parametrize("place", REPLACEMENTS)
def test_repair_writes_only_to_a_regular_file(
    store: SessionStore, place: Callable[[Path], None]
) -> None:
    (store.folder / "records.jsonl").write_text("{")
    place(store.folder / "records.torn")
    assert_refused(store.repair, SessionError, "records.jsonl")


@pytest.mark.parametrize(
    "name", ["commands.json", "clocks.json", "container-after.json", "telemetry-target.json"]
)
@pytest.mark.parametrize("place", REPLACEMENTS)
def test_artifacts_are_read_only_from_regular_files(
    tmp_path: Path, name: str, place: Callable[[Path], None]
) -> None:
    place(tmp_path / name)
    read = (
        (lambda: telemetry.read_telemetry(tmp_path / name, TimeWindow(0, 1)))
        if name.startswith("telemetry")
        else (lambda: artifacts.read_artifacts(tmp_path, TIMED))
    )
    assert_refused(read, RunError, name)


@pytest.mark.parametrize("place", REPLACEMENTS)
def test_latency_counts_are_read_only_from_regular_files(
    tmp_path: Path, place: Callable[[Path], None]
) -> None:
    place(tmp_path / "counts.gz")
    assert_refused(lambda: LatencyCounts.read(tmp_path / "counts.gz"), ParseError, "counts.gz")


@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero"])
def test_device_is_not_a_regular_file(name: str) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        read_whole(Path(name), 1)


def test_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_whole(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_whole(tmp_path / "file", 4)


@pytest.mark.parametrize("name", ["session.json", "plan.json"])
def test_session_file_over_the_size_limit_is_not_read(
    store: SessionStore, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (store.folder / name).stat().st_size
    monkeypatch.setattr("fwbench.storage.files.FILE_LIMIT_BYTES", size)
    READERS[name](store)
    monkeypatch.setattr("fwbench.storage.files.FILE_LIMIT_BYTES", size - 1)
    with pytest.raises(SessionError, match=rf"{name}.*larger than {size - 1} bytes"):
        READERS[name](store)


def test_line_over_the_length_limit_is_not_read(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append_record(record())
    size = (store.folder / "records.jsonl").stat().st_size
    monkeypatch.setattr("fwbench.storage.files.LINE_LIMIT_BYTES", size)
    assert store.records() == [record()]
    monkeypatch.setattr("fwbench.storage.files.LINE_LIMIT_BYTES", size - 1)
    with pytest.raises(SessionError, match=r"records\.jsonl: line 1 is longer than"):
        store.records()


def test_created_file_has_mode_600(tmp_path: Path) -> None:
    os.close(open_to_write(tmp_path / "file", os.O_WRONLY))
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
