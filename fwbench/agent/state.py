"""Where the agent keeps who has this host: a folder that no other user can read, write or lock.

Root's is below /run, where nobody else can make a folder. It is memory, so all in it is small, and
a reboot empties it. An agent that is not root keeps its own in the home of its user.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fwbench.agent.files import check_private

ROOT_FOLDER = Path("/run/fwbench")
WATCHDOG = "watchdog.pid"
SAMPLER = "sampler.pid"


def state_folder() -> Path:
    """The folder that holds one folder for each session; it is there while one of these is."""
    return ROOT_FOLDER if os.geteuid() == 0 else Path.home() / ".fwbench"


def session_state(folder: Path) -> Path:
    """What is kept of the session whose folder this is."""
    return state_folder() / folder.name


@contextmanager
def lock() -> Iterator[None]:
    """Look and take as one step: one agent at a time does.

    Raises `UntrustedError` where somebody else could have made the place.
    """
    descriptor = _locked()
    try:
        yield
    finally:
        with suppress(OSError):  # a session's folder is in it
            state_folder().rmdir()
        os.close(descriptor)


def forget(folder: Path) -> None:
    """Keep nothing more of a session."""
    with suppress(FileNotFoundError):
        for file in session_state(folder).iterdir():
            file.unlink()
        session_state(folder).rmdir()


def _locked() -> int:
    """Lock the place, which may be removed by whoever had it locked before."""
    while True:
        with suppress(FileExistsError):
            state_folder().mkdir(mode=0o700)
        with suppress(FileNotFoundError):
            check_private(state_folder(), {os.geteuid()})
            descriptor = os.open(state_folder(), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                if os.path.samestat(os.fstat(descriptor), state_folder().lstat()):
                    return descriptor
            except FileNotFoundError:
                pass
            os.close(descriptor)
