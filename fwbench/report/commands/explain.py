"""Explains checks: as text for a terminal, and as the page `docs/findings.md`."""

import re
import textwrap
from collections.abc import Iterator

from fwbench.checks.registry import CHECKS, EXPLANATIONS
from fwbench.checks.support.check import Check
from fwbench.checks.support.thresholds import Threshold
from fwbench.report.formatting import WIDTH, wrap

_PAGE_WIDTH = 115

_PAGE_HEAD = """\
# Findings

After each run, fwbench checks for reasons to doubt its numbers. Each reason is a *finding*: a code,
the evidence, and advice. The most severe finding of a run decides its verdict:

| level | verdict of the run | its numbers |
|---|---|---|
| invalid | `invalid` | are kept in the run's files, but not used; only evidence quotes them |
| suspect | `suspect` | are shown and used, with the finding next to them |
| note | unchanged | are shown and used; the note explains how to read them |

No finding changes a figure. If a finding lists [thresholds](#thresholds), a suite can change them.

For each run, each check has one of four results:

| result | meaning |
|---|---|
| fired | there is a finding |
| passed | the check saw what it needs, and found nothing |
| not applicable | the check does not fit this run: a closed load has no rate, wrk writes no log |
| not observed | what the check needs is missing, so the fault could have gone unnoticed |

The report lists the checks that were not applicable or not observed. A run can be valid
nevertheless. Two findings report data that every run should have: `telemetry-missing` (nothing from
a host), and `not-observed` (no record of an answer, of the container's state, or of OOM kills). The
result *not observed* is not the finding `not-observed`. Only the finding makes a run suspect.

*Needs* names the data that a check reads. If they are missing, its result is *not observed*. *The
run's files* are in the session folder, under the run's id. The files of the first client are in
`client-1`, and so on, in the order of the inventory. With several clients, fwbench checks each of
them, and the evidence names the client. *The window* is the measured window. The
[glossary](glossary.md) defines it and the other terms of this page.

`fwbench list checks` lists all codes, and `fwbench explain CODE` prints a section of this page.
"""

_PAGE_THRESHOLDS = """\
## Thresholds

Set them under `thresholds` in a suite, for example `thresholds: {steal: 0.02}`. Each session stores
the values that it used. The defaults come from measurements.

| threshold | default | unit and reason | findings |
|---|---|---|---|
"""


def explanation(check: Check) -> str:
    """Return what a finding means, why it matters and what to do, for a terminal."""
    paragraphs = [f"{check.code} ({check.level})"]
    for label, texts in _parts(check):
        first, *others = texts
        paragraphs += ["", wrap(f"{label}: {first}" if label != "Meaning" else first)]
        paragraphs += ["\n" + wrap(text) for text in others]
    if check.thresholds:
        paragraphs += ["", "Thresholds, which a suite can set:"]
        paragraphs += [wrap(_threshold(each), "  ", "    ") for each in check.thresholds]
    return "\n".join(paragraphs)


def checks_list() -> str:
    """Return a line for each check: code, level and what the finding means."""
    return "\n".join(
        textwrap.fill(
            f"{check.code:<22}  {check.level:<7}  {summary(check)}",
            WIDTH,
            subsequent_indent=" " * 33,
            break_on_hyphens=False,
        )
        for check in CHECKS
    )


def summary(check: Check) -> str:
    """Return the first line of a check's explanation."""
    return EXPLANATIONS[check.code].partition("\n")[0]


def findings_page() -> str:
    """Return the page `docs/findings.md`."""
    sections = [_page_section(check) for check in CHECKS]
    by_threshold: dict[Threshold, list[str]] = {}
    for check in CHECKS:
        for threshold in check.thresholds:
            by_threshold.setdefault(threshold, []).append(check.code)
    rows = [
        f"| `{each.name}` | {each.default:g} | {each.description} |"
        f" {', '.join(f'`{code}`' for code in codes)} |\n"
        for each, codes in by_threshold.items()
    ]
    return "\n".join([_PAGE_HEAD, *sections, _PAGE_THRESHOLDS + "".join(rows)])


def _page_section(check: Check) -> str:
    lines = [f"## `{check.code}` ({check.level})\n"]
    for label, texts in _parts(check):
        first, *others = texts
        lines.append(_fill(f"- **{label}**: {first}"))
        lines += ["\n" + _fill(f"  {text}") for text in others]
    if check.thresholds:
        names = "; ".join(_threshold(each) for each in check.thresholds)
        lines.append(_fill(f"- **Thresholds**: {names}"))
    return "\n".join(lines) + "\n"


def _parts(check: Check) -> Iterator[tuple[str, list[str]]]:
    """Return the parts of an explanation: a label, and its paragraphs.

    A paragraph of the docstring begins a part if it begins with a label, such as `Why: `.
    """
    parts = {"Meaning": list[str]()}
    for text in EXPLANATIONS[check.code].split("\n\n"):
        labelled = re.fullmatch(r"(Evidence|Why): (.+)", text, re.DOTALL)
        label, paragraph = labelled.groups() if labelled else (list(parts)[-1], text)
        parts.setdefault(label, []).append(" ".join(paragraph.split()))
    yield "Meaning", [" ".join(parts.pop("Meaning"))]
    yield from parts.items()
    if check.needs:
        yield "Needs", [f"{check.needs[0].upper()}{check.needs[1:]}."]
    yield "What to do", [check.advice]


def _threshold(threshold: Threshold) -> str:
    return f"`{threshold.name}`, {threshold.default:g} by default ({threshold.description})"


def _fill(text: str) -> str:
    return textwrap.fill(
        text, _PAGE_WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
