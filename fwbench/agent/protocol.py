"""What the driver and the agent agree on: commands, exit codes, and names of files.

Both sides import this module, so each of these is defined once. A command of the agent is a class
here: its name is the class's, its options are the fields. Like all of the agent, the module uses
the standard library of Python 3.9 alone.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union, get_args, get_type_hints

AGENT = "agent.pyz"
SESSION_PREFIX = "fwbench-session-"  # of the name of a session's folder, before the session's id
SESSION_LABEL = "fwbench.session"  # of the session's containers
HELD_BY_ANOTHER_SESSION = 75  # the agent's exit code; EX_TEMPFAIL of sysexits.h

# Answers in the folder of the session
FACTS = "facts.json"
HOLDER = "held-by.json"
CLEANUP = "cleanup.json"

# Answers in the folder of a run, on the target
CONTAINER_BEFORE = "container-before.json"
CONTAINER_AFTER = "container-after.json"
CONTAINER_LOG = "container.log"
TELEMETRY_TARGET = "telemetry-target.json"

# Answers in the folder of a run, on a client
ANSWER = "answer.json"
LOAD_EXIT = "load.json"
LOAD_OUTPUT = "h2load.out"
LOAD_ERRORS = "h2load.err"
REQUEST_LOG = "h2load.log"
LOG_SUMMARY = "log.json"
LATENCY_COUNTS = "counts.gz"
TELEMETRY_CLIENT = "telemetry-client.json"


class Facts(NamedTuple):
    """Write `FACTS`: what the host is made of, and its network path to the address `to`."""

    to: Optional[str] = None


class Acquire(NamedTuple):
    """Take or renew the session's lease for `for_s` seconds, and make a folder for `run`.

    Exits with `HELD_BY_ANOTHER_SESSION` and writes `HOLDER` where another session has the host.
    """

    owner: str
    for_s: float
    run: Optional[str] = None


class Release(NamedTuple):
    """Remove everything of the session from the host, its folder and its lease included."""


class Cleanup(NamedTuple):
    """Remove what dead sessions left, with `force` live sessions too; write `CLEANUP`."""

    force: bool = False


class Probe(NamedTuple):
    """Request `url` until it answers, for `for_s` seconds at most; write `ANSWER`."""

    url: str
    for_s: float


class Load(NamedTuple):
    """Execute the load generator `argv`, detached, for `time_limit_s` seconds at most.

    `start_at_s` is when to start it, in epoch seconds of the host; at once if it is missing.
    `skip_s` and `window_s` say which part of the log is measured, from its first request on. With
    `keep_log` the log is kept for `Reduce`. Afterwards `url` is requested once.
    """

    url: str
    time_limit_s: float
    skip_s: Optional[float] = None
    window_s: Optional[float] = None
    start_at_s: Optional[float] = None
    keep_log: bool = False
    argv: Sequence[str] = ()


class Reduce(NamedTuple):
    """Reduce the kept log to the requests that started between two moments, in epoch µs.

    With `whole` they have to end in that window too. `ahead_us` is by how much the host's clock is
    ahead of the clock of these moments.
    """

    from_us: int
    until_us: int
    whole: bool = False
    ahead_us: int = 0


class StopLoad(NamedTuple):
    """Stop a load that is still running."""


class WaitIdle(NamedTuple):
    """Wait until the container has all its processes and idles, for `for_s` seconds at most.

    Writes `CONTAINER_BEFORE`; then samples the host, detached, for `sample_for_s` seconds at most.
    """

    container: str
    processes: int
    for_s: float
    sample_for_s: float = 0.0


class Finish(NamedTuple):
    """Stop the sampler, write `CONTAINER_AFTER` and `CONTAINER_LOG`, remove the container."""

    container: str


COMMANDS = {
    re.sub(r"(?<!^)([A-Z])", r"-\1", each.__name__).lower(): each
    for each in (
        Facts,
        Acquire,
        Release,
        Cleanup,
        Probe,
        Load,
        Reduce,
        StopLoad,
        WaitIdle,
        Finish,
    )
}
_NAMES = {each: name for name, each in COMMANDS.items()}

Command = Union[Facts, Acquire, Release, Cleanup, Probe, Load, Reduce, StopLoad, WaitIdle, Finish]


def command_line(command: Command, folder: object) -> list[str]:
    """Return the argv that has the agent do something, for use in the folder where it lies.

    `folder` is the session's folder, or that of a run in it.
    """
    options, rest = [], []
    for key, value in command._asdict().items():
        option = "--" + key.replace("_", "-")
        if key == "argv":
            rest = list(value)
        elif value is True:
            options.append(option)
        elif value is not None and value is not False:
            options.append(f"{option}={value}")
    return ["python3", "-I", AGENT, _NAMES[type(command)], *options, str(folder), *rest]


def parse(arguments: Sequence[str]) -> tuple[Command, Path]:
    """Return the command in the agent's arguments, and the folder to work in.

    Raises `SystemExit` with a usage message for anything else.
    """
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    subcommands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name, kind in COMMANDS.items():
        subcommand = subcommands.add_parser(name)
        subcommand.add_argument("folder", type=Path)
        _add_options(subcommand, kind)
    given = vars(parser.parse_args(arguments))
    kind = COMMANDS[given.pop("command")]
    folder = given.pop("folder")
    return kind(**given), folder


def _add_options(parser: argparse.ArgumentParser, kind: Any) -> None:
    for key, annotation in get_type_hints(kind).items():
        option = "--" + key.replace("_", "-")
        default = kind._field_defaults.get(key)
        if key == "argv":
            parser.add_argument("argv", nargs=argparse.REMAINDER)
        elif annotation is bool:
            parser.add_argument(option, action="store_true")
        else:
            plain = next((a for a in get_args(annotation) if a is not type(None)), annotation)
            required = key not in kind._field_defaults
            parser.add_argument(option, type=plain, required=required, default=default)
