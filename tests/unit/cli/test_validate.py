import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from repository import ROOT

from fwbench import paths
from fwbench.cli.main import main
from fwbench.errors import SuiteError

SMOKE = (ROOT / "suites" / "smoke.yml").read_text()


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def validate(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(main, ["validate", *arguments], input=stdin)


def test_bundled_files_have_no_problems() -> None:
    result = validate(str(ROOT / "suites"), str(ROOT / "contenders"))
    files = [*(ROOT / "suites").glob("*.yml"), *(ROOT / "contenders").glob("*/contender.yml")]
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{len(files)} files, no problems\n"


def test_all_problems_of_all_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("name: A b\nquestion: Why?\ncontenders: [rocket]\nloads: 3\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "contender.yml").write_text("summary: x\nprt: 1\nprocesses: 0\n")
    (tmp_path / "c.yml").write_text("loads: [\n")
    result = validate("a.yml", "c.yml", "mine", "nowhere.yml")
    assert result.exit_code == SuiteError.exit_code
    assert result.stderr == "3 files, 10 problems\n"
    lines = result.stdout.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("nowhere.yml: no such file; ")
    assert [line.partition(": ")[0] for line in lines[1:]] == [
        *["a.yml:1", "a.yml:3", "a.yml:4", "c.yml:2"],
        *["mine/contender.yml:1"] * 3,
        *["mine/contender.yml:2", "mine/contender.yml:3"],
    ]


def test_suite_is_read_from_standard_input() -> None:
    result = validate("-", stdin=SMOKE.replace("preset: smoke", "preset: fast"))
    number = SMOKE.splitlines().index("preset: smoke") + 1
    assert result.exit_code == SuiteError.exit_code
    assert result.stdout == (
        f"<stdin>:{number}: preset: must be 'smoke', 'standard' or 'publish', not 'fast'\n"
    )
    assert validate("-", stdin=SMOKE).exit_code == 0
    assert validate("-", stdin=b"a" * (2**20 + 1)).stdout.startswith(
        "<stdin>: is larger than 1 MiB"
    )


def test_suite_is_checked_despite_invalid_contenders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    for name in ("contenders", "suites"):
        shutil.copytree(ROOT / name, data / name)
    for name in ("flask", "fastapi"):
        file = data / "contenders" / name / "contender.yml"
        file.write_text(file.read_text().replace("port: ", "prt: "))
    monkeypatch.setattr(paths, "data_folder", lambda: data)
    (tmp_path / "x.yml").write_text(SMOKE.replace("preset: smoke", "preset: fast"))
    result = validate("x.yml", str(data / "contenders"))
    assert result.stderr == "3 files, 5 problems\n"
    assert "x.yml:" in result.stdout
    assert result.stdout.count("prt: unknown key; did you mean 'port'?") == 2


def test_control_characters_of_names_are_not_printed(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text('"\\e[2J": 1\n')
    assert "\x1b" not in validate("x.yml").stdout
    (tmp_path / "a\x1b[2J.yml").write_text("x: 1\n")
    assert "\x1b" not in validate("a\x1b[2J.yml").stdout


def test_empty_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = validate("empty")
    assert result.exit_code == SuiteError.exit_code
    assert result.stdout == "empty: contains none of *.yml, *.yaml, */contender.yml\n"


def test_path_that_no_file_can_have_is_a_problem() -> None:
    result = CliRunner().invoke(main, ["validate", "smoke", "a" * 300])
    assert result.exit_code == 3
    assert "File name too long" in result.stdout
    assert "1 problem" in result.stderr


def test_all_contradictions_in_a_suite_are_listed(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(
        "name: x\nquestion: q\ncontenders: [flask, flask]\nbaseline: nope\nblocks: 5\n"
        "stop: {within_percent: 1}\nloads: [{connections: 1, duration_s: 1}]\n"
    )
    assert validate("mine.yml").stdout.splitlines() == [
        "mine.yml:3: contenders[1]: repeats contenders[0]",
        "mine.yml:4: baseline: 'nope' is not among the contenders",
        "mine.yml:6: stop.at_least: (10) is more than the 5 blocks",
    ]
