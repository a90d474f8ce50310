import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from repository import ROOT

from fwbench.cli.main import main

A_PAGE = re.compile(r"docs/[\w/-]+(?:\.[a-z]+)+")


def docs(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["docs", *arguments])


def named_pages() -> Iterator[str]:
    """Every page that a text in the code names, in messages and docstrings alike."""
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
            yield from A_PAGE.findall(text)


def test_all_pages_are_listed_with_their_paths() -> None:
    done = docs()
    assert (done.exit_code, done.stderr) == (0, "")
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert listed["suites"] == str(ROOT / "docs" / "suites.md")
    assert {Path(path) for path in listed.values()} == {
        path for path in (ROOT / "docs").rglob("*") if path.is_file()
    }


def test_a_page_is_printed_as_it_is() -> None:
    done = docs("suites")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "docs" / "suites.md").read_text()


def test_pages_are_named_in_code() -> None:
    assert {"docs/exit-codes.md", "docs/findings.md"} <= set(named_pages())


@pytest.mark.parametrize("page", sorted(set(named_pages())))
def test_every_page_that_a_message_names_can_be_printed(page: str) -> None:
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
def test_a_page_that_does_not_exist_is_wrong_usage(name: str, hint: str) -> None:
    done = docs(name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"no page is called '{name}'; {hint}" in done.stderr


def test_pages_are_completed() -> None:
    completer = ShellComplete(main, {}, "fwbench", "_FWBENCH_COMPLETE")
    found = [each.value for each in completer.get_completions(["docs"], "re")]
    assert found == ["reliability", "report-json", "report.schema.json"]
