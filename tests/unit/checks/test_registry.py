"""A check is one file: what the registry discovers, and what other packages may contain."""

import ast
import re
from pathlib import Path

import pytest
from repository import ROOT

from fwbench.checks.registry import CHECKS, CHECKS_BY_CODE, EXPLANATIONS, THRESHOLDS
from fwbench.checks.support.check import Check

PACKAGE = ROOT / "fwbench"
FOLDER = PACKAGE / "checks"
OTHER_FILES = sorted(
    path
    for folder in (PACKAGE, ROOT / "selfbench")
    for path in folder.rglob("*.py")
    if FOLDER not in path.parents
)
# These packages name counters such as `steal` and `retransmits`, which are also codes.
COUNTER_PACKAGES = (PACKAGE / "agent", PACKAGE / "collection")


def test_every_file_is_a_check_of_the_same_name() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "evaluate", "registry"}
    assert files == {check.code.replace("-", "_") for check in CHECKS}
    assert len(CHECKS_BY_CODE) == len(CHECKS) == len(files)


def test_codes_are_in_kebab_case() -> None:
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", check.code) for check in CHECKS)


def test_no_two_checks_have_the_same_order() -> None:
    assert len({check.order for check in CHECKS}) == len(CHECKS)


def test_no_two_thresholds_have_the_same_name() -> None:
    names = {threshold for check in CHECKS for threshold in check.thresholds}
    assert len(names) == len(THRESHOLDS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_docstring_has_all_parts_of_the_explanation(check: Check) -> None:
    first, *paragraphs = EXPLANATIONS[check.code].split("\n\n")
    assert "\n" not in first
    assert first.endswith(".")
    labels = [text.split(": ")[0] for text in paragraphs if re.match("(Evidence|Why): ", text)]
    assert labels == ["Evidence", "Why"]
    assert check.advice.endswith(".")


def strings(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text()))
    return {
        node.value
        for node in tree
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("path", OTHER_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_other_files_contain_no_code_of_a_check(path: Path) -> None:
    """Code that depends on what a finding means must use its `effect` instead."""
    codes = set(CHECKS_BY_CODE)
    if any(folder in path.parents for folder in COUNTER_PACKAGES):
        codes = {code for code in codes if "-" in code}
    assert not strings(path) & codes
