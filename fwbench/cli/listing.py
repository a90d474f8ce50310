"""The commands that list what there is: suites, contenders, checks, sessions, load generators."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from fwbench import paths
from fwbench.cli.arguments import sessions_option

_WIDTH = 100

Row = Mapping[str, Any]

format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: a list of objects, for programs.",
)


@click.group("list")
def listing() -> None:
    """List suites, contenders, checks, sessions or load generators."""


@listing.command()
@format_option
def suites(output_format: str) -> None:
    """List the suites that come with fwbench: the name and the question of each.

    \b
    Examples:
      fwbench list suites
      fwbench list suites --format json
    """
    _print_rows(map(_suite_row, paths.shipped_suites()), ("name", "question"), output_format)


@listing.command()
@format_option
def contenders(output_format: str) -> None:
    """List the contenders: name, endpoints and summary.

    \b
    Examples:
      fwbench list contenders
      fwbench list contenders --format json
    """
    rows = map(_contender_row, paths.shipped_contenders())
    _print_rows(rows, ("name", "endpoints", "summary"), output_format)


@listing.command()
@format_option
def checks(output_format: str) -> None:
    """List the checks of every run: code, level and what the finding means.

    `fwbench explain CODE` explains one.

    \b
    Examples:
      fwbench list checks
      fwbench list checks --format json
    """
    from fwbench.checks.registry import CHECKS, EXPLANATIONS

    rows = [
        {
            "code": check.code,
            "level": check.level.value,
            "meaning": EXPLANATIONS[check.code].partition("\n")[0],
        }
        for check in CHECKS
    ]
    _print_rows(rows, ("code", "level", "meaning"), output_format)


@listing.command()
@format_option
def loadgens(output_format: str) -> None:
    """List the load generators: the name for a suite's `generator`, and a description.

    \b
    Examples:
      fwbench list loadgens
      fwbench list loadgens --format json
    """
    from fwbench.loadgen.registry import LOADGENS

    rows = [{"name": each.name, "description": each.description} for each in LOADGENS.values()]
    _print_rows(rows, ("name", "description"), output_format)


@listing.command()
@sessions_option
@format_option
def sessions(sessions: Path, output_format: str) -> None:
    """List sessions, the newest first: how many runs are executed, and their verdicts.

    A session whose files are damaged has a row that says what is wrong.

    \b
    Examples:
      fwbench list sessions
      fwbench list sessions --sessions /srv/benchmarks --format json
    """
    from fwbench.storage.overview import session_overviews

    overviews = session_overviews(sessions)
    if not overviews:
        click.echo(f"{sessions}: contains no session", err=True)
    if output_format == "json":
        _print_rows(map(_session_object, overviews), (), output_format)
        return
    columns = ("session", "suite", "started (UTC)", "runs", "verdicts")
    _print_rows(map(_session_row, overviews), columns, output_format)


def _suite_row(file: Path) -> Row:
    question = _yaml(file).get("question", "")
    return {"name": file.stem, "question": str(question), "file": str(file)}


def _contender_row(file: Path) -> Row:
    value = _yaml(file)
    endpoints = value.get("endpoints")
    return {
        "name": file.parent.name,
        "summary": str(value.get("summary", "")),
        "endpoints": list(endpoints) if isinstance(endpoints, dict) else [],
        "file": str(file),
    }


def _yaml(file: Path) -> Mapping[str, Any]:
    """Return a file's values, which are not checked: `validate` does that."""
    from fwbench.config.yaml_lines import read

    value = read(file).value
    return value if isinstance(value, dict) else {}


def _session_object(overview: Any) -> Row:
    return {
        "folder": str(overview.folder),
        "suite": overview.suite,
        "started": overview.started,
        "planned": overview.planned,
        "executed": overview.executed,
        **overview.verdicts,
        "damage": overview.damage,
    }


def _session_row(overview: Any) -> Row:
    counts = [f"{number} {name}" for name, number in overview.verdicts.items() if number]
    verdicts = ", ".join(counts) or "none"
    if overview.damage is not None:
        verdicts = f"damaged: {overview.damage}"
    planned = "?" if overview.planned is None else overview.planned
    return {
        "session": str(overview.folder),
        "suite": overview.suite or "?",
        "started (UTC)": (overview.started or "?").removesuffix("+00:00").replace("T", " "),
        "runs": f"{overview.executed} of {planned}",
        "verdicts": verdicts,
    }


def _print_rows(rows: Iterable[Row], columns: Sequence[str], output_format: str) -> None:
    """Print rows as JSON, or these columns of them as a table."""
    if output_format == "json":
        import json

        click.echo(json.dumps(list(rows), indent=1))
        return
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    for line in _table_lines([list(columns), *cells]) if cells else ():
        click.echo(line)


def _cell(value: Any) -> str:
    from fwbench.report.formatting import one_line

    return one_line(", ".join(value) if isinstance(value, list) else str(value))


def _table_lines(rows: list[list[str]]) -> Iterable[str]:
    """Yield a table whose last column is wrapped; tabulate's import takes longer than a listing."""
    import textwrap

    *widths, last = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = min(last, max(_WIDTH - sum(widths) - 2 * len(widths), 30))
    rows.insert(1, ["-" * width for width in (*widths, last)])
    for row in rows:
        start = "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False))
        indent = " " * len(start)
        for number, text in enumerate(textwrap.wrap(row[-1], last, break_on_hyphens=False) or [""]):
            yield (start + text if number == 0 else indent + text).rstrip()
