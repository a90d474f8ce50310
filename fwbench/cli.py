"""The command line: flags, exit codes, printing. Nothing heavy is imported before its use."""

import errno
import signal
import sys
from pathlib import Path
from typing import Any

import click

from fwbench import __version__
from fwbench.errors import FwbenchError

INTERRUPTED = 130
NOT_ALL_VALID = 8

EXIT_CODES = """\b
Exit codes:
  0    done
  2    wrong usage of the command line
  3    suite or contender file    4  inventory      5  a host does not answer or refuses
  6    provisioning               7  not provisioned, or a port in use
  8    at least one run is invalid (results are printed and kept)
  9    lab                       10  session folder
  130  interrupted; what was measured is kept
"""

inventory_option = click.option(
    "-i",
    "--inventory",
    type=click.Path(path_type=Path),
    required=True,
    help="Any Ansible inventory with the groups `targets` and `clients`.",
)


class _Commands(click.Group):
    """Turns every error that a user or a network can cause into one sentence and an exit code."""

    def invoke(self, context: click.Context) -> Any:
        # Whoever ends the program gently gets the same cleaning up as with Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().invoke(context)
        except FwbenchError as error:
            click.echo(f"fwbench: {error}", err=True)
            context.exit(error.exit_code)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends quietly when the reader of a pipe has gone
            click.echo(
                f"fwbench: {error.strerror or error}: {error.filename or 'a file'}", err=True
            )
            context.exit(1)
        except KeyboardInterrupt:
            click.echo("fwbench: interrupted", err=True)
            context.exit(INTERRUPTED)


@click.group(
    cls=_Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="fwbench")
def main() -> None:
    """Benchmark web frameworks on real hosts, with a verdict on every run.

    \b
    On this machine, with a lab of two stand-in hosts:
      fwbench lab up
      fwbench provision -i "$(fwbench lab inventory)"
      fwbench run suites/smoke.yml -i "$(fwbench lab inventory)"

    \b
    On two machines of your own, listed in hosts.yml:
      fwbench doctor -i hosts.yml
      fwbench provision -i hosts.yml
      fwbench run suites/flask-vs-fastapi.yml -i hosts.yml
    """


@main.command()
@inventory_option
def doctor(inventory: Path) -> None:
    """Check that every host can be reached and used; changes nothing on them.

    \b
    Example: fwbench doctor -i hosts.yml
    """
    from fwbench import doctor as doctors
    from fwbench.report import hosts as table

    examined = doctors.examine(_rigs(inventory))
    click.echo(table.examined(examined))
    if troubles := [host.trouble for host in examined if host.trouble]:
        for trouble in troubles:
            click.echo(f"fwbench: {trouble}", err=True)
        sys.exit(5)


@main.command()
@inventory_option
@click.option("--check", is_flag=True, help="Only tell what would change.")
def provision(inventory: Path, check: bool) -> None:
    """Make bare hosts ready: Docker and images on targets, h2load on clients.

    \b
    Example: fwbench provision -i hosts.yml
    """
    _play("provision.yml", inventory, check=check)


@main.command()
@inventory_option
def verify(inventory: Path) -> None:
    """Check on the hosts that all that provisioning promises is there.

    \b
    Example: fwbench verify -i hosts.yml
    """
    _play("verify.yml", inventory)


@main.command()
@inventory_option
@click.option("--check", is_flag=True, help="Only tell what would change.")
def teardown(inventory: Path, check: bool) -> None:
    """Remove from the hosts all that fwbench put there.

    \b
    Example: fwbench teardown -i hosts.yml
    """
    _play("teardown.yml", inventory, check=check)


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


@main.command()
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
    rigs = _rigs(inventory)
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


@main.command()
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


@main.group()
def lab() -> None:
    """Hosts to order on this machine, as stand-ins for rented ones."""


lab_name = click.option(
    "--name", default="lab", show_default=True, help="Labs of different names live side by side."
)


@lab.command()
@lab_name
@click.option("--targets", type=click.IntRange(1, 50), default=1, show_default=True)
@click.option("--clients", type=click.IntRange(1, 50), default=1, show_default=True)
@click.option(
    "--os",
    "systems",
    multiple=True,
    default=["debian:13"],
    show_default=True,
    help="System of the hosts; given several times, the hosts take them in turn.",
)
@click.option(
    "--authority",
    "authorities",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    help="Certificate that the hosts are to trust  [default: those added to this machine]",
)
def up(
    name: str, targets: int, clients: int, systems: tuple[str, ...], authorities: tuple[Path, ...]
) -> None:
    """Bring up targets and clients and write an inventory of them.

    \b
    Examples:
      fwbench lab up
      fwbench lab up --targets 2 --clients 2 --os debian:13 --os debian:12
    """
    from fwbench.lab.hosts import AUTHORITIES, Lab
    from fwbench.lab.image import SYSTEMS

    for system in systems:
        if system not in SYSTEMS:
            raise click.BadParameter(f"{system}; there are {', '.join(SYSTEMS)}", param_hint="--os")
    trusted = authorities or tuple(sorted(AUTHORITIES.glob("*.crt")))
    path = Lab(name).up(targets, clients, systems, trusted, _say)
    _say("the lab is up; its inventory is")
    click.echo(path)


@lab.command()
@lab_name
def status(name: str) -> None:
    """List the lab's hosts.

    \b
    Example: fwbench lab status
    """
    from fwbench.lab.hosts import Lab
    from fwbench.report import hosts as table

    click.echo(table.lab(Lab(name).hosts()))


@lab.command()
@lab_name
def inventory(name: str) -> None:
    """Print the path of the lab's inventory.

    \b
    Example: fwbench lab inventory
    """
    from fwbench.errors import LabError
    from fwbench.lab.hosts import Lab

    path = Lab(name).inventory
    if not path.exists():
        raise LabError(f"the lab {name!r} is not up; run `fwbench lab up`")
    click.echo(path)


@lab.command()
@lab_name
@click.option("--all", "everything", is_flag=True, help="Its images too, and an engine of ours.")
def down(name: str, everything: bool) -> None:
    """Remove the lab's hosts, volumes and network.

    \b
    Example: fwbench lab down
    """
    from fwbench.lab.hosts import Lab

    Lab(name).down(_say, everything=everything)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _rigs(inventory: Path) -> Any:
    from fwbench.inventory import rigs
    from fwbench.playbook import list_inventory

    return rigs(list_inventory(inventory), str(inventory))


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


def _play(name: str, inventory: Path, *, check: bool = False) -> None:
    from fwbench.progress import TaskProgress
    from fwbench.provision import meet, provision
    from fwbench.report import hosts as table

    hosts = [host for rig in _rigs(inventory) for host in rig.hosts]
    meet(hosts)
    names = ", ".join(host.name for host in hosts)
    with TaskProgress(f"{name.removesuffix('.yml')} of {names}") as progress:
        played = provision(name, inventory, hosts, check=check, on_task=progress.task)
    click.echo(table.played(played))
