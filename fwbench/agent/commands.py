"""One subcommand for each thing that the driver asks of a host.

Each says which options it has and, once it is the one that was asked for, imports what it needs:
an archive is compiled anew at every start, so modules that do nothing cost most of it.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from fwbench.agent.files import write


def main(arguments: Sequence[str]) -> None:
    """Do what one command line says, and leave the answer in its folder."""
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    subcommands = parser.add_subparsers(metavar="SUBCOMMAND", required=True)
    for add in (_facts, _ask, _load, _stop_load, _settle, _finish):
        command = subcommands.add_parser(add.__name__.strip("_").replace("_", "-"))
        command.add_argument("folder", type=Path)
        add(command)
    given = parser.parse_args(arguments)
    os.umask(0o077)
    given.do(given)


def _facts(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.facts import facts

        write(given.folder / "facts.json", facts())

    command.set_defaults(do=do)


def _ask(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.asking import ask_until_answered

        write(given.folder / "answer.json", ask_until_answered(given.url, given.for_s))

    command.add_argument("--url", required=True)
    command.add_argument("--for", dest="for_s", type=float, required=True)
    command.set_defaults(do=do)


def _load(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.detached import detach
        from fwbench.agent.load import load

        if detach():
            load(
                given.folder,
                given.url,
                given.for_s,
                given.argv,
                skip_s=given.window_skip_s,
                for_s=given.window_for_s,
            )

    command.add_argument("--url", required=True)
    command.add_argument("--for", dest="for_s", type=float, required=True)
    command.add_argument("--skip-s", dest="window_skip_s", type=float)
    command.add_argument("--for-s", dest="window_for_s", type=float)
    command.add_argument("argv", nargs=argparse.REMAINDER)
    command.set_defaults(do=do)


def _stop_load(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.load import stop_load

        stop_load(given.folder)

    command.set_defaults(do=do)


def _settle(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.container import settle
        from fwbench.agent.detached import detach
        from fwbench.agent.watching import watch

        settled = settle(given.container, given.processes, given.for_s)
        write(given.folder / "container-before.json", settled)
        if given.sample_for_s > 0 and detach():
            watch(given.folder, settled["processes"], given.sample_for_s)

    command.add_argument("--for", dest="for_s", type=float, required=True)
    command.add_argument("--container", required=True)
    command.add_argument("--processes", type=int, required=True)
    command.add_argument("--sample-for", dest="sample_for_s", type=float, default=0.0)
    command.set_defaults(do=do)


def _finish(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.container import finish

        finish(given.folder, given.container)

    command.add_argument("--container", required=True)
    command.set_defaults(do=do)
