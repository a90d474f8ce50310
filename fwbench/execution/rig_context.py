"""What every step of a rig's runs uses: the hosts, their folders, and the clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from fwbench.agent.protocol import AGENT
from fwbench.ssh.remote import Remote

POLL_INTERVAL_S = 0.2


class CancelledError(Exception):
    """The session was cancelled; the run that was being executed is not recorded."""


@dataclass(frozen=True)
class RigContext:
    """The hosts that execute a rig's runs, and the session's folder on each of them.

    `address` is the address that clients load; `cpus` are the numbers of the target's CPUs.
    """

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
        """Return all hosts, the target first."""
        return (self.target, *self.clients)

    @property
    def agent(self) -> PurePosixPath:
        """Return the agent's path, which is the same on every host."""
        return self.folder / AGENT

    def check_cancelled(self) -> None:
        """Raise `CancelledError` if the session was cancelled."""
        if self.cancelled():
            raise CancelledError

    def pause(self, seconds: float) -> None:
        """Sleep, and raise `CancelledError` soon after the session is cancelled."""
        deadline = self.clock() + seconds
        while (remaining_s := deadline - self.clock()) > 0:
            self.check_cancelled()
            self.sleep(min(remaining_s, POLL_INTERVAL_S))
        self.check_cancelled()
