"""The `fwbench` command: its subcommands, its exit codes, and what it does with errors."""

import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from fwbench import __version__
from fwbench.errors import FwbenchError

INTERRUPTED = 130

EXIT_CODES = """\b
Exit codes:
  0    success
  2    wrong usage of the command line
  3    error in a suite or contender file
  4    error in the inventory
  5    a host does not answer, or refuses the connection
  6    provisioning failed
  7    a host is not provisioned, is in use, or has a port in use
  8    at least one run is invalid (results are printed and kept)
  9    error in the lab
  10   error in a session folder
  11   a rig was excluded or quarantined; the others continued
  12   teardown left a Docker engine in which others keep something
  70   a defect of fwbench: please report it with the file that the message names
  130  interrupted, or a question answered with no; what was measured is kept
"""


# The module of `cli` that has each command, and its name there. Only the module of the command that
# is executed is imported, since importing all of them takes as long as a short command.
COMMANDS = {
    "doctor": ("hosts", "doctor"),
    "provision": ("hosts", "provision"),
    "teardown": ("hosts", "teardown"),
    "prune": ("hosts", "prune"),
    "run": ("runs", "run"),
    "resume": ("runs", "resume"),
    "report": ("runs", "report"),
    "explain": ("explain", "explain"),
    "docs": ("docs", "docs"),
    "list": ("listing", "listing"),
    "validate": ("validate", "validate"),
    "schema": ("schema", "schema"),
    "completion": ("completion", "completion"),
    "lab": ("lab", "lab"),
}
RENAMED_COMMANDS = {"clean": "prune", "verify": "doctor"}


class _Commands(click.Group):
    """A group of commands that turns every error into one sentence and an exit code."""

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name]
        command: click.Command = getattr(import_module(f"fwbench.cli.{module}"), attribute)
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if new_name := RENAMED_COMMANDS.get(arguments[0]):
            message = f"fwbench: `fwbench {arguments[0]}` is now `fwbench {new_name}`"
            click.echo(message, err=True)
            context.exit(2)
        return super().resolve_command(context, arguments)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise  # for a caller that passes standalone_mode=False
        except FwbenchError as error:
            _print_and_exit(error)
        except OSError as error:
            message = f"{error.strerror or error}: {error.filename or 'a file'}"
            _print_and_exit(FwbenchError(message))
        except Exception as error:
            from fwbench.cli.defect import defect_error

            _print_and_exit(defect_error(error))

    def invoke(self, context: click.Context) -> Any:
        # SIGTERM and SIGHUP clean up as Ctrl-C does.
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                signal.signal(number, signal.default_int_handler)
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            click.echo("fwbench: interrupted", err=True)
            context.exit(INTERRUPTED)


def _print_and_exit(error: FwbenchError) -> NoReturn:
    click.echo(f"fwbench: {error}", err=True)
    sys.exit(error.exit_code)


@click.group(
    cls=_Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="fwbench")
def main() -> None:
    """Benchmark web frameworks on real hosts, with a verdict on every run.

    \b
    On this machine, with two test hosts:
      fwbench lab up
      fwbench provision -i "$(fwbench lab inventory)"
      fwbench run suites/smoke.yml -i "$(fwbench lab inventory)"

    \b
    On two machines of your own, listed in hosts.yml:
      fwbench doctor -i hosts.yml
      fwbench provision -i hosts.yml
      fwbench run suites/flask-vs-fastapi.yml -i hosts.yml

    `fwbench docs` lists the documentation. If a message names a file in docs/, `fwbench
    docs FILE` prints it.
    """
