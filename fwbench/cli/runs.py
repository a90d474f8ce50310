"""The commands about sessions: run and report."""

import sys
from pathlib import Path
from typing import Any

import click

from fwbench.cli.options import inventory_option, rigs_of
from fwbench.errors import FwbenchError

NOT_ALL_VALID = 8


class _Serving(click.ParamType[Any]):
    """What of a request is serving, as `analyse.application` reads it."""

    name = "part"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:
        from fwbench.analyse.application import parse_serving

        try:
            return parse_serving(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)


serving_option = click.option(
    "--serving",
    type=_Serving(),
    help="The part of your application's request that is serving (20% or 10ms): what each ratio"
    " means to the whole is printed beside it.",
)


@click.command()
@click.argument("suite", type=click.Path(path_type=Path))
@inventory_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("sessions"),
    show_default=True,
    help="The folder in which the session's own folder is made.",
)
@click.option(
    "--preset",
    type=click.Choice(["smoke", "standard", "publish"]),
    help="Instead of the suite's preset and its number of blocks: 1, 10 or 30.",
)
@click.option("--dry-run", is_flag=True, help="Only print the plan; nothing is connected to.")
@serving_option
@click.option("-q", "--quiet", is_flag=True, help="Print the report alone.")
def run(
    suite: Path,
    inventory: Path,
    output: Path,
    preset: str | None,
    dry_run: bool,
    serving: Any,
    quiet: bool,
) -> None:
    """Execute a suite between targets and clients, and print its report.

    SUITE is a file, or the name of a suite that comes with fwbench.

    \b
    Examples:
      fwbench run suites/flask-vs-fastapi.yml -i hosts.yml
      fwbench run flask-vs-fastapi -i hosts.yml --dry-run
      fwbench run flask-vs-fastapi -i hosts.yml --preset smoke
    """
    from fwbench import places
    from fwbench.progress import ProgressWatcher
    from fwbench.session import Session
    from fwbench.suite_file import load_contenders, load_suite

    contenders = load_contenders(places.data() / "contenders")
    asked = load_suite(_suite_path(suite), contenders)
    if preset is not None:
        asked = asked.with_preset(type(asked.preset)(preset))
    rigs = rigs_of(inventory)
    if dry_run:
        from fwbench.plan import make_plan
        from fwbench.report.plan import planned

        click.echo(planned(asked, make_plan(asked, rigs)), nl=False)
        return
    with ProgressWatcher(quiet=quiet) as watcher:
        session = Session(asked, contenders, rigs, output, watcher)
        try:
            session.run()
        except (KeyboardInterrupt, FwbenchError):
            if session.folder.exists():
                watcher.say(f"what was measured is kept in {session.folder}")
            raise
    _print_report(session.folder, serving)


@click.command()
@click.argument("session", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "hdr"]),
    default="text",
    show_default=True,
    help="json: all of it, unrounded (docs/report-json.md). hdr: the latencies of every run, as"
    " HdrHistogram logs them (needs the extra hdr).",
)
@serving_option
def report(session: Path, form: str, serving: Any) -> None:
    """Print the report of a session's folder.

    \b
    Examples:
      fwbench report sessions/smoke-20261123t101500123
      fwbench report sessions/smoke-20261123t101500123 --format json | jq .groups
      fwbench report sessions/flask-vs-fastapi-20261123t101500123 --serving 20%
    """
    _print_report(session, serving, form)


def _suite_path(suite: Path) -> Path:
    """A file as it is named; a bare name stands for a suite that comes with fwbench."""
    from fwbench import places
    from fwbench.errors import SuiteError

    if suite.exists():
        return suite
    shipped = {path.stem: path for path in sorted((places.data() / "suites").glob("*.yml"))}
    name = suite.name.removesuffix(".yml")
    if suite.parent in (Path(), Path("suites")) and name in shipped:
        return shipped[name]
    raise SuiteError(f"{suite}: no such file, nor one of the suites {', '.join(shipped)}")


def _print_report(folder: Path, serving: Any, form: str = "text") -> None:
    from fwbench.store import Store

    store = Store(folder)
    records = store.records()
    if form == "text":
        from fwbench.analyse.summarise import summarise
        from fwbench.report.text import render

        header = store.header()
        summary = summarise(header, store.plan(), records)
        click.echo(render(header, summary, records, serving))
        click.echo(f"Session: {folder}")
    elif form == "json":
        from fwbench.analyse.summarise import summarise

        click.echo(summarise(store.header(), store.plan(), records).model_dump_json(indent=1))
    else:
        from fwbench.report.hdr import log

        for line in log(store, records):
            click.echo(line, nl=False)
    from fwbench.analyse.samples import tells

    if not all(tells(record) for record in records):
        sys.exit(NOT_ALL_VALID)
