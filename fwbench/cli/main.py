"""The command line: flags, exit codes, printing. Nothing heavy is imported before its use."""

import signal
import sys
from typing import Any, NoReturn

import click

from fwbench import __version__
from fwbench.cli import hosts, runs
from fwbench.cli.defect import defect_error
from fwbench.cli.lab import lab
from fwbench.errors import FwbenchError

INTERRUPTED = 130

EXIT_CODES = """\b
Exit codes:
  0    done
  2    wrong usage of the command line
  3    suite or contender file    4  inventory      5  a host does not answer or refuses
  6    provisioning               7  not provisioned, or a port in use
  8    at least one run is invalid (results are printed and kept)
  9    lab                       10  session folder
  11   a rig was left out or set aside; the others went on
  12   a teardown left a Docker engine in which others keep something
  70   a defect of fwbench: please report it with the file that is named
  130  interrupted; what was measured is kept
"""


class _Commands(click.Group):
    """Turns every error that a user or a network can cause into one sentence and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise  # of whoever calls this without click's own ending
        except FwbenchError as error:
            _print_and_exit(error)
        except OSError as error:
            said = f"{error.strerror or error}: {error.filename or 'a file'}"
            _print_and_exit(FwbenchError(said))
        except Exception as error:
            _print_and_exit(defect_error(error))

    def invoke(self, context: click.Context) -> Any:
        # Whoever ends the program gently gets the same cleaning up as with Ctrl-C.
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
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


for command in (
    hosts.doctor,
    hosts.provision,
    hosts.verify,
    hosts.teardown,
    hosts.clean,
    runs.run,
    runs.resume,
    runs.report,
    lab,
):
    main.add_command(command)
