import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from repository import ROOT

from fwbench.checks.registry import CHECKS_BY_CODE
from fwbench.cli.main import main

SLOW_MODULES = ["ansible", "fabric", "numpy", "pydantic", "rich", "scipy", "tabulate", "yaml"]


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def completions(*arguments: str) -> list[str]:
    """Return the completions of the last argument; `file:` and `dir:` leave it to the shell."""
    items = ShellComplete(main, {}, "fwbench", "_FWBENCH_COMPLETE").get_completions(
        list(arguments[:-1]), arguments[-1]
    )
    return [item.value if item.type == "plain" else f"{item.type}:{item.value}" for item in items]


def make_sessions(folder: str, *names: str) -> None:
    for name in names:
        (Path(folder) / name).mkdir(parents=True)
        (Path(folder) / name / "session.json").touch()


@pytest.mark.parametrize(
    "arguments", [("run",), ("validate",), ("validate", "smoke")], ids=" ".join
)
def test_suites_are_completed(arguments: tuple[str, ...]) -> None:
    Path("mine.yml").touch()
    shipped = [path.stem for path in sorted((ROOT / "suites").glob("*.yml"))]
    assert completions(*arguments, "") == [*shipped, "mine.yml"]
    assert completions(*arguments, "s") == ["smoke"]
    assert completions(*arguments, "suites/") == ["file:suites/"]


@pytest.mark.parametrize("command", ["report", "resume"])
def test_sessions_are_completed_newest_first(command: str) -> None:
    make_sessions("sessions", "smoke-2", "smoke-1", "with space", "with`x`")
    (Path("sessions") / "notes").mkdir()
    assert completions(command, "") == ["last", "sessions/smoke-2", "sessions/smoke-1"]
    assert completions(command, "sess") == ["sessions/smoke-2", "sessions/smoke-1"]
    make_sessions("other", "smoke-3")
    assert completions(command, "--sessions", "other", "o") == ["other/smoke-3"]
    assert completions(command, "/tmp") == ["dir:/tmp"]


def test_unreadable_sessions_folder_is_no_error() -> None:
    Path("sessions").touch()
    assert completions("report", "") == ["last"]


def test_contenders_codes_presets_and_formats_are_completed() -> None:
    assert completions("run", "smoke", "--contender", "") == ["fastapi", "flask"]
    assert completions("explain", "") == sorted(CHECKS_BY_CODE)
    assert completions("explain", "oom") == ["oom-kill"]
    assert completions("run", "--preset", "s") == ["smoke", "standard"]
    assert completions("report", "--format", "j") == ["json"]
    assert completions("list", "s") == ["sessions", "suites"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"_FWBENCH_COMPLETE={shell}_complete" in result.stdout
    if (installed := subprocess.run(["which", shell], capture_output=True)).returncode == 0:
        path = installed.stdout.decode().strip()
        assert subprocess.run([path, "-n"], input=result.stdout, text=True).returncode == 0


def test_bash_script_completes_sessions(tmp_path: Path) -> None:
    make_sessions("sessions", "smoke-1")
    program = tmp_path / "bin" / "fwbench"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nfrom fwbench.cli.main import main\nmain(prog_name='fwbench')\n"
    )
    program.chmod(0o755)
    script = (
        'eval "$(fwbench completion bash)"\n'
        "COMP_WORDS=(fwbench report sessions/) COMP_CWORD=2\n"
        "_fwbench_completion fwbench\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    path = f"{program.parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, env=environment
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "sessions/smoke-1\n", "")


@pytest.mark.parametrize(
    "line", ["run ", "report ", "resume ", "explain ", "validate ", "run --contender "]
)
def test_completion_imports_no_slow_module(line: str) -> None:
    make_sessions("sessions", "smoke-1")
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('slow:', sorted(set(sys.modules) & set({SLOW_MODULES}))))\n"
        "from fwbench.cli.main import main\n"
        "main(prog_name='fwbench')\n"
    )
    environment = {
        "_FWBENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": f"fwbench {line}",
        "COMP_CWORD": str(len(line.split()) + 1),
    }
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | environment
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("plain,")
    assert result.stdout.endswith("slow: []\n")
