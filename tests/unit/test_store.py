import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from building import answer, header, observation, record, rig, suite

from fwbench.errors import SessionError
from fwbench.model.run import Plan
from fwbench.plan import make_plan
from fwbench.store import Store

PLAN: Plan = make_plan(suite(blocks=2), [rig()])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.create(tmp_path / "sessions" / "published-1")
    made.begin(header(), PLAN)
    return made


def test_a_folder_is_made_with_those_above_it_and_is_its_users_alone(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "sessions" / "deep" / "s")
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_a_folder_that_is_there_already_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "records.jsonl").write_text("dear\n")
    with pytest.raises(SessionError, match=f"{tmp_path}/s: no session folder.*File exists"):
        Store.create(tmp_path / "s")
    assert (tmp_path / "s" / "records.jsonl").read_text() == "dear\n"


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SessionError, match="no session folder can be made"):
        Store.create(tmp_path / "file" / "s")


def test_what_was_written_at_the_beginning_is_read_again(store: Store) -> None:
    again = Store(store.folder)
    assert again.header() == header()
    assert again.plan() == PLAN
    assert again.records() == []


def test_what_was_appended_is_read_again_in_its_order(store: Store) -> None:
    records = [record(block=block) for block in (2, 1, 3)]
    for each in records:
        store.append(each)
    assert Store(store.folder).records() == records


def test_appending_changes_nothing_before(store: Store) -> None:
    store.append(record(block=1))
    before = (store.folder / "records.jsonl").read_bytes()
    store.append(record(block=2))
    assert (store.folder / "records.jsonl").read_bytes().startswith(before)


def test_a_record_is_one_line_whatever_is_in_it(store: Store) -> None:
    hostile = observation(answer_before=answer(body='a\nb\r\u2028"\x00 ü 🎉'))
    written = record().model_copy(update={"observation": hostile})
    store.append(written)
    assert (store.folder / "records.jsonl").read_bytes().count(b"\n") == 1
    assert store.records() == [written]


def test_a_record_is_on_the_disk_before_the_next_run(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(len(store.records())))
    store.append(record())
    assert synced == [1]


@pytest.mark.parametrize("kept", [1, 100, -2])
def test_a_torn_last_line_is_no_record(store: Store, kept: int) -> None:
    store.append(record(block=1))
    line = record(block=2).model_dump_json() + "\n"
    with (store.folder / "records.jsonl").open("a") as file:
        file.write(line[:kept])
    assert store.records() == [record(block=1)]


def test_a_line_without_its_end_is_torn_even_if_it_is_whole(store: Store) -> None:
    (store.folder / "records.jsonl").write_text(record().model_dump_json())
    assert store.records() == []


def test_a_broken_line_that_is_not_the_last_is_an_error(store: Store) -> None:
    (store.folder / "records.jsonl").write_text("{\n" + record().model_dump_json() + "\n")
    with pytest.raises(SessionError, match=str(store.folder / "records.jsonl")):
        store.records()


def change_schema(path: Path) -> None:
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"schema_version": 1}) + "\n")


def test_records_of_another_schema_are_refused(store: Store) -> None:
    store.append(record())
    change_schema(store.folder / "records.jsonl")
    with pytest.raises(SessionError, match=r"records\.jsonl: schema_version: "):
        store.records()


def test_a_header_of_another_schema_is_refused(store: Store) -> None:
    change_schema(store.folder / "session.json")
    with pytest.raises(SessionError, match=r"session\.json: schema_version: "):
        store.header()


def test_an_unknown_field_is_refused(store: Store) -> None:
    (store.folder / "plan.json").write_text('{"seed": 1, "runs": [], "surprise": 1}')
    with pytest.raises(SessionError, match=r"plan\.json: surprise: "):
        store.plan()


@pytest.mark.parametrize("read", ["header", "plan", "records"])
def test_a_folder_that_is_no_session_is_said_to(tmp_path: Path, read: str) -> None:
    with pytest.raises(SessionError, match=f"{tmp_path}: not a session folder") as refused:
        getattr(Store(tmp_path), read)()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("read", ["header", "plan", "records"])
def test_a_folder_that_is_missing_is_said_to(tmp_path: Path, read: str) -> None:
    with pytest.raises(SessionError, match="nowhere: not a session folder"):
        getattr(Store(tmp_path / "nowhere"), read)()


def test_files_that_are_no_text_are_refused(store: Store) -> None:
    for name in ("session.json", "plan.json", "records.jsonl"):
        (store.folder / name).write_bytes(b"\xff\xfe\n")
    for read in (store.header, store.plan, store.records):
        with pytest.raises(SessionError):
            read()


def test_a_disk_that_is_full_is_an_error_of_the_session(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SessionError, match=r"records\.jsonl: No space left on device"):
        store.append(record())


def test_a_beginning_that_cannot_be_written_is_an_error_of_the_session(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"session\.json: No such file or directory"):
        Store(tmp_path / "nowhere").begin(header(), PLAN)


def test_each_run_has_a_folder_of_its_own(store: Store) -> None:
    folders = {store.run_folder(run.id) for run in PLAN.runs}
    assert len(folders) == len(PLAN.runs)
    assert {folder.parent for folder in folders} == {store.folder / "runs"}


def test_a_session_is_written_and_read_in_any_locale(tmp_path: Path) -> None:
    """An answer may hold what the locale's own encoding cannot."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from building import answer, header, observation, record\n"
        "from fwbench.store import Store\n"
        "from fwbench.model.run import Plan\n"
        "store = Store.create(Path(sys.argv[1]))\n"
        "store.begin(header(), Plan(seed=1, runs=()))\n"
        "seen = observation(answer_before=answer(body='\\u4e16\\u754c'))\n"
        "store.append(record().model_copy(update={'observation': seen}))\n"
        "assert store.records()[0].observation == seen\n"
    )
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s"), tests],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    assert done.stderr == ""
    assert len(Store(tmp_path / "s").records()) == 1
