"""The rules of the code base that a program can check."""

import ast
import re
from pathlib import Path

import pytest
from repository import ROOT

PACKAGE = ROOT / "fwbench"
MODULES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "roles").rglob("*.py")])
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def test_every_path_in_the_architecture_exists() -> None:
    named = re.findall(r"`([a-z_]+/(?:[a-z0-9_]+/)*(?:[a-z0-9_]+\.py)?|[a-z_]+\.py)`", ARCHITECTURE)
    assert len(named) > 20
    for path in named:
        assert (PACKAGE / path).exists() or (ROOT / path).exists(), path


def test_architecture_page_has_at_most_80_lines() -> None:
    assert len(ARCHITECTURE.splitlines()) <= 80


@pytest.mark.parametrize(
    "package", sorted(p.parent for p in PACKAGE.glob("*/__init__.py")), ids=str
)
def test_every_package_has_a_docstring_and_no_code_in_init(package: Path) -> None:
    tree = ast.parse((package / "__init__.py").read_text())
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def test_only_three_modules_are_outside_the_packages() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == {
        "__init__.py",
        "errors.py",
        "paths.py",
        "plan.py",
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_within_the_length_limits(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name
