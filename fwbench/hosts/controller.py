"""Remove what killed processes of fwbench left on the controller."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fwbench import paths
from fwbench.agent.removal import is_in_use
from fwbench.ssh.openssh import SOCKETS_PARENT


def remove_stale_folders() -> int:
    """Remove this user's temporary folders whose process is gone; return how many were removed."""
    parents = {Path(tempfile.gettempdir()), SOCKETS_PARENT}
    stale = [folder for parent in sorted(parents) for folder in _stale_folders(parent)]
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    return sum(not os.path.lexists(folder) for folder in stale)


def _stale_folders(parent: Path) -> Iterator[Path]:
    for folder in sorted(parent.glob(f"{paths.TEMPORARY_PREFIX}*")):
        try:
            status = folder.lstat()
            own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            # Ansible may outlive a process that was killed: then its arguments name the folder.
            if own and _lock_is_free(folder) and not is_in_use(folder):
                yield folder
        except OSError:  # it is gone by now, or has no lock: then fwbench did not make it
            continue


def _lock_is_free(folder: Path) -> bool:
    descriptor = os.open(folder / paths.LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
