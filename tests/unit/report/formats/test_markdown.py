"""The report as Markdown, for a pull request; a Markdown parser checks its structure."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import FASTAPI, FLASK, finding, header, record, rig, suite
from golden import Golden
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from reported import GOLDEN_SESSIONS, reported, ten_blocks
from repository import ROOT

from fwbench.model.event import Event
from fwbench.model.preset import Preset
from fwbench.model.record import Record
from fwbench.model.verdict import Level, Verdict
from fwbench.report.format import ReportedSession
from fwbench.report.formats.markdown import render
from fwbench.report.formatting import one_line
from fwbench.report.session.markdown_text import escape, markdown_table
from fwbench.report.session.tables import Table
from fwbench.stats.application import parse_framework_share

GFM = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = [
    *["a | b", "|", "`code`", "``` fence", "~~~", "a\\", "\\`", "a\\|b", "[ ] task", "[^1]", "\0"],
    *["<script>alert(1)</script>", "<!-- hidden", "</details>", "&lt;b&gt;", "&#64;a", "<a@b.c>"],
    *["@octocat", "@org/team", "#1", "owner/repo#1", "GH-1", "gh-22", "$x^2$", "[a](b)", "![a](b)"],
    *["https://evil.example", "www.evil.example", "*a* **b**", "_c_ __d__", "~~e~~", "> quote"],
    *["# head", "- item", "+ item", "1. item", "2) item", "---", "===", "a\n---", "a\n# b"],
    *["a\n\nb\r\nc", "\x1b[2Jb", "a\u202eb", "a\u2028b"],
]


def page(session: ReportedSession) -> str:
    return "".join(render(session))


def verdict(session: ReportedSession) -> str:
    """Return the visible text of the first paragraph after the question."""
    _, paragraph, *_ = [token for token in GFM.parse(page(session)) if token.type == "inline"]
    return visible_text([paragraph])


def visible_text(tokens: list[Token]) -> str:
    texts = (token.content for token in leaves(tokens) if token.type in ("text", "code_inline"))
    return "".join(texts).replace("\u200b", "")


def leaves(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from leaves(token.children) if token.children else (token,)


def structure(text: str) -> list[tuple[str, str]]:
    """Return the tokens of a page without its text."""
    return [
        (token.type, token.content if token.type.startswith("html") else "")
        for token in leaves(GFM.parse(text))
        if token.type != "text"
    ]


def comparison_records(*fastapi: int) -> list[Record]:
    """Return blocks of Flask at about 1000 per second, of its A/A control, and of FastAPI."""
    flask = (1000, 1010, 1020, 1005, 1015)[: len(fastapi)]
    return [
        record(name, per_s, block=block, aa_control=control)
        for name, control, values in (
            ("flask", False, flask),
            ("flask", True, tuple(per_s + block % 2 - 0.5 for block, per_s in enumerate(flask))),
            ("fastapi", False, fastapi),
        )
        for block, per_s in enumerate(values, start=1)
    ]


@pytest.mark.parametrize("name", GOLDEN_SESSIONS)
def test_comment_matches_the_golden_file(name: str, golden: Golden) -> None:
    golden.check(f"{name}.md", page(GOLDEN_SESSIONS[name]()))


def test_documented_example_is_generated(golden: Golden) -> None:
    """`docs/pull-requests.md` contains a session's comment; --rewrite-golden updates it."""
    text = (ROOT / "docs" / "pull-requests.md").read_text()
    before, fence, _ = text.partition("`````markdown\n")
    assert "## Example" in before
    golden.check("../../docs/pull-requests.md", f"{before}{fence}{page(ten_blocks())}`````\n")


# The verdict


@pytest.mark.parametrize(
    ("fastapi", "message"),
    [
        ((1900, 1910, 1950), "fastapi is faster than flask: 1.901 × [1.875, 1.927] throughput."),
        ((500, 505, 510), "fastapi is slower than flask: 0.500 × [0.500, 0.500] throughput."),
        (
            (1001, 1011, 1021),
            "fastapi is equivalent to flask within 2 %: 1.001 × [1.001, 1.001] throughput.",
        ),
        (
            (1010, 900, 1120),
            "fastapi compared with flask is inconclusive: 0.996 × [0.767, 1.293] throughput;"
            " 40.9 % could have been detected.",
        ),
    ],
)
def test_verdict_comes_first_with_its_interval(fastapi: tuple[int, ...], message: str) -> None:
    assert verdict(reported(comparison_records(*fastapi))) == message


def test_verdict_counts_more_than_three_comparisons() -> None:
    rigs = tuple(rig(name) for name in "abcd")
    speeds = {"a": (1900, 1910, 1950), "b": (500, 505, 510), "c": (1901, 1921, 1950)}
    records = [
        record.model_copy(update={"run": record.run.model_copy(update={"rig": name})})
        for name in "abcd"
        for record in comparison_records(*speeds.get(name, (1001, 1011, 1021)))
    ]
    facts = tuple(
        each.model_copy(update={"kernel": f"6.{index // 2}"})
        for index, each in enumerate(header(rigs=rigs).facts)
    )
    message = verdict(reported(records, rigs=rigs, facts=facts))
    assert message == (
        "Of 4 comparisons with flask: fastapi is faster in 2, slower in 1, equivalent in 1."
    )


def test_pooled_verdict_replaces_those_of_single_rigs() -> None:
    rigs = tuple(rig(name) for name in "abc")
    records = [
        record.model_copy(update={"run": record.run.model_copy(update={"rig": name})})
        for name in "abc"
        for record in comparison_records(1900, 1910, 1950)
    ]
    message = verdict(reported(records, rigs=rigs))
    assert message.startswith("fastapi is faster than flask: 1.901 × [1.901, 1.901] throughput.")
    assert message.count("faster") == 1


@pytest.mark.parametrize(
    ("records", "changes", "message"),
    [
        ([], {}, "No verdict: no run was executed."),
        (
            comparison_records(1900),
            {},
            "No verdict on fastapi / flask: only 1 block has values of both",
        ),
        (
            comparison_records(1900),
            {"suite": suite(preset=Preset.SMOKE, blocks=1)},
            "No comparison: a smoke test of 1 block only shows that everything works.",
        ),
        (
            comparison_records(1900),
            {"suite": suite(baseline=None)},
            "No comparison: the suite names no base",
        ),
        (
            [record()],
            {"suite": suite(contenders=("flask",), baseline=None), "contenders": (FLASK,)},
            "No comparison: the suite has one contender.",
        ),
    ],
)
def test_verdict_without_a_comparison_gives_the_reason(
    records: list[Record], changes: dict[str, Any], message: str
) -> None:
    assert verdict(reported(records, **changes)).startswith(message)


def test_verdict_warns_if_the_aa_control_differs() -> None:
    records = [
        each for each in comparison_records(1900, 1910, 1950) if not each.run.trial.aa_control
    ]
    records += [
        record("flask", per_s, block=block, aa_control=True)
        for block, per_s in enumerate((1100, 1111, 1122), start=1)
    ]
    assert verdict(reported(records)).endswith("so do not trust small differences.")


def test_framework_share_follows_its_comparison() -> None:
    text = page(reported(comparison_records(1900, 1910, 1950), parse_framework_share("20%")))
    assert "\n  - a request that spends 20 % of its time in the framework: 9.5 % less time" in text


def test_numbers_of_an_invalid_run_are_not_shown() -> None:
    assert "876" not in page(reported([record("flask", 8765, findings=(finding(),))]))


# How to reproduce it


def commands(session: ReportedSession) -> list[str]:
    return [token.content for token in GFM.parse(page(session)) if token.type == "fence"]


def test_commands_name_suite_and_folder_without_their_parents() -> None:
    session = reported([], suite_file=Path("/home/me/my suites/it's.yml"), suite=suite(blocks=3))
    session = replace(session, folder="/home/me/sessions/published-1")
    assert commands(session) == [
        """fwbench run 'it'"'"'s.yml' -i hosts.yml\n""",
        "fwbench report published-1\n",
    ]
    assert "/home/me" not in page(session)


def test_command_has_the_preset_if_it_gives_the_same_blocks() -> None:
    first, _ = commands(reported([], suite=suite(preset=Preset.STANDARD, blocks=10)))
    assert first == "fwbench run published.yml -i hosts.yml --preset standard\n"


@pytest.mark.parametrize("text", ["$(touch pwned)", "a\n```\n# head", "`", "\x1b[2J", "'; x '"])
def test_a_hostile_path_is_one_argument_in_one_line(text: str) -> None:
    session = replace(reported([], suite_file=Path(text)), folder=text)
    lines = commands(session)
    assert [line.count("\n") for line in lines] == [1, 1]
    assert all("pwned" not in re.sub("'[^']*'", "", line) for line in lines)
    assert structure(page(session)) == structure(page(reported([])))


# Foreign text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_unchanged(text: str) -> None:
    for before in ("", "- ", "## ", "> ", "- **x** "):
        assert visible_text(GFM.parse(before + escape(text))).removeprefix("x ") == one_line(text)
    (cell,) = [each for each in GFM.parse(markdown_table(Table([text], [], "l"))) if each.children]
    assert visible_text([cell]) == one_line(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_creates_no_mention_and_no_link(text: str) -> None:
    """GitHub turns these patterns in rendered text into mentions and links."""
    rendered = GFM.render(escape(text))
    assert not re.search(r"@\w|#\d|gh-\d|://|www\.|<a |<script", rendered, re.IGNORECASE)


def session_with_text(text: str) -> ReportedSession:
    """Return a session with the text wherever a file, a host or a server can put it."""
    steal = finding("steal", Level.SUSPECT).model_copy(
        update={"code": text, "evidence": text, "advice": text}
    )
    records = [
        each.model_copy(
            update={
                "run": each.run.model_copy(update={"rig": text, "id": each.run.id}),
                "verdict": Verdict(findings=(steal,), not_observed=(text,)),
            }
        )
        for each in comparison_records(1900, 1910, 1950)
    ]
    hostile_facts = {
        "host": text,
        "system": text,
        "kernel": text,
        "cpu_model": text,
        "engine": text,
    }
    hostile_facts |= {"h2load": text, "instance_type": text, "region": text, "architecture": text}
    facts = tuple(each.model_copy(update=hostile_facts) for each in header().facts)
    hostile_rig = rig().model_copy(update={"name": text})
    event = Event(at=text, kind="quarantined", rig=text, reason=text)
    hostile_suite = suite(question=text)
    hostile_contender = FASTAPI.model_copy(
        update={
            "endpoints": {
                "hello": FASTAPI.endpoints["hello"].model_copy(update={"content_type": text})
            }
        }
    )
    return reported(
        records,
        events=(event,),
        suite=hostile_suite,
        rigs=(hostile_rig,),
        facts=facts,
        contenders=(FLASK, hostile_contender),
    )


PLAIN_STRUCTURE = structure(page(session_with_text("x")))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_does_not_change_the_structure(text: str) -> None:
    assert structure(page(session_with_text(text))) == PLAIN_STRUCTURE


@settings(max_examples=150)
@given(st.text(alphabet="|`*_[]()<>!&#@~$\\-+=.1: \n\tax", min_size=1) | st.text(min_size=1))
def test_no_text_changes_the_structure(text: str) -> None:
    if text := one_line(text):
        assert structure(page(session_with_text(text))) == PLAIN_STRUCTURE
        assert visible_text(GFM.parse(escape(text))) == text


def test_every_line_is_printable() -> None:
    text = page(session_with_text("\x1b[2Ja\u202eb\nc"))
    assert all(character.isprintable() for line in text.split("\n") for character in line)
