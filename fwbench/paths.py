"""The paths of fwbench's own files, in a checkout and in a wheel, and of its state."""

import fcntl
import getpass
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fwbench.errors import FwbenchError

_PACKAGE = Path(__file__).parent
TEMPORARY_PREFIX = "fwbench-"
LOCK = "fwbench.lock"  # in a temporary folder, and locked while its process lives


def data_folder() -> Path:
    """Return the folder of playbooks, roles, contenders, suites, schemas, docs and ansible.cfg."""
    installed = _PACKAGE / "_data"
    return installed if installed.is_dir() else _PACKAGE.parent


def shipped_suites() -> list[Path]:
    """Return the files of the suites that come with fwbench, sorted."""
    return sorted((data_folder() / "suites").glob("*.yml"))


def shipped_contenders() -> list[Path]:
    """Return the files of the contenders that come with fwbench, sorted."""
    return sorted((data_folder() / "contenders").glob("*/contender.yml"))


def pages() -> dict[str, Path]:
    """Return the files of the documentation by name, sorted; pages have no suffix in their name."""
    folder = data_folder() / "docs"
    files = [path for suffix in ("md", "json") for path in folder.rglob(f"*.{suffix}")]
    return {path.relative_to(folder).as_posix().removesuffix(".md"): path for path in sorted(files)}


def state_folder() -> Path:
    """Return the user's folder for fwbench's state: recorded host keys, labs, tracebacks."""
    base = os.environ.get("XDG_STATE_HOME") or home_folder() / ".local" / "state"
    return Path(base) / "fwbench"


def home_folder() -> Path:
    """Return the user's home folder. Raise `FwbenchError` if it is unknown."""
    try:
        return Path.home()
    except RuntimeError as error:
        raise FwbenchError("you have no home folder: set HOME to a folder of yours") from error


def known_hosts() -> Path:
    """Return the file in which fwbench records host keys at first contact."""
    return state_folder() / "known_hosts"


def user() -> str:
    """Return the name of the current user. Raise `FwbenchError` if it is unknown."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # for instance in a container with an unknown user id
        raise FwbenchError("your user id has no name: set USER to a name") from error


@contextmanager
def temporary_folder(kind: str = "", parent: Path | None = None) -> Iterator[Path]:
    """Yield a new folder with mode 0700 below TMPDIR or `parent`, and remove it on exit.

    If the process is killed, its lock ends, and `fwbench prune` removes the folder.
    """
    prefix = f"{TEMPORARY_PREFIX}{kind}"
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as folder,
        Path(folder, LOCK).open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)
