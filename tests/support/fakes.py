"""Fake hosts in memory: they execute the driver's commands at once, and can be made to fail."""

import json
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, NamedTuple, Self

from builders import SAMPLES, answer, container
from telemetry_builders import telemetry

from fwbench.agent.h2load_log import Window
from fwbench.agent.protocol import (
    AGENT,
    ANSWER,
    CONTAINER_AFTER,
    CONTAINER_BEFORE,
    CONTAINER_LOG,
    FACTS,
    HELD_BY_ANOTHER_SESSION,
    HOLDER,
    LOAD_ERRORS,
    LOAD_EXIT,
    LOAD_OUTPUT,
    TELEMETRY_CLIENT,
    TELEMETRY_TARGET,
    Acquire,
    CheckUnused,
    Facts,
    Finish,
    Load,
    Probe,
    Reduce,
    Release,
    StopLoad,
    WaitIdle,
    parse_arguments,
)
from fwbench.agent.reduce import log_ends, reduce_log, reduce_window
from fwbench.errors import HostError, LostError
from fwbench.model.observation import Answer
from fwbench.ssh.remote import FILE_LIMIT_BYTES, Completed

NO_ANSWER = Answer(error="ConnectionRefusedError: [Errno 111] Connection refused")
STARTED_US = 10**15


@cache
def log_of(began_us: int, rows: int = 1000) -> str:
    """Return a log with a request every millisecond, each answered after two."""
    return "".join(f"{began_us + n * 1000}\t200\t2000\n" for n in range(rows))


@cache
def reduced_files(log: str, window: Window | None = None, ahead_us: int = 0) -> Mapping[str, bytes]:
    """Return the files to which the agent reduces a log, by name."""
    with TemporaryDirectory() as place:
        file, folder = Path(place) / "requests.log", Path(place) / "reduced"
        folder.mkdir()
        file.write_text(log)
        if window is None:
            reduce_log(file, folder)
        else:
            reduce_window(file, folder, window, ahead_us)
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@cache
def ends_of_log(log: str) -> tuple[int | None, int | None]:
    with TemporaryDirectory() as place:
        file = Path(place) / "requests.log"
        file.write_text(log)
        return log_ends(file)


class RunningLoad(NamedTuple):
    """A load that runs on a fake host."""

    until: float
    request: Load


class Clock:
    """A clock on which time passes only during `sleep`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeHost:
    """A `Remote` for target or client, with folders, files, containers and loads in memory.

    Before each operation it calls `on_call`, which may raise. The attributes determine the
    behaviour of the contender, the engine and the load generator.
    """

    def __init__(
        self,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        on_call: Callable[["FakeHost", str], None] = lambda *_: None,
    ) -> None:
        self.name = name
        self.clock = clock
        self.on_call = on_call
        self.folders: set[str] = set()
        self.files: dict[str, bytes] = {}
        self.containers: set[str] = set()
        self.ended: set[str] = set()  # containers that no longer run
        self.loads: dict[str, RunningLoad] = {}
        self.asked: list[str] = []
        self.within: list[tuple[str, PurePosixPath | None]] = []  # each command, with its folder
        self.lost = False
        self.gone = threading.Event()

        self.answers: list[Answer] = []  # the last one repeats; if empty, the builders' answer
        self.engine_says = ""  # the error if a container cannot be started
        self.has_python = True
        self.held_by: dict[str, Any] | None = None  # the lease of another session
        self.load_takes_s: float | None = 0.0  # None: never ends
        self.load_ends: dict[str, Any] = {"exit_status": 0, "timed_out": False}
        self.log: str | None = None  # None: the log of a load that started at STARTED_US
        self.output = (SAMPLES / "1.52" / "ok-n.out").read_text()
        self.facts: dict[str, Any] = {}
        self.ahead_s = 0.0  # how far the clock is ahead
        self.samples = True  # whether the sampler writes telemetry

    @property
    def is_clean(self) -> bool:
        """Whether the driver left nothing on the host."""
        return not (self.folders or self.files or self.containers or self.loads)

    @property
    def closed(self) -> bool:
        """Whether the driver has closed its connection."""
        return self.gone.is_set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.gone.set()

    # The methods of a Remote

    def execute(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        sudo: bool = False,
        within: PurePosixPath | None = None,
    ) -> Completed:
        argv = [f"{within}/{word}" if word == AGENT else word for word in argv]
        self.within.append((shlex.join(argv), within))
        self._receive(shlex.join(argv))
        if within is not None and str(within) not in self.folders:
            return Completed(argv=tuple(argv), exit_status=77, stderr=f"{within} is gone")
        status, stderr = self._perform(list(argv), sudo)
        assert timeout_s > 0
        return Completed(argv=tuple(argv), exit_status=status, stderr=stderr)

    def check(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30,
        sudo: bool = False,
        within: PurePosixPath | None = None,
    ) -> None:
        result = self.execute(argv, timeout_s=timeout_s, sudo=sudo, within=within)
        if result.exit_status:
            raise HostError(f"{self.name}: `{shlex.join(argv)}` exited: {result.stderr}")

    def put(self, content: bytes, path: str) -> None:
        self._receive(f"put {path}")
        self._write(path, content)

    def get(self, path: str, to: Path, limit_bytes: int = FILE_LIMIT_BYTES) -> None:
        self._receive(f"get {path}")
        self._end_loads()
        if path not in self.files:
            raise HostError(f"{self.name}: no such file: {path}")
        if (size := len(self.files[path])) > limit_bytes:
            raise HostError(f"{self.name}: {path} has {size} bytes, more than fwbench fetches")
        to.write_bytes(self.files[path])

    def exists(self, path: str) -> bool:
        self._receive(f"exists {path}")
        self._end_loads()
        return path in self.files

    # The behaviour of the host

    def perform(self, command: str) -> None:
        """Execute a command even if the connection is lost."""
        self._perform(shlex.split(command), sudo=True)

    def _receive(self, what: str) -> None:
        assert not self.closed, f"{self.name} is used after its connection was closed: {what}"
        self.asked.append(what)
        self.on_call(self, what)
        if self.lost:
            raise LostError(f"{self.name}: the connection was lost during `{what}`")

    def _perform(self, argv: list[str], sudo: bool) -> tuple[int, str]:
        match argv:
            case ["true"]:
                return 0, ""
            case ["python3", "-c", "pass"]:
                return (0, "") if self.has_python else (127, "python3: not found")
            case ["mkdir", "-m", "700", folder]:
                if folder in self.folders:
                    return 1, "File exists"
                self.folders.add(folder)
            case ["rm", "-rf", folder]:
                removed = PurePosixPath(folder)
                self.folders = {f for f in self.folders if not _is_in(f, removed)}
                self.files = {f: c for f, c in self.files.items() if not _is_in(f, removed)}
            case ["sh", "-c", 'date +%s.%N >"$0"', path]:
                self._write(path, f"{self.clock() + self.ahead_s:.9f}\n".encode())
            case ["docker", "run", *options]:
                assert sudo, "only root can use the engine"
                names = [o.removeprefix("--name=") for o in options if o.startswith("--name=")]
                self.containers.add(names[0])  # also one that could not be started
                if self.engine_says:
                    return 125, self.engine_says
            case ["sh", "-c", test, name] if "{{.State.Running}}" in test:
                assert sudo, "only root can use the engine"
                return (0 if name in self.ended else 1), ""
            case ["docker", "rm", "--force", "--volumes", name]:
                assert sudo, "only root can use the engine"
                self.containers.discard(name)
            case ["test", "-f", path]:
                return (0 if path in self.files else 1), ""
            case ["python3", "-I", agent, command, *rest]:
                if agent not in self.files:
                    return 2, f"can't open file {agent!r}"
                return self._agent(command, rest, sudo)
            case _:
                raise AssertionError(f"{self.name} has no command {argv}")
        return 0, ""

    def _agent(self, command: str, rest: list[str], sudo: bool) -> tuple[int, str]:
        request, path = parse_arguments([command, *rest])
        folder = PurePosixPath(path)
        match request:
            case Acquire():
                assert sudo, "remaining files may be root's"
                if self.held_by is not None:
                    self._write_json(folder / HOLDER, self.held_by)
                    return HELD_BY_ANOTHER_SESSION, ""
                self.containers.clear()
                if request.run is not None:
                    self.folders.add(str(folder / request.run))
            case CheckUnused():
                assert sudo, "leases are root's"
                if self.held_by is not None:
                    self._write_json(folder / HOLDER, self.held_by)
                    return HELD_BY_ANOTHER_SESSION, ""
            case Release():
                assert sudo, "remaining files may be root's"
                self.containers.clear()
                return self._perform(["rm", "-rf", str(folder)], sudo=True)
            case Facts():
                self._write_json(folder / FACTS, self.facts)
            case Probe():
                next_answer = self.answers[0] if self.answers else answer()
                if len(self.answers) > 1:
                    self.answers.pop(0)
                self._write_json(folder / ANSWER, next_answer.model_dump())
            case Load():
                assert request.argv[0] == "h2load", request
                duration_s = float("inf") if self.load_takes_s is None else self.load_takes_s
                start_s = (request.start_at_s or 0) - self.ahead_s
                self.loads[str(folder)] = RunningLoad(
                    max(self.clock(), start_s) + duration_s, request
                )
            case Reduce():
                window = Window(request.from_us, request.until_us, request.must_end_inside)
                self._write_files(folder, reduced_files(self._load_log(), window, request.ahead_us))
            case StopLoad():
                self.loads.pop(str(folder), None)
            case WaitIdle() | Finish() if not sudo or request.container not in self.containers:
                return 1, "no such container, or not root"
            case WaitIdle():
                state = container(idle_wait_s=0.2, reached_idle=True)
                self._write_json(folder / CONTAINER_BEFORE, state.model_dump())
            case Finish():
                running = request.container not in self.ended
                state = container(running=running, idle_wait_s=None, reached_idle=None)
                self._write_json(folder / CONTAINER_AFTER, state.model_dump())
                self._write(str(folder / CONTAINER_LOG), b"booted\n")
                if self.samples:
                    self._write_json(folder / TELEMETRY_TARGET, telemetry())
                self.containers.discard(request.container)
            case _:
                raise AssertionError(f"the agent has no command {command}")
        return 0, ""

    def _end_loads(self) -> None:
        for name, (until, request) in list(self.loads.items()):
            if self.clock() >= until:
                del self.loads[name]
                folder = PurePosixPath(name)
                self._write(str(folder / LOAD_OUTPUT), self.output.encode())
                self._write(str(folder / LOAD_ERRORS), b"")
                if self.samples:
                    self._write_json(folder / TELEMETRY_CLIENT, telemetry())
                load_exit = {
                    "started_at_s": 1.0,
                    "load_s": 3.5,
                    "answer_after": answer().model_dump(),
                    **self.load_ends,
                }
                if request.keep_log:
                    load_exit["first_start_us"], load_exit["last_end_us"] = ends_of_log(
                        self._load_log()
                    )
                else:
                    self._write_files(folder, reduced_files(self._load_log()))
                self._write_json(folder / LOAD_EXIT, load_exit)

    def _load_log(self) -> str:
        if self.log is not None:
            return self.log
        return log_of(STARTED_US + round(self.ahead_s * 1e6))

    def _write_files(self, folder: PurePosixPath, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            self._write(str(folder / name), content)

    def _write(self, path: str, content: bytes) -> None:
        folder = str(PurePosixPath(path).parent)
        if folder not in self.folders:
            raise HostError(f"{self.name}: no such file: {folder}")
        self.files[path] = content

    def _write_json(self, path: PurePosixPath, value: object) -> None:
        self._write(str(path), json.dumps(value).encode())


def _is_in(path: str, folder: PurePosixPath) -> bool:
    return PurePosixPath(path).is_relative_to(folder)
