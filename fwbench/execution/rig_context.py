"""Where runs are executed, and how their hosts are asked over connections that may break."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from fwbench.agent import archive
from fwbench.errors import LostError
from fwbench.ssh.remote import FILE_LIMIT_BYTES, Remote

PATIENCE_S = 60.0
NAP_S = 0.2
BETWEEN_TRIES_S = 1.0
# What is large after a load of a day; a host may claim any size.
LARGEST_BYTES = {
    "counts.gz": 256 << 20,
    "telemetry-client.json": 64 << 20,
    "telemetry-target.json": 64 << 20,
}

T = TypeVar("T")
Item = TypeVar("Item")


class CancelledError(Exception):
    """Somebody asked to stop; the run is no run."""


@dataclass(frozen=True)
class Bench:
    """Where a rig's runs are executed: its hosts and their folders for this session."""

    session: str
    target: Remote
    clients: tuple[Remote, ...]
    address: str
    cpus: tuple[int, ...]
    folder: PurePosixPath
    cancelled: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def hosts(self) -> tuple[Remote, ...]:
        """All of them, the target first."""
        return (self.target, *self.clients)

    @property
    def agent(self) -> PurePosixPath:
        """Where the agent lies on every host."""
        return self.folder / archive.NAME

    def check_cancelled(self) -> None:
        """Raise `CancelledError` once somebody has asked to stop."""
        if self.cancelled():
            raise CancelledError

    def pause(self, seconds: float) -> None:
        """Sleep in short naps, since somebody may want to stop."""
        until = self.clock() + seconds
        while (left := until - self.clock()) > 0:
            self.check_cancelled()
            self.sleep(min(left, NAP_S))
        self.check_cancelled()


@dataclass(frozen=True)
class Desk:
    """A bench as one run uses it: its folder on the hosts, and which of them were lost meanwhile.

    What may be asked again is asked until a lost host has answered, or has not for `PATIENCE_S`.
    Each host is for one thread at a time.
    """

    bench: Bench
    folder: PurePosixPath
    lost: set[str] = field(default_factory=set)

    def on(
        self,
        host: Remote,
        command: str,
        *options: str,
        argv: Sequence[str] = (),
        limit_s: float = 30,
        sudo: bool = False,
    ) -> None:
        """Let a host's agent do something, once."""
        agent = archive.command(command, *options, str(self.folder), *argv)
        host.check(agent, timeout_s=limit_s, sudo=sudo, within=self.bench.folder)

    def insist(self, host: Remote, ask: Callable[[], T], until: float = 0.0) -> T:
        """Ask again and again while the host is lost; what is asked may happen more than once.

        `until`: by the bench's clock, when patience begins to run out at the earliest.
        """
        deadline: float | None = None
        while True:
            try:
                return ask()
            except LostError:
                self.lost.add(host.name)
                now = self.bench.clock()
                if deadline is None:
                    deadline = max(now, until) + PATIENCE_S
                if now >= deadline:
                    raise
            self.bench.pause(BETWEEN_TRIES_S)

    def exists(self, host: Remote, name: str, until: float = 0.0) -> bool:
        """Whether the run has left such a file on a host."""
        return self.insist(host, lambda: host.exists(str(self.folder / name)), until)

    def fetch(self, host: Remote, name: str, into: Path) -> str:
        """Fetch one of the run's files into a folder and tell its text."""
        self._get(host, name, into)
        return (into / name).read_text(errors="backslashreplace")

    def fetch_if_there(self, host: Remote, name: str, into: Path) -> None:
        """Fetch a file that the run need not have left."""
        if self.exists(host, name):
            self._get(host, name, into)

    def _get(self, host: Remote, name: str, into: Path) -> None:
        limit = LARGEST_BYTES.get(name, FILE_LIMIT_BYTES)
        self.insist(host, lambda: host.get(str(self.folder / name), into / name, limit))


def twice(leave: Callable[[Item], None], what: Item) -> None:
    """Do what cleans up once more if the connection broke, which the next call makes anew."""
    try:
        leave(what)
    except LostError:
        leave(what)


def side_by_side(do: Callable[[Item], T], items: Iterable[Item]) -> list[T]:
    """What comes of each item, all at once; the first error is raised when all have ended."""
    every = tuple(items)
    if len(every) == 1:
        return [do(every[0])]
    with ThreadPoolExecutor(max(1, len(every))) as threads:
        futures = [threads.submit(do, item) for item in every]
        wait(futures)
        return [future.result() for future in futures]
