"""What an installation from a wheel contains, without a host."""

import json
from pathlib import Path

from lab_program import Program
from repository import ROOT


def installed(program: Program) -> Path:
    return program.command.parents[1]


def test_an_installation_contains_the_documentation(program: Program) -> None:
    listed = dict(line.split(maxsplit=1) for line in program("docs").stdout.splitlines())
    in_repository = [path for path in (ROOT / "docs").rglob("*") if path.is_file()]
    assert len(listed) == len(in_repository)
    for path in listed.values():
        assert Path(path).is_relative_to(installed(program))
    page = program("docs", "docs/exit-codes.md").stdout
    assert page == (ROOT / "docs" / "exit-codes.md").read_text()


def test_an_installed_suite_or_contender_names_its_schema(program: Program) -> None:
    schemas = {kind: json.loads(program("schema", kind).stdout) for kind in ("suite", "contender")}
    for kind, schema in schemas.items():
        for row in json.loads(program("list", f"{kind}s", "--format", "json").stdout):
            file = Path(row["file"])
            assert file.is_relative_to(installed(program))
            first = file.read_text().splitlines()[0]
            named = file.parent / first.removeprefix("# yaml-language-server: $schema=")
            assert json.loads(named.read_text()) == schema
        assert program("validate", file).stdout == ""
