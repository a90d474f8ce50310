"""The commands for sessions: run, resume and report."""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from fwbench.cli.arguments import (
    session_argument,
    session_folder,
    sessions_option,
    suite_path,
)
from fwbench.cli.completers import complete_suite
from fwbench.cli.inventory import ChosenInventory, inventory_option, load_rigs
from fwbench.cli.options import keep_going_option
from fwbench.cli.output_file import print_chunks, write_file
from fwbench.cli.overrides import override_options, overrides
from fwbench.errors import RigError
from fwbench.report.registry import FORMATS

INVALID_RUNS_EXIT_CODE = 8


class _FrameworkShareType(click.ParamType[Any]):
    """The framework's share of a request, parsed by `stats.application`."""

    name = "share"

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
    help="The part of your own application's request time that the framework takes, such as 20%"
    " or 10ms. The report adds what each ratio means for the whole request.",
)


@click.command()
@click.argument("suite", type=click.Path(path_type=Path), shell_complete=complete_suite)
@inventory_option
@click.option(
    "-o",
    "--output",
    "--sessions",
    "output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("sessions"),
    show_default=True,
    help="Create the session's folder in this folder.",
)
@override_options
@click.option(
    "--dry-run", "--check", "dry_run", is_flag=True, help="Print the plan; connect to no host."
)
@keep_going_option
@framework_share_option
@click.option("-q", "--quiet", is_flag=True, help="Print the report alone.")
def run(
    suite: Path,
    inventory: ChosenInventory,
    output: Path,
    dry_run: bool,
    keep_going: bool,
    framework_share: Any,
    quiet: bool,
    **replaced: Any,
) -> None:
    """Execute a suite on the hosts, and print its report.

    SUITE is a file, or the name of a suite that comes with fwbench. Every run is stored in the
    session's folder. Continue an interrupted session with `fwbench resume`.

    \b
    Examples:
      fwbench run suites/flask-vs-fastapi.yml -i hosts.yml
      fwbench run flask-vs-fastapi --dry-run
      fwbench run flask-vs-fastapi -i hosts.yml --preset smoke
      fwbench run flask-vs-fastapi -i hosts.yml --blocks 20 --set loads.0.connections=64
    """
    from fwbench import paths
    from fwbench.cli.progress import SessionProgress
    from fwbench.config.suites import load_contenders, load_suite
    from fwbench.execution.session import Session, SessionOptions

    contenders = load_contenders(paths.data_folder() / "contenders")
    path = suite_path(suite)
    changed = overrides(path, **replaced)
    loaded = load_suite(path, contenders, changed)
    rigs = load_rigs(inventory, assume_one=dry_run)
    if dry_run:
        from fwbench.plan import make_plan
        from fwbench.report.commands.plan import render_plan

        click.echo(render_plan(loaded, make_plan(loaded, rigs)), nl=False)
        return
    with SessionProgress(quiet=quiet) as progress:
        session = Session.new(
            loaded,
            contenders,
            rigs,
            output,
            SessionOptions(progress, keep_going=keep_going),
            suite_file=path,
            overrides=changed,
        )
        _execute(session, progress)
    _print_report(session.store.folder, framework_share, excluded=session.unfinished_rigs)


@click.command()
@session_argument
@sessions_option
@click.option(
    "--fork",
    is_flag=True,
    help="Execute the remaining runs as a new session. Use this when hosts or suite have changed.",
)
@keep_going_option
@framework_share_option
@click.option("-q", "--quiet", is_flag=True, help="Print the report alone.")
def resume(
    session: Path,
    sessions: Path,
    fork: bool,
    keep_going: bool,
    framework_share: Any,
    quiet: bool,
) -> None:
    """Continue a session that was interrupted, in the same plan.

    SESSION is the session's folder, or `last` for the newest session.

    Runs that are recorded stay; a run that was interrupted is repeated. Before it continues,
    `resume` checks that hosts, images and configuration are unchanged. If no run remains, it only
    prints the report.

    \b
    Examples:
      fwbench resume last
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
    with SessionProgress(quiet=quiet) as progress:
        open_session = Session.fork_remaining if fork else Session.resume
        options = SessionOptions(progress, keep_going=keep_going)
        store = SessionStore(session_folder(session, sessions))
        resumed = open_session(store, contenders, options)
        _execute(resumed, progress)
    _print_report(resumed.store.folder, framework_share, excluded=resumed.unfinished_rigs)


def _execute(session: Any, progress: Any) -> None:
    """Execute a session; if it is interrupted, print how to continue it."""
    try:
        session.run()
    except (KeyboardInterrupt, Exception):
        folder = session.store.folder
        if folder.exists():
            progress.say(f"what was measured is kept; continue with: fwbench resume {folder}")
        raise


@click.command()
@session_argument
@sessions_option
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    help="The format; by default text, or that of the suffix of --output. "
    + " ".join(f"{each.name} ({each.suffix}): {each.help}." for each in FORMATS.values()),
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write the report to this file, whole or not at all, instead of printing it (-).",
)
@click.option("--force", is_flag=True, help="Replace the file of --output if it exists.")
@framework_share_option
def report(
    session: Path,
    sessions: Path,
    format_name: str | None,
    output: Path | None,
    force: bool,
    framework_share: Any,
) -> None:
    """Print the report of a session, or write it to a file.

    SESSION is the session's folder, or `last` for the newest session. No host is contacted.

    \b
    Examples:
      fwbench report last
      fwbench report sessions/smoke-20261123t101500123
      fwbench report sessions/smoke-20261123t101500123 --format json | jq .groups
      fwbench report sessions/smoke-20261123t101500123 --output comment.md
      fwbench report sessions/flask-vs-fastapi-20261123t101500123 --framework-share 20%
    """
    folder = session_folder(session, sessions)
    if output is None or output == Path("-"):
        _print_report(folder, framework_share, format_name or "text")
    elif _belongs_to_session(output, folder):
        raise click.UsageError(f"{output} belongs to the session: name another file")
    else:
        of_suffix = {each.suffix: each.name for each in FORMATS.values()}.get(output.suffix, "text")
        write = partial(write_file, output, force=force)
        _print_report(folder, framework_share, format_name or of_suffix, write)


def _belongs_to_session(file: Path, folder: Path) -> bool:
    from fwbench.storage.store import FILES

    return file.name in FILES and file.parent.resolve() == folder.resolve()


def _print_report(
    folder: Path,
    framework_share: Any,
    format_name: str = "text",
    write: Callable[[Iterator[str | bytes]], None] = print_chunks,
    excluded: Mapping[str, str] | None = None,
) -> None:
    """Print a session's report; `excluded` maps rigs that were not used to their errors."""
    from fwbench.cli.session_report import read_session

    session = read_session(folder, framework_share)
    write(FORMATS[format_name].render(session))
    if excluded:
        raise RigError(
            "; ".join(f"{rig}: {why}" for rig, why in excluded.items())
            + f"; correct that, then continue with: fwbench resume {folder}"
        )
    if not all(result.has_answer for result in session.runs):
        sys.exit(INVALID_RUNS_EXIT_CODE)
