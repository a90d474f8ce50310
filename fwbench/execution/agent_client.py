"""Call the agents on a rig's hosts over SSH connections that may break."""

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
# A host may claim any size. These files need no more after a load of a day.
SIZE_LIMITS_BYTES = {
    LATENCY_COUNTS: 256 << 20,
    TELEMETRY_CLIENT: 64 << 20,
    TELEMETRY_TARGET: 64 << 20,
}

T = TypeVar("T")
Item = TypeVar("Item")


@dataclass(frozen=True)
class AgentClient:
    """The agents of one rig during one run, which has `folder` on every host.

    `unreachable_hosts` names the hosts that were lost during the run, even for a moment. Repeatable
    operations are retried for `RECONNECT_TIMEOUT_S`. Only one thread at a time may use a host.
    """

    context: RigContext
    folder: PurePosixPath
    unreachable_hosts: set[str] = field(default_factory=set)

    def call(
        self,
        host: Remote,
        command: Command,
        *,
        timeout_s: float = 30,
        sudo: bool = False,
    ) -> None:
        """Have the agent on a host execute a command, without a retry."""
        argv = command_line(command, self.folder)
        host.check(argv, timeout_s=timeout_s, sudo=sudo, within=self.context.folder)

    def retry_until_reachable(
        self, host: Remote, operation: Callable[[], T], timeout_from: float = 0.0
    ) -> T:
        """Return what `operation` returns, and repeat it while the host is lost.

        The operation may be executed more than once. Raises `LostError` when the host has been lost
        for `RECONNECT_TIMEOUT_S`; that time starts no earlier than `timeout_from` (by the context's
        clock).
        """
        deadline: float | None = None
        while True:
            try:
                return operation()
            except LostError:
                self.unreachable_hosts.add(host.name)
                now = self.context.clock()
                if deadline is None:
                    deadline = max(now, timeout_from) + RECONNECT_TIMEOUT_S
                if now >= deadline:
                    raise
            self.context.pause(RETRY_INTERVAL_S)

    def exists(self, host: Remote, name: str, timeout_from: float = 0.0) -> bool:
        """Return whether the run's folder on a host has this file."""
        path = str(self.folder / name)
        return self.retry_until_reachable(host, lambda: host.exists(path), timeout_from)

    def fetch(self, host: Remote, name: str, destination: Path) -> str:
        """Fetch one of the run's files into the folder `destination`, and return its text."""
        self._get(host, name, destination)
        return (destination / name).read_text(errors="backslashreplace")

    def fetch_if_present(self, host: Remote, name: str, destination: Path) -> None:
        """Fetch a file that a run does not always write."""
        if self.exists(host, name):
            self._get(host, name, destination)

    def _get(self, host: Remote, name: str, destination: Path) -> None:
        limit = SIZE_LIMITS_BYTES.get(name, FILE_LIMIT_BYTES)
        self.retry_until_reachable(
            host, lambda: host.get(str(self.folder / name), destination / name, limit)
        )


def retry_once(clean_up: Callable[[Item], None], item: Item) -> None:
    """Clean up; if the connection breaks, try once more, which opens a new connection."""
    try:
        clean_up(item)
    except LostError:
        clean_up(item)


def run_parallel(function: Callable[[Item], T], items: Iterable[Item]) -> list[T]:
    """Return the function's results in the items' order; all calls run at the same time.

    The first error is raised after all calls have ended.
    """
    arguments = tuple(items)
    if len(arguments) == 1:
        return [function(arguments[0])]
    with ThreadPoolExecutor(max(1, len(arguments))) as threads:
        futures = [threads.submit(function, item) for item in arguments]
        wait(futures)
        return [future.result() for future in futures]
