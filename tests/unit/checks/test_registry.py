"""A check is one file: what the registry finds, and what the rest of fwbench may know of it."""

import ast
import re
from pathlib import Path

import pytest
from repository import ROOT

from fwbench.checks.registry import CHECKS, CHECKS_BY_CODE, EXPLANATIONS, THRESHOLDS
from fwbench.checks.support.check import Check

PACKAGE = ROOT / "fwbench"
FOLDER = PACKAGE / "checks"
ELSEWHERE = sorted(
    path
    for folder in (PACKAGE, ROOT / "selfbench")
    for path in folder.rglob("*.py")
    if FOLDER not in path.parents
)
# They come before the checks, and name counters such as `steal` and `retransmits`.
OF_COUNTERS = (PACKAGE / "agent", PACKAGE / "collection")


def test_every_file_is_a_check_that_has_its_name() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "evaluate", "registry"}
    assert files == {check.code.replace("-", "_") for check in CHECKS}
    assert len(CHECKS_BY_CODE) == len(CHECKS) == len(files)


def test_codes_are_words_in_kebab_case() -> None:
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", check.code) for check in CHECKS)


def test_no_two_checks_have_the_same_place() -> None:
    assert len({check.order for check in CHECKS}) == len(CHECKS)


def test_no_two_thresholds_have_the_same_name() -> None:
    named = {threshold for check in CHECKS for threshold in check.thresholds}
    assert len(named) == len(THRESHOLDS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_a_docstring_explains_the_finding_to_users(check: Check) -> None:
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


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_is_a_string_elsewhere(path: Path) -> None:
    """Whoever needs to know what a finding means asks for its effect."""
    codes = set(CHECKS_BY_CODE)
    if any(folder in path.parents for folder in OF_COUNTERS):
        codes = {code for code in codes if "-" in code}
    assert not strings(path) & codes
