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
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fwbench(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def list_as_json(kind: str, *arguments: str) -> Any:
    result = fwbench("list", kind, "--format", "json", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def make_session(name: str, hour: int) -> Path:
    store = SessionStore.create(Path("sessions") / name)
    store.initialise(
        header(created_at=f"2026-11-23T{hour:02}:00:00+00:00"), make_plan(suite(), [rig()])
    )
    store.append_record(record())
    store.append_record(record(block=2, findings=(finding(),)))
    return store.folder


def test_bundled_suites_and_contenders_are_listed() -> None:
    suites = list_as_json("suites")
    assert [entry["name"] for entry in suites] == [
        file.stem for file in sorted((ROOT / "suites").glob("*.yml"))
    ]
    assert suites[-1]["question"] == "Do all contenders answer, and do all parts of fwbench work?"
    assert Path(suites[-1]["file"]).is_file()
    contenders = list_as_json("contenders")
    assert [entry["name"] for entry in contenders] == ["fastapi", "flask"]
    assert contenders[0]["endpoints"] == ["hello", "json"]


def test_checks_are_listed_with_level_and_meaning() -> None:
    assert [entry["code"] for entry in list_as_json("checks")] == [check.code for check in CHECKS]
    assert "oom-kill                invalid  The kernel's OOM killer" in (
        fwbench("list", "checks").stdout
    )


def test_load_generators_are_listed() -> None:
    assert {entry["name"] for entry in list_as_json("loadgens")} == set(LOADGENS)
    assert all(entry["description"] for entry in list_as_json("loadgens"))


def test_sessions_are_listed_with_runs_verdicts_and_damage() -> None:
    make_session("published-1", 10)
    (make_session("published-2", 11) / "plan.json").unlink()
    result = fwbench("list", "sessions")
    assert (result.exit_code, result.stderr) == (0, "")
    head, _, *rows = (" ".join(line.split()) for line in result.stdout.splitlines())
    assert head == "session suite started (UTC) runs verdicts"
    assert rows[0].startswith("sessions/published-2 published 2026-11-23 11:00:00 0 of ? damaged: ")
    assert rows[-1] == (
        "sessions/published-1 published 2026-11-23 10:00:00 2 of 30 1 valid, 1 invalid"
    )
    intact = list_as_json("sessions", "--sessions", "sessions")[1]
    assert intact == {
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


def test_no_sessions_give_an_empty_list() -> None:
    result = fwbench("list", "sessions", "--format", "json")
    assert (result.exit_code, result.stdout) == (0, "[]\n")
    assert result.stderr == "sessions: contains no session\n"
    assert fwbench("list", "sessions").stdout == ""


def test_control_characters_of_a_session_are_not_printed() -> None:
    folder = make_session("published-1\x1b[2J", 10)
    file = folder / "session.json"
    file.write_text(file.read_text().replace('"published"', '"\\u001b[2J\\nx"'))
    result = fwbench("list", "sessions")
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_table_lines_fit_100_columns_without_trailing_space(kind: str) -> None:
    make_session("published-1", 10)
    lines = fwbench("list", kind).stdout.splitlines()
    assert len(lines) >= 3
    assert all(line == line.rstrip() and len(line) <= 100 for line in lines)


# The newest session


@pytest.mark.parametrize("command", ["report", "resume"])
def test_last_selects_the_newest_session_and_names_it(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_session("published-1", 10)
    newest = make_session("published-2", 11)
    make_session("published-3", 9)
    monkeypatch.setattr("fwbench.hosts.changes.config_changes", lambda *_: [])
    monkeypatch.setattr("fwbench.execution.session.Session.run", lambda session: session.store)
    result = fwbench(command, "last")
    assert result.exit_code == 8  # one run is invalid
    assert result.stderr == f"the last session is {newest}\n"
    assert result.stdout.endswith(f"Session: {newest}\n")


def test_last_searches_the_given_folder() -> None:
    folder = make_session("published-1", 10)
    Path("sessions").rename("elsewhere")
    result = fwbench("report", "last")
    assert (result.exit_code, result.stdout) == (10, "")
    assert result.stderr == "fwbench: sessions: contains no session; name a session's folder\n"
    result = fwbench("report", "last", "--sessions", "elsewhere")
    assert result.stderr == f"the last session is elsewhere/{folder.name}\n"


# Imports

SLOW_MODULES = {
    *["ansible", "ansible_runner", "fabric", "invoke", "numpy", "paramiko", "rich", "scipy"],
    "tabulate",
}
WITHOUT_PYDANTIC = ("suites", "contenders", "sessions")


@pytest.mark.parametrize(
    "arguments", [*(("list", kind) for kind in KINDS), ("validate", "smoke")], ids=" ".join
)
def test_listing_imports_no_slow_module(arguments: tuple[str, ...]) -> None:
    make_session("published-1", 10)
    slow = SLOW_MODULES | ({"pydantic"} if arguments[-1] in WITHOUT_PYDANTIC else set())
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('slow:', sorted(set(sys.modules) & {slow})))\n"
        "from fwbench.cli.main import main\n"
        "main(prog_name='fwbench')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=os.environ
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("slow: []\n")
