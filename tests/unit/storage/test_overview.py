import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from builders import finding, header, observation, record, rig, suite
from hypothesis import given, settings
from hypothesis import strategies as st

from fwbench.errors import SessionError
from fwbench.model.record import Record
from fwbench.model.verdict import Level
from fwbench.plan import make_plan
from fwbench.storage.overview import SessionOverview, last_session, session_overviews
from fwbench.storage.store import SessionStore


def create_session(
    parent: Path, name: str = "published-1", *records: Record, at: str = "10"
) -> Path:
    store = SessionStore.create(parent / name)
    created_at = f"2026-11-23T{at}:00:00+00:00"
    store.initialise(header(created_at=created_at), make_plan(suite(), [rig()]))
    for each in records:
        store.append_record(each)
    return store.folder


def single_overview(parent: Path) -> SessionOverview:
    (overview,) = session_overviews(parent)
    return overview


def lost_attempt() -> Record:
    failed = observation(failure="gone", infrastructure_failure=True)
    return record().model_copy(update={"observation": failed})


def test_overview_has_suite_start_plan_and_verdicts(tmp_path: Path) -> None:
    suspect = record(block=2, findings=(finding("drift", Level.SUSPECT),))
    folder = create_session(tmp_path, "published-1", record(), lost_attempt(), suspect)
    assert single_overview(tmp_path) == SessionOverview(
        folder=folder,
        suite="published",
        started="2026-11-23T10:00:00+00:00",
        planned=30,
        verdicts={"valid": 1, "suspect": 1, "invalid": 0},
        damage=None,
    )
    assert single_overview(tmp_path).executed == 2


HOSTILE_TEXT = st.sampled_from(
    [
        *['"verdict":{', '"level":"invalid"', '{"level":"suspect"}'],
        *['"infrastructure_failure":true', '"block":', "\\", '\\"level\\":\\"invalid\\"'],
        *["\n", "}\n{", "é\u2028"],
    ]
)
FINDINGS = st.builds(
    lambda level, evidence: finding(level=level, evidence=evidence),
    st.sampled_from(Level),
    HOSTILE_TEXT | st.text(max_size=20),
)


@given(st.lists(st.tuples(st.lists(FINDINGS, max_size=3), st.booleans(), HOSTILE_TEXT), max_size=6))
@settings(max_examples=100)
def test_verdicts_are_those_of_the_records_despite_hostile_text(
    samples: list[tuple[list[object], bool, str]],
) -> None:
    records = [
        (record(block=n, findings=tuple(findings)) if not is_lost else lost_attempt())  # type: ignore[arg-type]
        for n, (findings, is_lost, _) in enumerate(samples, start=1)
    ]
    records = [
        each.model_copy(
            update={"observation": each.observation.model_copy(update={"failure": text})}
        )
        for each, (*_, text) in zip(records, samples, strict=True)
    ]
    with TemporaryDirectory() as parent:
        folder = create_session(Path(parent), "published-1", *records)
        expected = Counter(each.verdict.status for each in SessionStore(folder).records())
        overview = single_overview(Path(parent))
    assert (overview.damage, overview.planned) == (None, 30)
    assert Counter(overview.verdicts) == expected


@pytest.mark.parametrize(
    ("name", "content", "damage"),
    [
        ("session.json", b"{", "session.json is not that of a session"),
        ("session.json", b"[]", "session.json is not that of a session"),
        ("session.json", b'{"suite": {"name": 1}, "created_at": 2}', "session.json is not that"),
        ("session.json", b"[" * 200_000, "session.json is not that of a session"),
        ("session.json", None, "session.json cannot be read (No such file or directory)"),
        ("plan.json", None, "plan.json cannot be read (No such file or directory)"),
        ("records.jsonl", None, "records.jsonl cannot be read (No such file or directory)"),
        ("records.jsonl", b"nonsense\n{}\n", "records.jsonl: line 1 is not a record"),
    ],
)
def test_damaged_session_has_an_overview_with_the_error(
    tmp_path: Path, name: str, content: bytes | None, damage: str
) -> None:
    folder = create_session(tmp_path, "published-1", record())
    intact = create_session(tmp_path, "published-2", record(), at="09")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    overviews = {each.folder: each for each in session_overviews(tmp_path)}
    assert str(overviews[folder].damage).startswith(damage)
    assert overviews[intact].damage is None


def test_pipe_instead_of_a_file_does_not_block(tmp_path: Path) -> None:
    folder = create_session(tmp_path)
    (folder / "records.jsonl").unlink()
    os.mkfifo(folder / "records.jsonl")
    assert single_overview(tmp_path).damage == "records.jsonl cannot be read (not a regular file)"


@pytest.mark.parametrize("torn", [b"{", b'{"run": {}', b"\0\0\n"])
def test_incomplete_last_record_is_not_damage(tmp_path: Path, torn: bytes) -> None:
    folder = create_session(tmp_path, "published-1", record())
    with (folder / "records.jsonl").open("ab") as file:
        file.write(torn)
    assert (single_overview(tmp_path).executed, single_overview(tmp_path).damage) == (1, None)


def test_sessions_are_listed_newest_first_without_other_folders(tmp_path: Path) -> None:
    create_session(tmp_path, "b-20261123t100000001", at="10")
    create_session(tmp_path, "c-20261123t090000000", at="09")
    create_session(tmp_path, "a-20261123t100000002", at="10")
    (create_session(tmp_path, "z", at="23") / "session.json").write_text("{")
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").touch()
    names = [each.folder.name for each in session_overviews(tmp_path)]
    assert names == ["a-20261123t100000002", "b-20261123t100000001", "c-20261123t090000000", "z"]
    assert last_session(tmp_path).name == names[0]


def test_last_session_without_sessions_is_an_error(tmp_path: Path) -> None:
    (create_session(tmp_path) / "session.json").unlink()
    for parent in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SessionError, match=f"{parent}: contains no session; name a session's"):
            last_session(parent)
    assert session_overviews(tmp_path / "nowhere") == []
    (tmp_path / "file").touch()
    with pytest.raises(SessionError, match="file: cannot be read: Not a directory"):
        session_overviews(tmp_path / "file")
