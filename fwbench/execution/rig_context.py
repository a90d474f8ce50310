"""What every step of a rig's runs needs: its hosts, their folders, and the clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from fwbench.agent.protocol import AGENT
from fwbench.ssh.remote import Remote

POLL_INTERVAL_S = 0.2


class CancelledError(Exception):
    """Somebody asked to stop; the run is no run."""


@dataclass(frozen=True)
class RigContext:
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
        return self.folder / AGENT

    def check_cancelled(self) -> None:
        """Raise `CancelledError` once somebody has asked to stop."""
        if self.cancelled():
            raise CancelledError

    def pause(self, seconds: float) -> None:
        """Sleep in short naps, since somebody may want to stop."""
        until = self.clock() + seconds
        while (left := until - self.clock()) > 0:
            self.check_cancelled()
            self.sleep(min(left, POLL_INTERVAL_S))
        self.check_cancelled()
