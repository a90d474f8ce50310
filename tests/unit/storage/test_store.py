import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from builders import answer, header, observation, record, rig, suite
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT

from fwbench.errors import SessionError
from fwbench.model.event import Event
from fwbench.model.run import Plan
from fwbench.plan import make_plan
from fwbench.storage.store import SessionStore

DEEP = 200_000  # more than Python's own reader of JSON has room for
TORN = [
    b"{",
    '{"a": "ü'.encode()[:-1],
    b"\0" * 50,
    b"\0\0\n",
    b"[" * DEEP + b"\n",
    b"[" * DEEP + b"]" * DEEP + b"\n",
]
PLAN: Plan = make_plan(suite(blocks=2), [rig()])


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    made = SessionStore.create(tmp_path / "sessions" / "published-1")
    made.initialise(header(), PLAN)
    return made


def test_a_folder_is_made_with_those_above_it_and_is_its_users_alone(tmp_path: Path) -> None:
    store = SessionStore.create(tmp_path / "sessions" / "deep" / "s")
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_a_folder_that_is_there_already_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "records.jsonl").write_text("dear\n")
    with pytest.raises(SessionError, match=f"{tmp_path}/s: no session folder.*File exists"):
        SessionStore.create(tmp_path / "s")
    assert (tmp_path / "s" / "records.jsonl").read_text() == "dear\n"


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SessionError, match="no session folder can be made"):
        SessionStore.create(tmp_path / "file" / "s")


def test_what_was_written_at_the_beginning_is_read_again(store: SessionStore) -> None:
    again = SessionStore(store.folder)
    assert again.header() == header()
    assert again.plan() == PLAN
    assert again.records() == []


def test_what_was_appended_is_read_again_in_its_order(store: SessionStore) -> None:
    records = [record(block=block) for block in (2, 1, 3)]
    for each in records:
        store.append_record(each)
    assert SessionStore(store.folder).records() == records


def test_records_are_read_one_by_one(store: SessionStore) -> None:
    store.append_record(record(block=1))
    with (store.folder / "records.jsonl").open("a") as file:
        file.write("{}\n" + record(block=2).model_dump_json() + "\n")
    attempts = store.attempts()
    assert next(attempts) == record(block=1)
    with pytest.raises(SessionError, match=r"records\.jsonl: line 2: run: Field required"):
        next(attempts)


def test_runs_of_one_trial_share_it(store: SessionStore) -> None:
    for block in (1, 2):
        store.append_record(record(block=block))
    runs = [*store.plan().runs, *(each.run for each in store.records())]
    distinct = {run.trial for run in runs}
    assert len({id(run.trial) for run in runs}) == len(distinct) == 3


def test_an_error_about_a_long_key_stays_short(store: SessionStore) -> None:
    (store.folder / "plan.json").write_text(json.dumps({"seed": 1, "runs": [], "x" * 5000: 1}))
    with pytest.raises(SessionError, match=r"plan\.json: x{300}: Extra inputs") as refused:
        store.plan()
    assert len(str(refused.value)) < 1000


def test_a_trial_that_no_run_can_have_is_refused_each_time(store: SessionStore) -> None:
    good = record().model_dump_json()
    for bad in ("9" * 4000, "-1", "[[]]"):
        line = good.replace('"connections":10', f'"connections":{bad}')
        assert line != good
        (store.folder / "records.jsonl").write_text(f"{good}\n{line}\n{good}\n")
        for _ in range(2):
            with pytest.raises(SessionError, match=r"records\.jsonl: line 2: run\.trial"):
                store.records()


def test_appending_changes_nothing_before(store: SessionStore) -> None:
    store.append_record(record(block=1))
    before = (store.folder / "records.jsonl").read_bytes()
    store.append_record(record(block=2))
    assert (store.folder / "records.jsonl").read_bytes().startswith(before)


def test_a_record_is_one_line_whatever_is_in_it(store: SessionStore) -> None:
    hostile = observation(answer_before=answer(body='a\nb\r\u2028"\x00 ü 🎉'))
    written = record().model_copy(update={"observation": hostile})
    store.append_record(written)
    assert (store.folder / "records.jsonl").read_bytes().count(b"\n") == 1
    assert store.records() == [written]


def test_a_record_is_on_the_disk_before_the_next_run(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(len(store.records())))
    store.append_record(record())
    assert synced == [1]


@pytest.mark.parametrize("kept", [1, 100, -2])
def test_a_torn_last_line_is_no_record(store: SessionStore, kept: int) -> None:
    store.append_record(record(block=1))
    line = record(block=2).model_dump_json() + "\n"
    with (store.folder / "records.jsonl").open("a") as file:
        file.write(line[:kept])
    assert store.records() == [record(block=1)]


def test_a_line_without_its_end_is_torn_even_if_it_is_whole(store: SessionStore) -> None:
    (store.folder / "records.jsonl").write_text(record().model_dump_json())
    assert store.records() == []


def test_a_broken_line_that_is_not_the_last_is_an_error(store: SessionStore) -> None:
    (store.folder / "records.jsonl").write_text("{\n" + record().model_dump_json() + "\n")
    with pytest.raises(SessionError, match=str(store.folder / "records.jsonl")):
        store.records()


@pytest.mark.parametrize("name", ["session.json", "plan.json", "records.jsonl", "events.jsonl"])
def test_what_is_nested_too_deeply_is_an_error(store: SessionStore, name: str) -> None:
    deep = "[" * DEEP + "]" * DEEP + "\n"
    (store.folder / name).write_text(deep + "{}\n" if name.endswith("l") else deep)
    readers = {"session.json": store.header, "plan.json": store.plan, "events.jsonl": store.events}
    with pytest.raises(SessionError, match=f"{name}.* recursion limit exceeded"):
        readers.get(name, store.records)()


def change_schema(path: Path) -> None:
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"schema_version": 3}) + "\n")


def test_records_of_another_schema_are_refused(store: SessionStore) -> None:
    store.append_record(record())
    change_schema(store.folder / "records.jsonl")
    with pytest.raises(
        SessionError, match=r"records\.jsonl: line 1: another version of fwbench wrote it"
    ):
        store.records()


def test_a_header_of_another_schema_is_refused(store: SessionStore) -> None:
    change_schema(store.folder / "session.json")
    with pytest.raises(SessionError, match=r"session\.json: another version of fwbench wrote it"):
        store.header()


def test_an_unknown_field_is_refused(store: SessionStore) -> None:
    (store.folder / "plan.json").write_text('{"seed": 1, "runs": [], "surprise": 1}')
    with pytest.raises(SessionError, match=r"plan\.json: surprise: "):
        store.plan()


@pytest.mark.parametrize(
    "changes",
    [
        {"suite": suite(contenders=("flask",))},
        {"suite": suite(endpoints=("json",))},
        {"rigs": (rig("another"),)},
    ],
    ids=["another contender", "another setting", "another rig"],
)
def test_a_plan_of_another_session_is_refused(store: SessionStore, changes: dict[str, Any]) -> None:
    assert store.load() == (header(), PLAN)
    store.write_header(header(**changes))
    with pytest.raises(SessionError, match=r"plan\.json has run r1-\d+-\S+, which session\.json"):
        store.load()


@pytest.mark.parametrize("read", ["header", "plan", "records"])
def test_a_folder_that_is_no_session_is_said_to(tmp_path: Path, read: str) -> None:
    with pytest.raises(SessionError, match=f"{tmp_path}: not a session folder") as refused:
        getattr(SessionStore(tmp_path), read)()
    assert "\n" not in str(refused.value)


def test_a_run_that_is_recorded_twice_is_an_error(store: SessionStore) -> None:
    store.append_record(record(block=1))
    store.append_record(record(block=1))
    with pytest.raises(SessionError, match="is recorded twice"):
        store.records()
    with pytest.raises(SessionError, match="is recorded twice"):
        store.completed_run_ids()


def test_an_attempt_that_was_lost_is_kept_beside_the_record_of_the_run(store: SessionStore) -> None:
    lost = record().model_copy(
        update={"observation": observation(failure="cut", infrastructure_failure=True)}
    )
    for each in (lost, lost.model_copy(update={"attempt": 2}), record()):
        store.append_record(each)
    assert store.records() == [record()]
    assert [each.attempt for each in store.lost_attempts()] == [1, 2]
    assert store.completed_run_ids() == {record().run.id}


def test_a_run_whose_only_attempt_was_lost_is_not_concluded(store: SessionStore) -> None:
    lost = observation(failure="cut", infrastructure_failure=True)
    store.append_record(record().model_copy(update={"observation": lost}))
    assert store.completed_run_ids() == frozenset()


@pytest.mark.parametrize("tail", TORN, ids=range(len(TORN)))
def test_a_torn_last_line_is_taken_off_and_kept(store: SessionStore, tail: bytes) -> None:
    store.append_record(record(block=1))
    with (store.folder / "records.jsonl").open("ab") as file:
        file.write(tail)
    assert store.records() == [record(block=1)]
    repaired = store.repair()
    assert repaired is not None
    assert repaired.torn_bytes == len(tail)
    assert (store.folder / "records.torn").read_bytes().startswith(tail.rstrip(b"\n"))
    store.append_record(record(block=2))
    assert store.records() == [record(block=1), record(block=2)]


def test_whole_records_need_no_repair(store: SessionStore) -> None:
    assert store.repair() is None
    store.append_record(record())
    before = (store.folder / "records.jsonl").read_bytes()
    assert store.repair() is None
    assert (store.folder / "records.jsonl").read_bytes() == before


@given(st.data())
def test_records_cut_anywhere_lose_no_whole_one(data: st.DataObject) -> None:
    written = [record(block=block) for block in (1, 2, 3)]
    whole = "".join(each.model_dump_json() + "\n" for each in written).encode()
    kept = data.draw(st.integers(0, len(whole)))
    with TemporaryDirectory() as place:
        store = SessionStore.create(Path(place) / "s")
        store.initialise(header(), PLAN)
        (store.folder / "records.jsonl").write_bytes(whole[:kept])
        store.repair()
        assert store.records() == written[: whole[:kept].count(b"\n")]
        assert store.repair() is None


def test_a_full_disk_leaves_the_records_as_they_were(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append_record(record(block=1))
    write = os.write

    def full(descriptor: int, content: bytes) -> int:
        if len(content) < 200:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content[:100])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SessionError, match=r"records\.jsonl: No space left on device"):
        store.append_record(record(block=2))
    monkeypatch.undo()
    assert store.repair() is None
    assert store.records() == [record(block=1)]


def test_a_header_is_replaced_whole_or_not_at_all(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SessionError, match=r"session\.json: No space left on device"):
        store.write_header(header().model_copy(update={"fwbench": "another"}))
    assert store.header() == header()


def test_events_are_read_again_in_their_order(store: SessionStore) -> None:
    events = tuple(
        Event(at="2026-11-23T10:00:00+00:00", kind=kind, reason="so")
        for kind in ("interrupted", "resumed")
    )
    assert store.events() == ()
    for each in events:
        store.append_event(each)
    assert store.events() == events


def test_each_attempt_puts_aside_what_the_one_before_left(store: SessionStore) -> None:
    folder = store.run_folder("r1-0001-flask")
    assert store.next_attempt("r1-0001-flask") == 1
    for attempt in (2, 3):
        folder.mkdir(parents=True)
        (folder / "commands.json").write_text(str(attempt - 1))
        assert store.next_attempt("r1-0001-flask") == attempt
        assert not folder.exists()
    assert [
        (store.attempt_folder("r1-0001-flask", number) / "commands.json").read_text()
        for number in (1, 2)
    ] == ["1", "2"]


def test_one_program_at_a_time_executes_a_session(store: SessionStore) -> None:
    again = SessionStore(store.folder).lock()
    refused = pytest.raises(SessionError, match=f"process {os.getpid()} on .* is executing")
    with store.lock(), refused, again:
        pass
    with store.lock():
        pass


def test_the_lock_goes_with_the_program_that_held_it(store: SessionStore) -> None:
    hold = (
        "import os, signal, sys, pathlib\n"
        "from fwbench.storage.store import SessionStore\n"
        "with SessionStore(pathlib.Path(sys.argv[1])).lock():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", hold, str(store.folder)])
    assert killed.returncode == -9
    with store.lock():
        pass


@pytest.mark.parametrize("read", ["header", "plan", "records"])
def test_a_folder_that_is_missing_is_said_to(tmp_path: Path, read: str) -> None:
    with pytest.raises(SessionError, match="nowhere: not a session folder"):
        getattr(SessionStore(tmp_path / "nowhere"), read)()


def test_files_that_are_no_text_are_refused(store: SessionStore) -> None:
    for name in ("session.json", "plan.json", "records.jsonl"):
        (store.folder / name).write_bytes(b"\xff\xfe\n\xff\xfe\n")
    for read in (store.header, store.plan, store.records):
        with pytest.raises(SessionError):
            read()


def test_a_disk_that_is_full_is_an_error_of_the_session(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SessionError, match=r"records\.jsonl: No space left on device"):
        store.append_record(record())


def test_a_beginning_that_cannot_be_written_is_an_error_of_the_session(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"records\.jsonl: No such file or directory"):
        SessionStore(tmp_path / "nowhere").initialise(header(), PLAN)


def test_each_run_has_a_folder_of_its_own(store: SessionStore) -> None:
    folders = {store.run_folder(run.id) for run in PLAN.runs}
    assert len(folders) == len(PLAN.runs)
    assert {folder.parent for folder in folders} == {store.folder / "runs"}


def test_a_session_is_written_and_read_in_any_locale(tmp_path: Path) -> None:
    """An answer may hold what the locale's own encoding cannot."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from builders import answer, header, observation, record\n"
        "from fwbench.storage.store import SessionStore\n"
        "from fwbench.model.run import Plan\n"
        "store = SessionStore.create(Path(sys.argv[1]))\n"
        "store.initialise(header(), Plan(seed=1, runs=()))\n"
        "seen = observation(answer_before=answer(body='\\u4e16\\u754c'))\n"
        "store.append_record(record().model_copy(update={'observation': seen}))\n"
        "assert store.records()[0].observation == seen\n"
    )
    tests = str(ROOT / "tests" / "support")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s"), tests],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    assert done.stderr == ""
    assert len(SessionStore(tmp_path / "s").records()) == 1
