"""The commands about sessions: run, resume and report."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from fwbench.cli.options import inventory_option, keep_going_option, load_rigs
from fwbench.errors import RigError
from fwbench.model.preset import Preset

INVALID_RUNS_EXIT_CODE = 8


class _FrameworkShareType(click.ParamType[Any]):
    """What of a request is framework_share, as `analyse.application` reads it."""

    name = "part"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:
        from fwbench.stats.application import parse_framework_share

        try:
            return parse_framework_share(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)


framework_share_option = click.option(
    "--framework-share",
    type=_FrameworkShareType(),
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
    type=click.Choice([preset.value for preset in Preset]),
    help="Instead of the suite's preset and its number of blocks: 1, 10 or 30.",
)
@click.option("--dry-run", is_flag=True, help="Only print the plan; nothing is connected to.")
@keep_going_option
@framework_share_option
@click.option("-q", "--quiet", is_flag=True, help="Print the report alone.")
def run(
    suite: Path,
    inventory: Path,
    output: Path,
    preset: str | None,
    dry_run: bool,
    keep_going: bool,
    framework_share: Any,
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
    from fwbench import paths
    from fwbench.cli.progress import SessionProgress
    from fwbench.config.suites import load_contenders, load_suite
    from fwbench.execution.session import Session, SessionOptions

    contenders = load_contenders(paths.data_folder() / "contenders")
    path = _suite_path(suite)
    asked = load_suite(path, contenders)
    if preset is not None:
        asked = asked.with_preset(Preset(preset))
    rigs = load_rigs(inventory)
    if dry_run:
        from fwbench.plan import make_plan
        from fwbench.report.plan import render_plan

        click.echo(render_plan(asked, make_plan(asked, rigs)), nl=False)
        return
    with SessionProgress(quiet=quiet) as watcher:
        session = Session.new(
            asked,
            contenders,
            rigs,
            output,
            SessionOptions(watcher, keep_going=keep_going),
            suite_file=path,
        )
        _execute(session, watcher)
    _print_report(session.store.folder, framework_share, left_out=session.unfinished_rigs)


@click.command()
@click.argument("session", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--fork",
    is_flag=True,
    help="Execute the rest as a new session beside it: for when the hosts or the suite changed.",
)
@keep_going_option
@framework_share_option
@click.option("-q", "--quiet", is_flag=True, help="Print the report alone.")
def resume(session: Path, fork: bool, keep_going: bool, framework_share: Any, quiet: bool) -> None:
    """Go on with a session that was interrupted, in the same plan.

    Whatever ended it, runs that are recorded stay, and one that was interrupted is repeated.
    Nothing is executed if hosts, images or the suite are no longer what they were. A session in
    which nothing is left to be executed is only reported.

    \b
    Examples:
      fwbench resume sessions/smoke-20261123t101500123
      fwbench resume sessions/smoke-20261123t101500123 --keep-going
      fwbench resume sessions/smoke-20261123t101500123 --fork
    """
    from fwbench import paths
    from fwbench.cli.progress import SessionProgress
    from fwbench.config.suites import load_contenders
    from fwbench.execution.session import Session, SessionOptions
    from fwbench.storage.store import SessionStore

    contenders = load_contenders(paths.data_folder() / "contenders")
    with SessionProgress(quiet=quiet) as watcher:
        take_up = Session.fork_remaining if fork else Session.resume
        options = SessionOptions(watcher, keep_going=keep_going)
        going_on = take_up(SessionStore(session), contenders, options)
        _execute(going_on, watcher)
    _print_report(going_on.store.folder, framework_share, left_out=going_on.unfinished_rigs)


def _execute(session: Any, watcher: Any) -> None:
    """Execute a session; however it ends, say where its results are and how it goes on."""
    try:
        session.run()
    except (KeyboardInterrupt, Exception):
        folder = session.store.folder
        if folder.exists():
            watcher.say(f"what was measured is kept; go on with: fwbench resume {folder}")
        raise


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
@framework_share_option
def report(session: Path, form: str, framework_share: Any) -> None:
    """Print the report of a session's folder.

    \b
    Examples:
      fwbench report sessions/smoke-20261123t101500123
      fwbench report sessions/smoke-20261123t101500123 --format json | jq .groups
      fwbench report sessions/flask-vs-fastapi-20261123t101500123 --framework-share 20%
    """
    _print_report(session, framework_share, form)


def _suite_path(suite: Path) -> Path:
    """A file as it is named; a bare name stands for a suite that comes with fwbench."""
    from fwbench import paths
    from fwbench.errors import SuiteError

    if suite.exists():
        return suite
    shipped = {path.stem: path for path in sorted((paths.data_folder() / "suites").glob("*.yml"))}
    name = suite.name.removesuffix(".yml")
    if suite.parent in (Path(), Path("suites")) and name in shipped:
        return shipped[name]
    raise SuiteError(f"{suite}: no such file, nor one of the suites {', '.join(shipped)}")


def _print_report(
    folder: Path,
    framework_share: Any,
    form: str = "text",
    left_out: Mapping[str, str] | None = None,
) -> None:
    from fwbench.storage.store import SessionStore

    store = SessionStore(folder)
    records = store.records()
    if form == "text":
        from fwbench.report.text import render_session
        from fwbench.stats.summarise import summarise

        header, plan = store.load()
        summary = summarise(header, plan, records, store.lost_attempts(), store.events())
        click.echo(render_session(header, summary, records, framework_share))
        click.echo(f"Session: {folder}")
    elif form == "json":
        from fwbench.stats.summarise import summarise

        told = summarise(*store.load(), records, store.lost_attempts(), store.events())
        click.echo(told.model_dump_json(indent=1))
    else:
        from fwbench.report.hdr import hdr_log

        for line in hdr_log(store, records):
            click.echo(line)
    from fwbench.stats.samples import has_answer

    if left_out:
        raise RigError(
            "; ".join(f"{rig}: {why}" for rig, why in left_out.items())
            + f"; once that is healed, go on with: fwbench resume {folder}"
        )
    if not all(has_answer(record) for record in records):
        sys.exit(INVALID_RUNS_EXIT_CODE)
