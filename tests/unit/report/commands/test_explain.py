import pytest
from golden import Golden

from fwbench.checks.registry import CHECKS, CHECKS_BY_CODE
from fwbench.checks.support.check import Check
from fwbench.report.commands.explain import checks_list, explanation, findings_page
from fwbench.report.formatting import WIDTH


def test_findings_page_is_generated(golden: Golden) -> None:
    """`docs/findings.md` contains the explanations of all checks; --rewrite-golden updates it."""
    golden.check("../../docs/findings.md", findings_page())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_explanation_contains_advice_and_thresholds(check: Check) -> None:
    text = explanation(check)
    assert text.startswith(f"{check.code} ({check.level})\n\n")
    unwrapped = " ".join(text.split())
    assert f"What to do: {check.advice}" in unwrapped
    for threshold in check.thresholds:
        assert f"`{threshold.name}`, {threshold.default:g} by default" in unwrapped
    assert max(map(len, text.splitlines())) <= WIDTH


def test_explanation_keeps_its_paragraphs() -> None:
    paragraphs = explanation(CHECKS_BY_CODE["drift"]).split("\n\n")
    assert [text.split()[0] for text in paragraphs] == [
        "drift",
        "The",
        "Evidence:",
        "Why:",
        "The",
        "Needs:",
        "What",
        "Thresholds,",
    ]


def test_list_has_a_line_for_each_check() -> None:
    text = checks_list()
    for check in CHECKS:
        assert f"\n{check.code} " in f"\n{text}"
    assert max(map(len, text.splitlines())) <= WIDTH
