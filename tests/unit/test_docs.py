"""Commands, keys and exit codes are documented."""

import ast
import inspect
import re
from pathlib import Path

import click
import pytest
from pydantic import BaseModel
from repository import ROOT

from fwbench import errors
from fwbench.cli.main import main
from fwbench.model.contender import Contender, Contract
from fwbench.model.load import Load, Search
from fwbench.model.setting import Concurrency, Limits
from fwbench.model.suite import StoppingRule, Suite

DOCS = "\n".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def commands(group: click.Group, name: str) -> list[str]:
    names = []
    context = click.Context(group)
    for subcommand in group.list_commands(context):
        command = group.get_command(context, subcommand)
        if isinstance(command, click.Group):
            names += commands(command, f"{name} {subcommand}")
        else:
            names.append(f"{name} {subcommand}")
    return names


@pytest.mark.parametrize("command", commands(main, "fwbench"))
def test_every_command_is_documented(command: str) -> None:
    assert command in DOCS


@pytest.mark.parametrize("model", [Suite, Load, Search, Limits, Concurrency, StoppingRule])
def test_every_key_of_a_suite_is_documented(model: type[BaseModel]) -> None:
    text = (ROOT / "docs/suites.md").read_text()
    for key in model.model_fields:
        assert f"`{key}`" in text or f"{{{key}" in text or f" {key}}}" in text, key


@pytest.mark.parametrize("model", [Contender, Contract])
def test_every_key_of_a_contender_is_documented(model: type[Contender | Contract]) -> None:
    text = (ROOT / "docs/contenders.md").read_text()
    for key in set(model.model_fields) - {"name"}:  # the folder's name
        assert f"`{key}`" in text, key


def test_every_exit_code_is_documented() -> None:
    text = (ROOT / "docs/exit-codes.md").read_text()
    error_classes = [
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if value.__module__ == errors.__name__ and value.exit_code != 1
    ]
    assert len(error_classes) == text.count("Error` |")
    for error_class in error_classes:
        assert f"| {error_class.exit_code} | `{error_class.__name__}` |" in text


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEST_ID = re.compile(r"`(tests/[\w/]+\.py)((?:::\w+)*)`")


def defines(file: Path, names: list[str]) -> bool:
    """Return whether the file defines the function, or the class and its method."""
    if not file.is_file():
        return False
    body: list[ast.stmt] = ast.parse(file.read_text()).body
    for name in names:
        definitions = [
            node
            for node in body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
        ]
        if not definitions:
            return False
        body = definitions[0].body
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_named_on_a_page_exists(page: Path) -> None:
    for file, names in TEST_ID.findall(page.read_text()):
        assert defines(ROOT / file, names.split("::")[1:]), f"{file}{names}"


def test_every_security_promise_names_a_test_or_a_file() -> None:
    text = (ROOT / "docs/security.md").read_text()
    promises = [
        row
        for table in re.findall(r"^\| promise \| test \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.M)
        for row in table.splitlines()
    ]
    assert len(promises) > 50
    for row in promises:
        promise, evidence = row.strip("| ").rsplit(" | ", 1)
        if evidence.startswith("by construction: "):
            files = re.findall("`([^`]+)`", evidence)
            assert files, promise
            assert all((ROOT / file).is_file() for file in files), evidence
        else:
            assert all(TEST_ID.fullmatch(test_id) for test_id in evidence.split(", ")), promise
            assert "::" in evidence, promise
