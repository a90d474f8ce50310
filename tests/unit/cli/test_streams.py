"""Standard output has only a command's result; everything else is on standard error."""

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
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fwbench.cli.runs.load_rigs", lambda *_, **_options: [rig()])


def fwbench(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def execute_one_run(session: Session) -> SessionStore:
    """Send every event of a session to its observer, without a host."""
    observer = session.options.observer
    observer.say("connecting to one-target")
    if not session.store.folder.exists():
        SessionStore.create(session.store.folder)
        session.store.initialise(session.header, session.plan)
    observer.planned(session.plan)
    run = session.plan.runs[len(session.store.records())]
    observer.started(run)
    finished = record(findings=(finding(),)).model_copy(update={"run": run})
    session.store.append_record(finished)
    observer.ended(finished)
    return session.store


def execute_and_fail(session: Session) -> SessionStore:
    execute_one_run(session)
    raise LostError("one-target: does not answer")


def make_session() -> Path:
    store = SessionStore.create(Path("sessions") / "published-1")
    store.initialise(header(), make_plan(suite(), [rig()]))
    store.append_record(record())
    return store.folder


@pytest.mark.parametrize("command", ["run", "resume", "resume last"])
def test_session_prints_only_its_report_on_stdout(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "run", execute_one_run)
    monkeypatch.setattr("fwbench.hosts.changes.config_changes", lambda *_: [])
    if command == "run":
        result = fwbench("run", "smoke", "-i", "hosts.yml")
        (folder,) = Path("sessions").iterdir()
    else:
        folder = make_session()
        result = fwbench("resume", "last" if "last" in command else str(folder))
    assert result.exit_code == 8  # the run is invalid
    assert result.stdout == fwbench("report", str(folder)).stdout
    lines = result.stderr.splitlines()
    assert [line for line in lines if line.startswith("the last session is ")] == (
        [f"the last session is {folder}"] if "last" in command else []
    )
    assert lines[-3] == "connecting to one-target"
    assert lines[-1].startswith("[1/")


@pytest.mark.parametrize("command", ["run", "resume"])
def test_failed_session_prints_nothing_on_stdout(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "run", execute_and_fail)
    monkeypatch.setattr("fwbench.hosts.changes.config_changes", lambda *_: [])
    arguments = ("smoke", "-i", "hosts.yml") if command == "run" else (str(make_session()),)
    result = fwbench(command, *arguments)
    assert (result.exit_code, result.stdout) == (LostError.exit_code, "")
    hint, error = result.stderr.splitlines()[-2:]
    assert hint.startswith("what was measured is kept; continue with: fwbench resume ")
    assert error == "fwbench: one-target: does not answer"


def test_progress_on_a_terminal_excludes_the_report() -> None:
    """With `fwbench resume last > report.txt`, rich draws on standard error, a terminal."""
    folder = make_session()
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
    terminal, child_end = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "PYTHONPATH": str(ROOT)}
    try:
        result = subprocess.run(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=child_end,
            env=environment,
        )
        os.close(child_end)
        screen = os.read(terminal, 2**16).decode()
    finally:
        os.close(terminal)
    assert result.returncode == 8, screen
    assert result.stdout.decode() == fwbench("report", str(folder)).stdout
    assert "\x1b[" in screen
    assert "connecting to one-target" in screen


@pytest.mark.parametrize(
    "arguments",
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
def test_successful_command_prints_nothing_on_stderr(arguments: tuple[str, ...]) -> None:
    make_session()
    result = fwbench(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "last", "--format", "json"),
        ("list", "sessions", "--format", "json"),
        ("list", "checks", "--format", "json"),
        ("schema", "contender"),
    ],
    ids=" ".join,
)
def test_machine_readable_output_is_only_json(arguments: tuple[str, ...]) -> None:
    make_session()
    assert json.loads(fwbench(*arguments).stdout)


@pytest.mark.parametrize(
    "arguments",
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
def test_error_is_printed_only_on_stderr(arguments: tuple[str, ...]) -> None:
    Path("hosts.yml").touch()
    result = fwbench(*arguments)
    assert result.exit_code != 0
    assert result.stdout == ""
    assert result.stderr


def test_validate_prints_problems_on_stdout() -> None:
    shutil.copy(ROOT / "suites" / "smoke.yml", "mine.yml")
    assert fwbench("validate", "mine.yml").stdout == ""
    Path("mine.yml").write_text("name: x\n")
    result = fwbench("validate", "mine.yml")
    assert all(line.startswith("mine.yml:1: ") for line in result.stdout.splitlines())
    assert result.stdout
    assert result.stderr == "1 file, 3 problems\n"
