"""`fwbench run` with values that replace those of the suite's file."""

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
    """Sessions that execute no run."""

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


def session_of(tmp_path: Path) -> SessionStore:
    (folder,) = (tmp_path / "sessions").iterdir()
    return SessionStore(folder)


def test_the_session_stores_the_suite_with_the_overrides_and_the_report_has_them(
    tmp_path: Path,
) -> None:
    done = run(
        *["--preset", "standard", "--blocks", "3", "--seed", "9", "--contender", "fastapi"],
        *["--set", "loads.0.connections=64", "--set", "preset=smoke", "-q"],
    )
    assert (done.exit_code, done.stderr) == (0, "")
    header, plan = session_of(tmp_path).load()
    overrides = ("loads.0.connections=64", "preset=smoke", "preset=standard", "blocks=3", "seed=9")
    assert header.overrides == (*overrides, 'contenders=["flask", "fastapi"]')
    assert (header.suite.preset, header.suite.blocks, header.suite.seed) == ("standard", 3, 9)
    assert header.suite.loads[0].connections == 64
    assert {run.trial.load.connections for run in plan.runs} == {64}
    assert f"Set on the command line: {', '.join(overrides)}," in " ".join(done.stdout.split())


def test_a_session_with_overrides_can_be_resumed_until_the_file_changes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "suites" / "smoke.yml", tmp_path / "mine.yml")
    assert run("--set", "loads.0.connections=64", "-q", suite="mine.yml").exit_code == 0
    folder = str(session_of(tmp_path).folder)
    assert fwbench("resume", folder, "-q").exit_code == 0
    file = tmp_path / "mine.yml"
    file.write_text(file.read_text() + "seed: 5\n")
    done = fwbench("resume", folder, "-q")
    assert done.exit_code == 10
    assert "mine.yml has changed: seed" in done.stderr


def test_a_report_without_overrides_does_not_mention_any() -> None:
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
            "baseline 'rocket' is not among the contenders",
        ),
    ],
)
def test_a_wrong_override_is_one_sentence_that_names_it(arguments: list[str], error: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("fwbench: ")
    assert error in line


def test_the_baseline_stays_unless_the_suite_has_none(tmp_path: Path) -> None:
    assert run("--contender", "fastapi", "-q").exit_code == 0
    assert session_of(tmp_path).header().suite.contenders == ("flask", "fastapi")
    shutil.rmtree(tmp_path / "sessions")
    assert run("--contender", "fastapi", "--set", "baseline=", "-q").exit_code == 0
    assert session_of(tmp_path).header().suite.contenders == ("fastapi",)
