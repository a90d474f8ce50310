"""The contents of an installation from a wheel; needs no host."""

import json
from pathlib import Path

from lab_program import Program
from repository import ROOT


def environment_of(program: Program) -> Path:
    return program.command.parents[1]


def test_installation_contains_the_documentation(program: Program) -> None:
    paths = dict(line.split(maxsplit=1) for line in program("docs").stdout.splitlines())
    in_repository = [path for path in (ROOT / "docs").rglob("*") if path.is_file()]
    assert len(paths) == len(in_repository)
    for path in paths.values():
        assert Path(path).is_relative_to(environment_of(program))
    page = program("docs", "docs/exit-codes.md").stdout
    assert page == (ROOT / "docs" / "exit-codes.md").read_text()


def test_installed_suites_and_contenders_name_their_schema(program: Program) -> None:
    schemas = {kind: json.loads(program("schema", kind).stdout) for kind in ("suite", "contender")}
    for kind, schema in schemas.items():
        for row in json.loads(program("list", f"{kind}s", "--format", "json").stdout):
            file = Path(row["file"])
            assert file.is_relative_to(environment_of(program))
            first_line = file.read_text().splitlines()[0]
            named_schema = file.parent / first_line.removeprefix("# yaml-language-server: $schema=")
            assert json.loads(named_schema.read_text()) == schema
            assert program("validate", file).stdout == ""
