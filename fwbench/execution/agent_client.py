"""Asks the agents of a rig's hosts, over connections that may break."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from fwbench.agent.protocol import (
    LATENCY_COUNTS,
    TELEMETRY_CLIENT,
    TELEMETRY_TARGET,
    Command,
    command_line,
)
from fwbench.errors import LostError
from fwbench.execution.rig_context import RigContext
from fwbench.ssh.remote import FILE_LIMIT_BYTES, Remote

RECONNECT_TIMEOUT_S = 60.0
RETRY_INTERVAL_S = 1.0
# What is large after a load of a day; a host may claim any size.
SIZE_LIMITS_BYTES = {
    LATENCY_COUNTS: 256 << 20,
    TELEMETRY_CLIENT: 64 << 20,
    TELEMETRY_TARGET: 64 << 20,
}

T = TypeVar("T")
Item = TypeVar("Item")


@dataclass(frozen=True)
class AgentClient:
    """The rig as one run uses it: its folder on the hosts, and which of them were lost meanwhile.

    What may be asked again is asked until a lost host has answered, or has not for `PATIENCE_S`.
    Each host is for one thread at a time.
    """

    context: RigContext
    folder: PurePosixPath
    unreachable_hosts: set[str] = field(default_factory=set)

    def call(
        self,
        host: Remote,
        command: Command,
        *,
        limit_s: float = 30,
        sudo: bool = False,
    ) -> None:
        """Let a host's agent do something, once."""
        argv = command_line(command, self.folder)
        host.check(argv, timeout_s=limit_s, sudo=sudo, within=self.context.folder)

    def retry_until_reachable(self, host: Remote, ask: Callable[[], T], until: float = 0.0) -> T:
        """Ask again and again while the host is lost; what is asked may happen more than once.

        `until`: by the context's clock, when patience begins to run out at the earliest.
        """
        deadline: float | None = None
        while True:
            try:
                return ask()
            except LostError:
                self.unreachable_hosts.add(host.name)
                now = self.context.clock()
                if deadline is None:
                    deadline = max(now, until) + RECONNECT_TIMEOUT_S
                if now >= deadline:
                    raise
            self.context.pause(RETRY_INTERVAL_S)

    def exists(self, host: Remote, name: str, until: float = 0.0) -> bool:
        """Whether the run has left such a file on a host."""
        return self.retry_until_reachable(host, lambda: host.exists(str(self.folder / name)), until)

    def fetch(self, host: Remote, name: str, into: Path) -> str:
        """Fetch one of the run's files into a folder and tell its text."""
        self._get(host, name, into)
        return (into / name).read_text(errors="backslashreplace")

    def fetch_if_there(self, host: Remote, name: str, into: Path) -> None:
        """Fetch a file that the run need not have left."""
        if self.exists(host, name):
            self._get(host, name, into)

    def _get(self, host: Remote, name: str, into: Path) -> None:
        limit = SIZE_LIMITS_BYTES.get(name, FILE_LIMIT_BYTES)
        self.retry_until_reachable(
            host, lambda: host.get(str(self.folder / name), into / name, limit)
        )


def retry_once(leave: Callable[[Item], None], what: Item) -> None:
    """Do what cleans up once more if the connection broke, which the next call makes anew."""
    try:
        leave(what)
    except LostError:
        leave(what)


def run_parallel(do: Callable[[Item], T], items: Iterable[Item]) -> list[T]:
    """What comes of each item, all at once; the first error is raised when all have ended."""
    every = tuple(items)
    if len(every) == 1:
        return [do(every[0])]
    with ThreadPoolExecutor(max(1, len(every))) as threads:
        futures = [threads.submit(do, item) for item in every]
        wait(futures)
        return [future.result() for future in futures]
