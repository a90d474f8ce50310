"""One subcommand for each thing that the driver asks of a host.

Each says which options it has and, once it is the one that was asked for, imports what it needs:
an archive is compiled anew at every start, so modules that do nothing cost most of it.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from fwbench.agent.files import UntrustedError, check_private, trusted_users, write
from fwbench.agent.lease import PREFIX

HELD_BY_ANOTHER = 75  # EX_TEMPFAIL of sysexits.h


def main(arguments: Sequence[str]) -> None:
    """Do what one command line says, and leave the answer in its folder."""
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    subcommands = parser.add_subparsers(metavar="SUBCOMMAND", required=True)
    for add in (_facts, _begin, _leave, _clean, _ask, _load, _reduce, _stop_load, _settle, _finish):
        command = subcommands.add_parser(add.__name__.strip("_").replace("_", "-"))
        command.add_argument("folder", type=Path)
        command.set_defaults(works_in_it=add is not _leave)
        add(command)
    given = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        if given.works_in_it:
            _check(given.folder)
        given.do(given)
    except (OSError, UntrustedError) as error:
        raise SystemExit(f"{error}") from error


def _check(folder: Path) -> None:
    """See that a session's folder, or a run's in it, is nobody else's."""
    folders = [folder, *(each for each in folder.parents if each.name.startswith(PREFIX))]
    for each in folders:
        check_private(each, trusted_users())


def _facts(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.facts import facts

        write(given.folder / "facts.json", facts(given.to))

    command.add_argument("--to")
    command.set_defaults(do=do)


def _begin(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.cleanup import enter
        from fwbench.agent.detached import detach
        from fwbench.agent.watchdog import is_running, run_watchdog

        other = enter(given.folder, given.owner, given.for_s, given.run)
        if other is not None:
            write(given.folder / "held-by.json", other)
            raise SystemExit(HELD_BY_ANOTHER)
        if not is_running(given.folder) and detach():
            run_watchdog(given.folder)

    command.add_argument("--owner", required=True)
    command.add_argument("--for", dest="for_s", type=float, required=True)
    command.add_argument("--run")
    command.set_defaults(do=do)


def _leave(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent import state
        from fwbench.agent.cleanup import remove_session

        with state.lock():
            gone = remove_session(given.folder)["folder_removed"]
        if not gone:
            raise SystemExit(f"{given.folder} is still there")

    command.set_defaults(do=do)


def _clean(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.cleanup import remove_dead_sessions

        write(given.folder / "cleaned.json", remove_dead_sessions(given.folder, force=given.force))

    command.add_argument("--force", action="store_true")
    command.set_defaults(do=do)


def _ask(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.http_probe import ask_until_answered

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
                at=given.at,
                keep_log=given.keep_log,
            )

    command.add_argument("--url", required=True)
    command.add_argument("--for", dest="for_s", type=float, required=True)
    command.add_argument("--skip-s", dest="window_skip_s", type=float)
    command.add_argument("--for-s", dest="window_for_s", type=float)
    command.add_argument("--at", type=float)
    command.add_argument("--keep-log", action="store_true")
    command.add_argument("argv", nargs=argparse.REMAINDER)
    command.set_defaults(do=do)


def _reduce(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.h2load_log import Window
        from fwbench.agent.reduce import reduce_window

        window = Window(given.from_us, given.until_us, given.whole)
        reduce_window(given.folder / "h2load.log", given.folder, window, given.ahead_us)

    command.add_argument("--from-us", type=int, required=True)
    command.add_argument("--until-us", type=int, required=True)
    command.add_argument("--whole", action="store_true")
    command.add_argument("--ahead-us", type=int, default=0)
    command.set_defaults(do=do)


def _stop_load(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.load import stop_load

        stop_load(given.folder)

    command.set_defaults(do=do)


def _settle(command: argparse.ArgumentParser) -> None:
    def do(given: argparse.Namespace) -> None:
        from fwbench.agent.container import wait_until_idle
        from fwbench.agent.detached import detach
        from fwbench.agent.target_sampler import start_sampling

        settled = wait_until_idle(given.container, given.processes, given.for_s)
        write(given.folder / "container-before.json", settled)
        if given.sample_for_s > 0 and detach():
            start_sampling(given.folder, settled["processes"], given.sample_for_s)

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
