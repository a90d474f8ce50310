import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from repository import ROOT

from fwbench.cli.main import main

PAGE_PATH = re.compile(r"docs/[\w/-]+(?:\.[a-z]+)+")


def docs(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["docs", *arguments])


def mentioned_pages() -> Iterator[str]:
    """Yield every page that a message, a docstring or a YAML file mentions."""
    folders = ("fwbench", "roles", "playbooks", "suites", "contenders", "inventory")
    for file in (path for folder in folders for path in (ROOT / folder).rglob("*")):
        if file.suffix == ".py":
            texts = [
                node.value
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
        else:
            texts = [file.read_text()] if file.suffix in (".yml", ".j2") else []
        for text in texts:
            yield from PAGE_PATH.findall(text)


def test_all_pages_are_listed_with_their_paths() -> None:
    result = docs()
    assert (result.exit_code, result.stderr) == (0, "")
    listed = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert listed["suites"] == str(ROOT / "docs" / "suites.md")
    assert {Path(path) for path in listed.values()} == {
        path for path in (ROOT / "docs").rglob("*") if path.is_file()
    }


def test_page_is_printed_unchanged() -> None:
    result = docs("suites")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (ROOT / "docs" / "suites.md").read_text()


def test_code_mentions_pages() -> None:
    assert {"docs/exit-codes.md", "docs/findings.md"} <= set(mentioned_pages())


@pytest.mark.parametrize("page", sorted(set(mentioned_pages())))
def test_mentioned_page_can_be_printed(page: str) -> None:
    assert docs(page).exit_code == 0


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("suits", "did you mean 'suites'?"),
        ("xyzzy", "`fwbench docs` lists all pages"),
        ("../README", "`fwbench docs` lists all pages"),
        ("/etc/passwd", "`fwbench docs` lists all pages"),
    ],
)
def test_unknown_page_is_a_usage_error(name: str, hint: str) -> None:
    result = docs(name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"no page is called '{name}'; {hint}" in result.stderr


def test_pages_are_completed() -> None:
    completer = ShellComplete(main, {}, "fwbench", "_FWBENCH_COMPLETE")
    completed = [item.value for item in completer.get_completions(["docs"], "re")]
    assert completed == ["reliability", "report-json", "report.schema.json"]
