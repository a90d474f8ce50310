"""The answer of a command is on standard output, and everything else on standard error."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import finding, header, record, rig, suite
from click.testing import CliRunner, Result
from repository import ROOT

from fwbench.cli.main import main
from fwbench.errors import LostError
from fwbench.execution.session import Session
from fwbench.plan import make_plan
from fwbench.storage.store import SessionStore


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fwbench.cli.runs.load_rigs", lambda *_, **_options: [rig()])


def fwbench(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def execute_one_run(session: Session) -> SessionStore:
    """Everything that a session tells its observer, without a host."""
    observer = session.options.observer
    observer.say("connecting to one-target")
    if not session.store.folder.exists():
        SessionStore.create(session.store.folder)
        session.store.initialise(session.header, session.plan)
    observer.planned(session.plan)
    run = session.plan.runs[len(session.store.records())]
    observer.started(run)
    ended = record(findings=(finding(),)).model_copy(update={"run": run})
    session.store.append_record(ended)
    observer.ended(ended)
    return session.store


def fail(session: Session) -> SessionStore:
    execute_one_run(session)
    raise LostError("one-target: does not answer")


def stored() -> Path:
    store = SessionStore.create(Path("sessions") / "published-1")
    store.initialise(header(), make_plan(suite(), [rig()]))
    store.append_record(record())
    return store.folder


@pytest.mark.parametrize("command", ["run", "resume", "resume last"])
def test_a_session_prints_its_report_alone(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "run", execute_one_run)
    monkeypatch.setattr("fwbench.hosts.changes.config_changes", lambda *_: [])
    if command == "run":
        done = fwbench("run", "smoke", "-i", "hosts.yml")
        (folder,) = Path("sessions").iterdir()
    else:
        folder = stored()
        done = fwbench("resume", "last" if "last" in command else str(folder))
    assert done.exit_code == 8  # the run is invalid
    assert done.stdout == fwbench("report", str(folder)).stdout
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("the last session is ")] == (
        [f"the last session is {folder}"] if "last" in command else []
    )
    assert lines[-3] == "connecting to one-target"
    assert lines[-1].startswith("[1/")


@pytest.mark.parametrize("command", ["run", "resume"])
def test_a_session_that_fails_prints_no_answer(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "run", fail)
    monkeypatch.setattr("fwbench.hosts.changes.config_changes", lambda *_: [])
    words = ("smoke", "-i", "hosts.yml") if command == "run" else (str(stored()),)
    done = fwbench(command, *words)
    assert (done.exit_code, done.stdout) == (LostError.exit_code, "")
    kept, error = done.stderr.splitlines()[-2:]
    assert kept.startswith("what was measured is kept; continue with: fwbench resume ")
    assert error == "fwbench: one-target: does not answer"


def test_a_terminal_with_progress_gets_none_of_the_answer() -> None:
    """As in `fwbench resume last > report.txt`: rich draws on standard error while it is one."""
    folder = stored()
    folders = [str(ROOT / "tests" / "support"), str(Path(__file__).parent)]
    script = (
        f"import sys; sys.path[:0] = {folders}\n"
        "import test_streams\n"
        "from fwbench.cli.main import main\n"
        "from fwbench.execution.session import Session\n"
        "from fwbench.hosts import changes\n"
        "changes.config_changes = lambda *_: []\n"
        "Session.run = test_streams.execute_one_run\n"
        "main(['resume', 'last'])\n"
    )
    terminal, end = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=end, env=environment
        )
        os.close(end)
        drawn = os.read(terminal, 2**16).decode()
    finally:
        os.close(terminal)
    assert done.returncode == 8, drawn
    assert done.stdout.decode() == fwbench("report", str(folder)).stdout
    assert "\x1b[" in drawn
    assert "connecting to one-target" in drawn


@pytest.mark.parametrize(
    "words",
    [
        ("run", "smoke", "-i", "hosts.yml", "--dry-run"),
        ("report", "sessions/published-1"),
        ("list", "suites"),
        ("list", "sessions"),
        ("explain",),
        ("explain", "oom-kill"),
        ("docs",),
        ("schema", "suite"),
        ("completion", "zsh"),
    ],
    ids=" ".join,
)
def test_a_command_that_succeeds_prints_nothing_else(words: tuple[str, ...]) -> None:
    stored()
    done = fwbench(*words)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("report", "last", "--format", "json"),
        ("list", "sessions", "--format", "json"),
        ("list", "checks", "--format", "json"),
        ("schema", "contender"),
    ],
    ids=" ".join,
)
def test_what_is_for_programs_is_json_alone(words: tuple[str, ...]) -> None:
    stored()
    assert json.loads(fwbench(*words).stdout)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "nowhere.yml", "-i", "hosts.yml"),
        ("run", "smoke", "-i", "hosts.yml", "--set", "blocks=0"),
        ("resume", "nowhere"),
        ("resume", "last", "--sessions", "nowhere"),
        ("report", "nowhere"),
        ("report", "last", "--sessions", "nowhere"),
        ("list", "xyzzy"),
        ("list", "sessions", "--sessions", "hosts.yml"),
        ("explain", "xyzzy"),
        ("docs", "xyzzy"),
        ("schema", "xyzzy"),
        ("completion", "xyzzy"),
    ],
    ids=" ".join,
)
def test_an_error_is_on_standard_error_alone(words: tuple[str, ...]) -> None:
    Path("hosts.yml").touch()
    done = fwbench(*words)
    assert done.exit_code != 0
    assert done.stdout == ""
    assert done.stderr


def test_the_problems_of_files_are_the_answer_of_a_validation() -> None:
    shutil.copy(ROOT / "suites" / "smoke.yml", "mine.yml")
    assert fwbench("validate", "mine.yml").stdout == ""
    Path("mine.yml").write_text("name: x\n")
    done = fwbench("validate", "mine.yml")
    assert all(line.startswith("mine.yml:1: ") for line in done.stdout.splitlines())
    assert done.stdout
    assert done.stderr == "1 file, 3 problems\n"
