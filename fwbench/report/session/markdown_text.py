"""Untrusted text, lists and tables in GitHub Flavored Markdown."""

import re
from collections.abc import Iterable, Sequence

from fwbench.report.formatting import one_line
from fwbench.report.session.tables import Table

# What formats text or makes a cell, HTML, math, a mention, a reference to an issue, or a link.
_SPECIAL = re.compile(r"[\\`*_\[~|<>&$@#]|gh-(?=\d)|:(?=//)|www(?=\.)", re.IGNORECASE)
# What makes a list, a rule or a heading at the beginning of a line.
_BEGINNING = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[-+=]))")
# GitHub finds mentions and references after it has removed all escapes, so these need more.
_SPACE_OF_NO_WIDTH = "&#8203;"


def escape(text: str) -> str:
    """Return untrusted text as one line of Markdown that shows it and does nothing else."""
    return _BEGINNING.sub(r"\1\\", _SPECIAL.sub(_escape_special, one_line(text)))


def _escape_special(found: re.Match[str]) -> str:
    special = found[0]
    if special in "<>&$":
        return f"&#{ord(special)};"
    if special in r"\`*_[~|":
        return f"\\{special}"
    return f"{special}{_SPACE_OF_NO_WIDTH}"


def bullet_list(items: Iterable[str]) -> str:
    """Return a list; each item is one line of Markdown."""
    return "\n".join(f"- {item}" for item in items)


def markdown_table(table: Table) -> str:
    """Return a table; its cells are untrusted text."""
    head, rows, alignment = table
    sides = ["---:" if letter == "r" else "---" for letter in alignment]
    return "\n".join([_row(map(escape, head)), _row(sides), *(_row(map(escape, r)) for r in rows)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def details(title: str, sections: Sequence[str]) -> str:
    """Return sections of Markdown that open by a click; the title must not be foreign text."""
    return "\n\n".join([f"<details>\n<summary>{title}</summary>", *sections, "</details>"])
