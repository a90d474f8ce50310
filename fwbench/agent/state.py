"""The agent's state folder, with the leases of this host: no other user can read, write or lock it.

As root, the agent uses a folder below /run, where only root can make one. /run is in memory, so
files in it are small, and a reboot removes them. Without root, the agent uses a folder in the
user's home.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fwbench.agent.files import check_private

ROOT_FOLDER = Path("/run/fwbench")
# Only root can make anything in it: the folders in which provisioning builds and ships images.
PROVISIONING_FOLDERS = Path("/var/lib/fwbench/tmp")
WATCHDOG = "watchdog.pid"
SAMPLER = "sampler.pid"


def state_folder() -> Path:
    """Return the state folder, with one folder for each session; it exists while it has any."""
    return ROOT_FOLDER if os.geteuid() == 0 else Path.home() / ".fwbench"


def session_state(folder: Path) -> Path:
    """Return the folder with the state of the session that has this folder."""
    return state_folder() / folder.name


@contextmanager
def lock() -> Iterator[None]:
    """Lock the state folder, so that only one agent at a time checks and changes leases.

    Raises `UntrustedError` if another user could have made the folder.
    """
    descriptor = _lock_state_folder()
    try:
        yield
    finally:
        with suppress(OSError):  # it still contains a session's state
            state_folder().rmdir()
        os.close(descriptor)


def remove_session_state(folder: Path) -> None:
    """Remove a session's state: its lease and the process ids of its watchdog and sampler."""
    with suppress(FileNotFoundError):
        for file in session_state(folder).iterdir():
            file.unlink()
        session_state(folder).rmdir()


def _lock_state_folder() -> int:
    """Return the descriptor of the locked state folder."""
    # The agent that had the lock before may have removed the folder: then make it again.
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
