import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builders import finding, header, record, rig, suite
from click.testing import CliRunner, Result
from repository import ROOT

from fwbench.checks.registry import CHECKS
from fwbench.cli.main import main
from fwbench.loadgen.registry import LOADGENS
from fwbench.plan import make_plan
from fwbench.storage.store import SessionStore

KINDS = ("suites", "contenders", "checks", "sessions", "loadgens")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fwbench(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def objects(kind: str, *arguments: str) -> Any:
    done = fwbench("list", kind, "--format", "json", *arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def make_session(name: str, hour: int) -> Path:
    store = SessionStore.create(Path("sessions") / name)
    store.initialise(
        header(created_at=f"2026-11-23T{hour:02}:00:00+00:00"), make_plan(suite(), [rig()])
    )
    store.append_record(record())
    store.append_record(record(block=2, findings=(finding(),)))
    return store.folder


def test_suites_and_contenders_are_those_that_come_with_fwbench() -> None:
    suites = objects("suites")
    assert [each["name"] for each in suites] == [
        file.stem for file in sorted((ROOT / "suites").glob("*.yml"))
    ]
    assert suites[-1]["question"] == "Do all contenders answer, and do all parts of fwbench work?"
    assert Path(suites[-1]["file"]).is_file()
    contenders = objects("contenders")
    assert [each["name"] for each in contenders] == ["fastapi", "flask"]
    assert contenders[0]["endpoints"] == ["hello", "json"]


def test_checks_are_listed_with_level_and_meaning() -> None:
    assert [each["code"] for each in objects("checks")] == [check.code for check in CHECKS]
    assert "oom-kill                invalid  The kernel's OOM killer" in (
        fwbench("list", "checks").stdout
    )


def test_load_generators_are_listed() -> None:
    assert {each["name"] for each in objects("loadgens")} == set(LOADGENS)
    assert all(each["description"] for each in objects("loadgens"))


def test_sessions_are_listed_with_runs_and_verdicts_and_damage() -> None:
    make_session("published-1", 10)
    (make_session("published-2", 11) / "plan.json").unlink()
    done = fwbench("list", "sessions")
    assert (done.exit_code, done.stderr) == (0, "")
    head, _, *rows = (" ".join(line.split()) for line in done.stdout.splitlines())
    assert head == "session suite started (UTC) runs verdicts"
    assert rows[0].startswith("sessions/published-2 published 2026-11-23 11:00:00 0 of ? damaged: ")
    assert rows[-1] == (
        "sessions/published-1 published 2026-11-23 10:00:00 2 of 30 1 valid, 1 invalid"
    )
    sound = objects("sessions", "--sessions", "sessions")[1]
    assert sound == {
        "folder": "sessions/published-1",
        "suite": "published",
        "started": "2026-11-23T10:00:00+00:00",
        "planned": 30,
        "executed": 2,
        "valid": 1,
        "suspect": 0,
        "invalid": 1,
        "damage": None,
    }


def test_no_sessions_are_an_empty_list() -> None:
    done = fwbench("list", "sessions", "--format", "json")
    assert (done.exit_code, done.stdout) == (0, "[]\n")
    assert done.stderr == "sessions: contains no session\n"
    assert fwbench("list", "sessions").stdout == ""


def test_hostile_texts_of_a_session_are_printed_harmlessly() -> None:
    folder = make_session("published-1\x1b[2J", 10)
    file = folder / "session.json"
    file.write_text(file.read_text().replace('"published"', '"\\u001b[2J\\nx"'))
    done = fwbench("list", "sessions")
    assert "\x1b" not in done.stdout
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_tables_have_no_line_beyond_a_page_and_no_trailing_space(kind: str) -> None:
    make_session("published-1", 10)
    lines = fwbench("list", kind).stdout.splitlines()
    assert len(lines) >= 3
    assert all(line == line.rstrip() and len(line) <= 100 for line in lines)


# The newest session


@pytest.mark.parametrize("command", ["report", "resume"])
def test_last_is_the_newest_session_and_is_named_on_standard_error(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_session("published-1", 10)
    newest = make_session("published-2", 11)
    make_session("published-3", 9)
    monkeypatch.setattr("fwbench.hosts.changes.config_changes", lambda *_: [])
    monkeypatch.setattr("fwbench.execution.session.Session.run", lambda session: session.store)
    done = fwbench(command, "last")
    assert done.exit_code == 8  # one run is invalid
    assert done.stderr == f"the last session is {newest}\n"
    assert done.stdout.endswith(f"Session: {newest}\n")


def test_last_looks_in_the_folder_that_is_named() -> None:
    folder = make_session("published-1", 10)
    Path("sessions").rename("elsewhere")
    done = fwbench("report", "last")
    assert (done.exit_code, done.stdout) == (10, "")
    assert done.stderr == "fwbench: sessions: contains no session; name a session's folder\n"
    done = fwbench("report", "last", "--sessions", "elsewhere")
    assert done.stderr == f"the last session is elsewhere/{folder.name}\n"


# Imports

SLOW = {
    *["ansible", "ansible_runner", "fabric", "invoke", "numpy", "paramiko", "rich", "scipy"],
    "tabulate",
}
WITHOUT_MODELS = ("suites", "contenders", "sessions")


@pytest.mark.parametrize(
    "words", [*(("list", kind) for kind in KINDS), ("validate", "smoke")], ids=" ".join
)
def test_a_listing_imports_nothing_slow(words: tuple[str, ...]) -> None:
    make_session("published-1", 10)
    slow = SLOW | ({"pydantic"} if words[-1] in WITHOUT_MODELS else set())
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('slow:', sorted(set(sys.modules) & {slow})))\n"
        "from fwbench.cli.main import main\n"
        "main(prog_name='fwbench')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("slow: []\n")
