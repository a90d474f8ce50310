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

DEEP = 200_000  # beyond the recursion limit of Python's JSON parser
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
    store = SessionStore.create(tmp_path / "sessions" / "published-1")
    store.initialise(header(), PLAN)
    return store


def test_folder_is_created_with_its_parents_and_has_mode_700(tmp_path: Path) -> None:
    store = SessionStore.create(tmp_path / "sessions" / "deep" / "s")
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_existing_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "records.jsonl").write_text("dear\n")
    with pytest.raises(SessionError, match=f"{tmp_path}/s: no session folder.*File exists"):
        SessionStore.create(tmp_path / "s")
    assert (tmp_path / "s" / "records.jsonl").read_text() == "dear\n"


def test_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SessionError, match="no session folder can be made"):
        SessionStore.create(tmp_path / "file" / "s")


def test_header_and_plan_are_read_back(store: SessionStore) -> None:
    reopened = SessionStore(store.folder)
    assert reopened.header() == header()
    assert reopened.plan() == PLAN
    assert reopened.records() == []


def test_appended_records_are_read_back_in_order(store: SessionStore) -> None:
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


def test_runs_of_one_trial_share_the_trial_object(store: SessionStore) -> None:
    for block in (1, 2):
        store.append_record(record(block=block))
    runs = [*store.plan().runs, *(each.run for each in store.records())]
    distinct = {run.trial for run in runs}
    assert len({id(run.trial) for run in runs}) == len(distinct) == 3


def test_error_about_a_long_key_is_short(store: SessionStore) -> None:
    (store.folder / "plan.json").write_text(json.dumps({"seed": 1, "runs": [], "x" * 5000: 1}))
    with pytest.raises(SessionError, match=r"plan\.json: x{300}: Extra inputs") as caught:
        store.plan()
    assert len(str(caught.value)) < 1000


def test_invalid_trial_is_refused_each_time(store: SessionStore) -> None:
    valid = record().model_dump_json()
    for invalid in ("9" * 4000, "-1", "[[]]"):
        line = valid.replace('"connections":10', f'"connections":{invalid}')
        assert line != valid
        (store.folder / "records.jsonl").write_text(f"{valid}\n{line}\n{valid}\n")
        for _ in range(2):
            with pytest.raises(SessionError, match=r"records\.jsonl: line 2: run\.trial"):
                store.records()


def test_append_does_not_change_earlier_records(store: SessionStore) -> None:
    store.append_record(record(block=1))
    before = (store.folder / "records.jsonl").read_bytes()
    store.append_record(record(block=2))
    assert (store.folder / "records.jsonl").read_bytes().startswith(before)


def test_record_with_line_breaks_is_one_line(store: SessionStore) -> None:
    hostile = observation(answer_before=answer(body='a\nb\r\u2028"\x00 ü 🎉'))
    written = record().model_copy(update={"observation": hostile})
    store.append_record(written)
    assert (store.folder / "records.jsonl").read_bytes().count(b"\n") == 1
    assert store.records() == [written]


def test_record_is_synced_to_disk(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(len(store.records())))
    store.append_record(record())
    assert synced == [1]


@pytest.mark.parametrize("kept_bytes", [1, 100, -2])
def test_torn_last_line_is_ignored(store: SessionStore, kept_bytes: int) -> None:
    store.append_record(record(block=1))
    line = record(block=2).model_dump_json() + "\n"
    with (store.folder / "records.jsonl").open("a") as file:
        file.write(line[:kept_bytes])
    assert store.records() == [record(block=1)]


def test_last_line_without_a_newline_is_ignored(store: SessionStore) -> None:
    (store.folder / "records.jsonl").write_text(record().model_dump_json())
    assert store.records() == []


def test_malformed_line_before_the_last_is_an_error(store: SessionStore) -> None:
    (store.folder / "records.jsonl").write_text("{\n" + record().model_dump_json() + "\n")
    with pytest.raises(SessionError, match=str(store.folder / "records.jsonl")):
        store.records()


@pytest.mark.parametrize("name", ["session.json", "plan.json", "records.jsonl", "events.jsonl"])
def test_deeply_nested_json_is_an_error(store: SessionStore, name: str) -> None:
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


def test_header_of_another_schema_is_refused(store: SessionStore) -> None:
    change_schema(store.folder / "session.json")
    with pytest.raises(SessionError, match=r"session\.json: another version of fwbench wrote it"):
        store.header()


def test_unknown_field_is_refused(store: SessionStore) -> None:
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
def test_plan_of_another_session_is_refused(store: SessionStore, changes: dict[str, Any]) -> None:
    assert store.load() == (header(), PLAN)
    store.write_header(header(**changes))
    with pytest.raises(SessionError, match=r"plan\.json has run r1-\d+-\S+, which session\.json"):
        store.load()


@pytest.mark.parametrize("read", ["header", "plan", "records"])
def test_folder_without_a_session_is_an_error(tmp_path: Path, read: str) -> None:
    with pytest.raises(SessionError, match=f"{tmp_path}: not a session folder") as caught:
        getattr(SessionStore(tmp_path), read)()
    assert "\n" not in str(caught.value)


def test_run_recorded_twice_is_an_error(store: SessionStore) -> None:
    store.append_record(record(block=1))
    store.append_record(record(block=1))
    with pytest.raises(SessionError, match="is recorded twice"):
        store.records()
    with pytest.raises(SessionError, match="is recorded twice"):
        store.completed_run_ids()


def test_lost_attempt_is_kept_beside_the_record_of_its_run(store: SessionStore) -> None:
    lost = record().model_copy(
        update={"observation": observation(failure="cut", infrastructure_failure=True)}
    )
    for each in (lost, lost.model_copy(update={"attempt": 2}), record()):
        store.append_record(each)
    assert store.records() == [record()]
    assert [each.attempt for each in store.lost_attempts()] == [1, 2]
    assert store.completed_run_ids() == {record().run.id}


def test_run_with_only_a_lost_attempt_is_not_completed(store: SessionStore) -> None:
    lost = observation(failure="cut", infrastructure_failure=True)
    store.append_record(record().model_copy(update={"observation": lost}))
    assert store.completed_run_ids() == frozenset()


@pytest.mark.parametrize("tail", TORN, ids=range(len(TORN)))
def test_repair_moves_a_torn_last_line_to_another_file(store: SessionStore, tail: bytes) -> None:
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


def test_complete_records_need_no_repair(store: SessionStore) -> None:
    assert store.repair() is None
    store.append_record(record())
    before = (store.folder / "records.jsonl").read_bytes()
    assert store.repair() is None
    assert (store.folder / "records.jsonl").read_bytes() == before


@given(st.data())
def test_truncation_loses_no_complete_record(data: st.DataObject) -> None:
    written = [record(block=block) for block in (1, 2, 3)]
    content = "".join(each.model_dump_json() + "\n" for each in written).encode()
    kept_bytes = data.draw(st.integers(0, len(content)))
    with TemporaryDirectory() as parent:
        store = SessionStore.create(Path(parent) / "s")
        store.initialise(header(), PLAN)
        (store.folder / "records.jsonl").write_bytes(content[:kept_bytes])
        store.repair()
        assert store.records() == written[: content[:kept_bytes].count(b"\n")]
        assert store.repair() is None


def test_full_disk_leaves_earlier_records_unchanged(
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


def test_header_is_replaced_atomically(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SessionError, match=r"session\.json: No space left on device"):
        store.write_header(header().model_copy(update={"fwbench": "another"}))
    assert store.header() == header()


def test_events_are_read_back_in_order(store: SessionStore) -> None:
    events = tuple(
        Event(at="2026-11-23T10:00:00+00:00", kind=kind, reason="so")
        for kind in ("interrupted", "resumed")
    )
    assert store.events() == ()
    for each in events:
        store.append_event(each)
    assert store.events() == events


def test_next_attempt_moves_the_files_of_the_previous_one(store: SessionStore) -> None:
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


def test_only_one_process_at_a_time_executes_a_session(store: SessionStore) -> None:
    second_lock = SessionStore(store.folder).lock()
    fails = pytest.raises(SessionError, match=f"process {os.getpid()} on .* is executing")
    with store.lock(), fails, second_lock:
        pass
    with store.lock():
        pass


def test_lock_is_released_when_its_process_is_killed(store: SessionStore) -> None:
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
def test_missing_folder_is_an_error(tmp_path: Path, read: str) -> None:
    with pytest.raises(SessionError, match="nowhere: not a session folder"):
        getattr(SessionStore(tmp_path / "nowhere"), read)()


def test_files_that_are_not_utf_8_are_refused(store: SessionStore) -> None:
    for name in ("session.json", "plan.json", "records.jsonl"):
        (store.folder / name).write_bytes(b"\xff\xfe\n\xff\xfe\n")
    for read in (store.header, store.plan, store.records):
        with pytest.raises(SessionError):
            read()


def test_full_disk_is_a_session_error(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SessionError, match=r"records\.jsonl: No space left on device"):
        store.append_record(record())


def test_failure_to_initialise_is_a_session_error(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"records\.jsonl: No such file or directory"):
        SessionStore(tmp_path / "nowhere").initialise(header(), PLAN)


def test_each_run_has_its_own_folder(store: SessionStore) -> None:
    folders = {store.run_folder(run.id) for run in PLAN.runs}
    assert len(folders) == len(PLAN.runs)
    assert {folder.parent for folder in folders} == {store.folder / "runs"}


def test_session_is_written_and_read_in_any_locale(tmp_path: Path) -> None:
    """An answer may contain characters that the encoding of the locale lacks."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from builders import answer, header, observation, record\n"
        "from fwbench.storage.store import SessionStore\n"
        "from fwbench.model.run import Plan\n"
        "store = SessionStore.create(Path(sys.argv[1]))\n"
        "store.initialise(header(), Plan(seed=1, runs=()))\n"
        "expected = observation(answer_before=answer(body='\\u4e16\\u754c'))\n"
        "store.append_record(record().model_copy(update={'observation': expected}))\n"
        "assert store.records()[0].observation == expected\n"
    )
    support = str(ROOT / "tests" / "support")
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s"), support],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    assert result.stderr == ""
    assert len(SessionStore(tmp_path / "s").records()) == 1


def test_lock_file_that_is_not_text_is_quoted(tmp_path: Path) -> None:
    store = SessionStore.create(tmp_path / "session")
    with store.lock():
        (store.folder / "lock").write_bytes(b"\xff")
        with pytest.raises(SessionError, match="xff is executing this session"), store.lock():
            pass


@pytest.mark.parametrize("change", ["rig", "contender"])
def test_record_of_another_session_is_an_error(tmp_path: Path, change: str) -> None:
    store = SessionStore.create(tmp_path / "session")
    store.initialise(header(), make_plan(suite(), [rig()]))
    run = record().run
    other = (
        run.model_copy(update={"rig": "nope"})
        if change == "rig"
        else run.model_copy(update={"trial": run.trial.model_copy(update={"contender": "nope"})})
    )
    store.append_record(record())
    store.append_record(record().model_copy(update={"run": other.model_copy(update={"id": "x"})}))
    _, plan = store.load()
    with pytest.raises(SessionError, match=r"records\.jsonl: run x is of a trial that plan\.json"):
        list(store.attempts(plan))
