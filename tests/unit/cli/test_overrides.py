"""`fwbench run` with options that override values of the suite."""

import shutil
from pathlib import Path

import pytest
from builders import rig
from click.testing import CliRunner, Result
from repository import ROOT

from fwbench.cli.main import main
from fwbench.execution.session import Session
from fwbench.storage.store import SessionStore


@pytest.fixture(autouse=True)
def _no_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace `Session.run`, so that sessions execute no run."""

    def run(session: Session) -> SessionStore:
        if not session.store.folder.exists():
            SessionStore.create(session.store.folder)
            session.store.initialise(session.header, session.plan)
        return session.store

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Session, "run", run)
    monkeypatch.setattr("fwbench.cli.runs.load_rigs", lambda *_, **_options: [rig()])


def fwbench(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def run(*arguments: str, suite: str = "flask-vs-fastapi") -> Result:
    return fwbench("run", suite, "-i", "hosts.yml", *arguments)


def stored_session(tmp_path: Path) -> SessionStore:
    (folder,) = (tmp_path / "sessions").iterdir()
    return SessionStore(folder)


def test_session_stores_and_reports_overrides(
    tmp_path: Path,
) -> None:
    result = run(
        *["--preset", "standard", "--blocks", "3", "--seed", "9", "--contender", "fastapi"],
        *["--set", "loads.0.connections=64", "--set", "preset=smoke", "-q"],
    )
    assert (result.exit_code, result.stderr) == (0, "")
    header, plan = stored_session(tmp_path).load()
    overrides = ("loads.0.connections=64", "preset=smoke", "preset=standard", "blocks=3", "seed=9")
    assert header.overrides == (*overrides, 'contenders=["flask", "fastapi"]')
    assert (header.suite.preset, header.suite.blocks, header.suite.seed) == ("standard", 3, 9)
    assert header.suite.loads[0].connections == 64
    assert {run.trial.load.connections for run in plan.runs} == {64}
    assert f"Set on the command line: {', '.join(overrides)}," in " ".join(result.stdout.split())


def test_resume_accepts_overrides_until_the_file_changes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "suites" / "smoke.yml", tmp_path / "mine.yml")
    assert run("--set", "loads.0.connections=64", "-q", suite="mine.yml").exit_code == 0
    folder = str(stored_session(tmp_path).folder)
    assert fwbench("resume", folder, "-q").exit_code == 0
    file = tmp_path / "mine.yml"
    file.write_text(file.read_text() + "seed: 5\n")
    result = fwbench("resume", folder, "-q")
    assert result.exit_code == 10
    assert "mine.yml has changed: seed" in result.stderr


def test_report_without_overrides_mentions_none() -> None:
    assert "command line" not in run("-q").stdout


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--blocks", "0"], "command line: blocks=0: blocks: must be at least 1, not 0"),
        (["--set", "loads.0.conections=1"], "loads[0].conections: unknown key; did you mean"),
        (["--set", "blocks"], "'blocks': write an override as KEY=VALUE"),
        (
            ["--contender", "rocket"],
            "--contender 'rocket': the suite has the contenders flask, fastapi",
        ),
        (
            ["--contender", "fastapi", "--set", "baseline=rocket"],
            "command line: baseline=rocket: baseline: 'rocket' is not among the contenders",
        ),
    ],
)
def test_invalid_override_is_named_in_one_line(arguments: list[str], error: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (3, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("fwbench: ")
    assert error in line


def test_contender_option_keeps_the_baseline(tmp_path: Path) -> None:
    assert run("--contender", "fastapi", "-q").exit_code == 0
    assert stored_session(tmp_path).header().suite.contenders == ("flask", "fastapi")
    shutil.rmtree(tmp_path / "sessions")
    assert run("--contender", "fastapi", "--set", "baseline=", "-q").exit_code == 0
    assert stored_session(tmp_path).header().suite.contenders == ("fastapi",)
