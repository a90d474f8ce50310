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

SLOW = ["ansible", "fabric", "numpy", "pydantic", "rich", "scipy", "tabulate", "yaml"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def completions(*words: str) -> list[str]:
    """What is completed for the last of the words; `file:` and `dir:` leave it to the shell."""
    found = ShellComplete(main, {}, "fwbench", "_FWBENCH_COMPLETE").get_completions(
        list(words[:-1]), words[-1]
    )
    return [each.value if each.type == "plain" else f"{each.type}:{each.value}" for each in found]


def make_sessions(folder: str, *names: str) -> None:
    for name in names:
        (Path(folder) / name).mkdir(parents=True)
        (Path(folder) / name / "session.json").touch()


@pytest.mark.parametrize("words", [("run",), ("validate",), ("validate", "smoke")], ids=" ".join)
def test_suites_are_completed(words: tuple[str, ...]) -> None:
    Path("mine.yml").touch()
    shipped = [path.stem for path in sorted((ROOT / "suites").glob("*.yml"))]
    assert completions(*words, "") == [*shipped, "mine.yml"]
    assert completions(*words, "s") == ["smoke"]
    assert completions(*words, "suites/") == ["file:suites/"]


@pytest.mark.parametrize("command", ["report", "resume"])
def test_sessions_are_completed_the_newest_first(command: str) -> None:
    make_sessions("sessions", "smoke-2", "smoke-1", "with space", "with`x`")
    (Path("sessions") / "notes").mkdir()
    assert completions(command, "") == ["last", "sessions/smoke-2", "sessions/smoke-1"]
    assert completions(command, "sess") == ["sessions/smoke-2", "sessions/smoke-1"]
    make_sessions("other", "smoke-3")
    assert completions(command, "--sessions", "other", "o") == ["other/smoke-3"]
    assert completions(command, "/tmp") == ["dir:/tmp"]


def test_a_folder_of_sessions_that_cannot_be_read_is_no_error() -> None:
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
    done = CliRunner().invoke(main, ["completion", shell])
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"_FWBENCH_COMPLETE={shell}_complete" in done.stdout
    if (installed := subprocess.run(["which", shell], capture_output=True)).returncode == 0:
        path = installed.stdout.decode().strip()
        assert subprocess.run([path, "-n"], input=done.stdout, text=True).returncode == 0


def test_bash_completes_with_its_script(tmp_path: Path) -> None:
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
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "sessions/smoke-1\n", "")


@pytest.mark.parametrize(
    "words", ["run ", "report ", "resume ", "explain ", "validate ", "run --contender "]
)
def test_a_press_of_the_tab_key_imports_nothing_slow(words: str) -> None:
    make_sessions("sessions", "smoke-1")
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('slow:', sorted(set(sys.modules) & set({SLOW}))))\n"
        "from fwbench.cli.main import main\n"
        "main(prog_name='fwbench')\n"
    )
    environment = {
        "_FWBENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": f"fwbench {words}",
        "COMP_CWORD": str(len(words.split()) + 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("plain,")
    assert done.stdout.endswith("slow: []\n")
