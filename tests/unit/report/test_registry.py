"""The registry discovers every format, and each format renders every session."""

import re

import pytest
from golden import Golden
from reported import GOLDEN_SESSIONS
from repository import ROOT

from fwbench.report.format import Format
from fwbench.report.registry import DESCRIPTIONS, FORMATS

FOLDER = ROOT / "fwbench" / "report" / "formats"
for_each_format = pytest.mark.parametrize("report_format", FORMATS.values(), ids=FORMATS)

_PAGE_HEAD = """\
# Formats of a report

`fwbench report SESSION` prints the report of a [session](sessions.md). `--format` selects one of
these formats:

| format | suffix | what it is |
|---|---|---|
"""
_PAGE_OUTPUT = """
`--output FILE` writes the report to a file instead of printing it. Without `--format`, the suffix
of the file selects the format; any other suffix stands for `text`. fwbench does not overwrite a
file unless you add `--force`. It writes the file whole or not at all.

```sh
fwbench report SESSION --format json | jq .scope
fwbench report SESSION --output report.json --force
```

The exit code is 8 if a run is invalid, in every format.
"""


def test_every_file_is_a_format_of_the_same_name() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} - {"__init__"} == set(FORMATS)


def test_suffixes_of_formats_are_unique() -> None:
    assert len({each.suffix for each in FORMATS.values()}) == len(FORMATS)
    assert all(re.fullmatch(r"\.[a-z]+", each.suffix) for each in FORMATS.values())


@for_each_format
def test_each_format_has_a_description(report_format: Format) -> None:
    assert report_format.help
    assert "\n" not in report_format.help
    assert DESCRIPTIONS[report_format.name].endswith(".")


@pytest.mark.parametrize("name", GOLDEN_SESSIONS)
@for_each_format
def test_each_format_renders_every_session(report_format: Format, name: str) -> None:
    chunks = list(report_format.render(GOLDEN_SESSIONS[name]()))
    content = b"".join(chunk.encode() if isinstance(chunk, str) else chunk for chunk in chunks)
    assert content
    if all(isinstance(chunk, str) for chunk in chunks):
        assert content.endswith(b"\n")


@pytest.mark.parametrize("name", GOLDEN_SESSIONS)
def test_json_contains_the_whole_summary(name: str) -> None:
    session = GOLDEN_SESSIONS[name]()
    text = "".join(FORMATS["json"].render(session))  # type: ignore[arg-type]
    assert text == session.summary.model_dump_json(indent=1) + "\n"


def test_formats_page_matches_the_descriptions(golden: Golden) -> None:
    """`docs/formats.md` contains the docstring of each format; --rewrite-golden updates it."""
    rows = [f"| `{each.name}` | `{each.suffix}` | {each.help} |\n" for each in FORMATS.values()]
    sections = [f"\n## `{name}`\n\n{text}\n" for name, text in DESCRIPTIONS.items()]
    golden.check("../../docs/formats.md", "".join([_PAGE_HEAD, *rows, _PAGE_OUTPUT, *sections]))


@pytest.mark.parametrize("name", FORMATS)
def test_no_other_module_imports_a_format(name: str) -> None:
    """A format can be added or removed without a change to another file."""
    modules = [path for path in (ROOT / "fwbench").rglob("*.py") if FOLDER not in path.parents]
    assert len(modules) > 100
    assert not [path for path in modules if f"report.formats.{name}" in path.read_text()]
