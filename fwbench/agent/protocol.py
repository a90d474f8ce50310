"""The protocol between driver and agent: commands, exit codes, and file names.

Both sides import this module. Each command of the agent is a class here: the class's name is the
command's name, and the class's fields are its options. Like all of the agent, this module uses the
standard library alone.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union, get_args, get_type_hints

AGENT = "agent.pyz"
SESSION_PREFIX = "fwbench-session-"  # followed by the session's id: its folder's name
SESSION_LABEL = "fwbench.session"  # the label of a session's containers
HELD_BY_ANOTHER_SESSION = 75  # the agent's exit code; EX_TEMPFAIL of sysexits.h

# Files in the session's folder
FACTS = "facts.json"
HOLDER = "held-by.json"
CLEANUP = "cleanup.json"

# Files in a run's folder on the target
CONTAINER_BEFORE = "container-before.json"
CONTAINER_AFTER = "container-after.json"
CONTAINER_LOG = "container.log"
TELEMETRY_TARGET = "telemetry-target.json"

# Files in a run's folder on a client
ANSWER = "answer.json"
LOAD_EXIT = "load.json"
LOAD_OUTPUT = "loadgen.out"
LOAD_ERRORS = "loadgen.err"
REQUEST_LOG = "requests.log"
LOG_SUMMARY = "log.json"
LATENCY_COUNTS = "counts.gz"
TELEMETRY_CLIENT = "telemetry-client.json"


class Facts(NamedTuple):
    """Write `FACTS`: the host's hardware and software, and its network path to `load_address`.

    `programs` are names of programs, separated by commas, whose versions are facts too.
    """

    load_address: Optional[str] = None
    programs: str = ""


class Acquire(NamedTuple):
    """Take or renew the session's lease for `lease_s` seconds, and make a folder for `run`.

    If another session has the host, writes `HOLDER` and exits with `HELD_BY_ANOTHER_SESSION`.
    """

    owner: str
    lease_s: float
    run: Optional[str] = None


class CheckUnused(NamedTuple):
    """If a session has the host, write `HOLDER` and exit with `HELD_BY_ANOTHER_SESSION`."""


class Release(NamedTuple):
    """Remove the session from the host, with its processes, containers, folder and lease."""


class Cleanup(NamedTuple):
    """Remove what dead sessions left, and with `force` live sessions too; write `CLEANUP`."""

    force: bool = False


class Probe(NamedTuple):
    """Request `url` until it answers, for at most `timeout_s` seconds; write `ANSWER`."""

    url: str
    timeout_s: float


class Load(NamedTuple):
    """Execute the load generator `argv`, detached, for at most `time_limit_s` seconds.

    It starts at `start_at_s`, in epoch seconds of the host's clock, or at once. The measured part
    of the log begins `skip_s` seconds after the first request and lasts `window_s` seconds. With
    `keep_log` the log is kept for `Reduce`. After the load, `url` is requested once. `warm_up` is
    the command that precedes the load, as a JSON list.
    """

    url: str
    time_limit_s: float
    skip_s: Optional[float] = None
    window_s: Optional[float] = None
    start_at_s: Optional[float] = None
    keep_log: bool = False
    warm_up: Optional[str] = None
    argv: Sequence[str] = ()


class Reduce(NamedTuple):
    """Reduce the kept log to the requests that started between two moments, in epoch µs.

    With `must_end_inside` they also have to end in that window. The moments are by another clock;
    the host's clock is ahead of it by `ahead_us`.
    """

    from_us: int
    until_us: int
    must_end_inside: bool = False
    ahead_us: int = 0


class StopLoad(NamedTuple):
    """Stop a load that is still running."""


class WaitIdle(NamedTuple):
    """Wait until the container has all its processes and idles, for at most `timeout_s` seconds.

    Writes `CONTAINER_BEFORE`; then samples the host, detached, for at most `sampling_limit_s`
    seconds.
    """

    container: str
    processes: int
    timeout_s: float
    sampling_limit_s: float = 0.0


class Finish(NamedTuple):
    """Stop the sampler, write `CONTAINER_AFTER` and `CONTAINER_LOG`, remove the container."""

    container: str


COMMANDS = {
    re.sub(r"(?<!^)([A-Z])", r"-\1", each.__name__).lower(): each
    for each in (
        Facts,
        Acquire,
        CheckUnused,
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

Command = Union[
    Facts,
    Acquire,
    CheckUnused,
    Release,
    Cleanup,
    Probe,
    Load,
    Reduce,
    StopLoad,
    WaitIdle,
    Finish,
]


def command_line(command: Command, folder: object) -> list[str]:
    """Return the argv of an agent's command, to be executed in the session's folder.

    `folder` is the session's folder, or a run's folder in it.
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


def parse_arguments(arguments: Sequence[str]) -> tuple[Command, Path]:
    """Return the command in the agent's arguments, and the folder to work in.

    Raises `SystemExit` with a usage message for anything else.
    """
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    subcommands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name, kind in COMMANDS.items():
        subcommand = subcommands.add_parser(name)
        subcommand.add_argument("folder", type=Path)
        _add_options(subcommand, kind)
    options = vars(parser.parse_args(arguments))
    kind = COMMANDS[options.pop("command")]
    folder = options.pop("folder")
    return kind(**options), folder


def _add_options(parser: argparse.ArgumentParser, kind: Any) -> None:
    for key, annotation in get_type_hints(kind).items():
        option = "--" + key.replace("_", "-")
        default = kind._field_defaults.get(key)
        if key == "argv":
            parser.add_argument("argv", nargs=argparse.REMAINDER)
        elif annotation is bool:
            parser.add_argument(option, action="store_true")
        else:
            value_type = next((a for a in get_args(annotation) if a is not type(None)), annotation)
            required = key not in kind._field_defaults
            parser.add_argument(option, type=value_type, required=required, default=default)
