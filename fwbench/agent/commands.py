"""Execute one of the driver's commands.

Each command imports its modules when it is called. Python compiles the archive again at every
start, so unused modules would take most of a command's time.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fwbench.agent import protocol
from fwbench.agent.files import UntrustedError, check_private, trusted_users, write


def main(arguments: Sequence[str]) -> None:
    """Execute the command in `arguments`, and write its results to the folder that it names."""
    command, folder = protocol.parse_arguments(arguments)
    os.umask(0o077)
    try:
        # `Release` may name a folder of another user; it writes nothing to the folder.
        if not isinstance(command, protocol.Release):
            _check(folder)
        _COMMANDS[type(command)](folder, command)
    except (OSError, UntrustedError) as error:
        raise SystemExit(f"{error}") from error


def _check(folder: Path) -> None:
    """Raise `UntrustedError` if another user could change a session's folder, or a run's in it."""
    parents = [each for each in folder.parents if each.name.startswith(protocol.SESSION_PREFIX)]
    for each in [folder, *parents]:
        check_private(each, trusted_users())


def _facts(folder: Path, command: protocol.Facts) -> None:
    from fwbench.agent.facts import host_facts

    programs = [name for name in command.programs.split(",") if name]
    write(folder / protocol.FACTS, host_facts(command.load_address, programs))


def _acquire(folder: Path, command: protocol.Acquire) -> None:
    from fwbench.agent.cleanup import take_host
    from fwbench.agent.detached import detach
    from fwbench.agent.watchdog import is_running, run_watchdog

    holder = take_host(folder, command.owner, command.lease_s, command.run)
    if holder is not None:
        write(folder / protocol.HOLDER, holder)
        raise SystemExit(protocol.HELD_BY_ANOTHER_SESSION)
    if not is_running(folder) and detach():
        run_watchdog(folder)


def _check_unused(folder: Path, _: protocol.CheckUnused) -> None:
    from fwbench.agent.lease import live_lease

    holder = live_lease()
    if holder is not None:
        write(folder / protocol.HOLDER, holder)
        raise SystemExit(protocol.HELD_BY_ANOTHER_SESSION)


def _release(folder: Path, _: protocol.Release) -> None:
    from fwbench.agent import state
    from fwbench.agent.cleanup import remove_session

    with state.lock():
        removed = remove_session(folder)["folder_removed"]
    if not removed:
        raise SystemExit(f"{folder} could not be removed; see whether something is mounted in it")


def _cleanup(folder: Path, command: protocol.Cleanup) -> None:
    from fwbench.agent.cleanup import remove_dead_sessions

    write(folder / protocol.CLEANUP, remove_dead_sessions(folder, force=command.force))


def _probe(folder: Path, command: protocol.Probe) -> None:
    from fwbench.agent.http_probe import get_until_answered

    write(folder / protocol.ANSWER, get_until_answered(command.url, command.timeout_s))


def _load(folder: Path, command: protocol.Load) -> None:
    from fwbench.agent.detached import detach
    from fwbench.agent.load import raise_open_files_limit, run_load

    if detach():
        raise_open_files_limit()
        run_load(folder, command)


def _reduce(folder: Path, command: protocol.Reduce) -> None:
    from fwbench.agent.h2load_log import Window
    from fwbench.agent.reduce import reduce_window

    window = Window(command.from_us, command.until_us, command.must_end_inside)
    reduce_window(folder / protocol.REQUEST_LOG, folder, window, command.ahead_us)


def _stop_load(folder: Path, _: protocol.StopLoad) -> None:
    from fwbench.agent.load import stop_load

    stop_load(folder)


def _wait_idle(folder: Path, command: protocol.WaitIdle) -> None:
    from fwbench.agent.container import wait_until_idle
    from fwbench.agent.detached import detach
    from fwbench.agent.target_sampler import start_sampling

    state = wait_until_idle(command.container, command.processes, command.timeout_s)
    write(folder / protocol.CONTAINER_BEFORE, state)
    if command.sampling_limit_s > 0 and detach():
        start_sampling(folder, state["processes"], command.sampling_limit_s)


def _finish(folder: Path, command: protocol.Finish) -> None:
    from fwbench.agent.container import finish

    finish(folder, command.container)


_COMMANDS: "dict[type, Callable[[Path, Any], None]]" = {
    protocol.Facts: _facts,
    protocol.Acquire: _acquire,
    protocol.CheckUnused: _check_unused,
    protocol.Release: _release,
    protocol.Cleanup: _cleanup,
    protocol.Probe: _probe,
    protocol.Load: _load,
    protocol.Reduce: _reduce,
    protocol.StopLoad: _stop_load,
    protocol.WaitIdle: _wait_idle,
    protocol.Finish: _finish,
}
