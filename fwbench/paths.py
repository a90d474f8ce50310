"""Where fwbench's own files are, in a checkout as in a wheel, and where it keeps state."""

import getpass
import os
from pathlib import Path

from fwbench.errors import FwbenchError

_PACKAGE = Path(__file__).parent


def data_folder() -> Path:
    """The folder that holds playbooks, roles, contenders, suites and ansible.cfg."""
    installed = _PACKAGE / "_data"
    return installed if installed.is_dir() else _PACKAGE.parent


def state_folder() -> Path:
    """The user's folder for what outlives a command: host keys of first contacts, the lab."""
    base = os.environ.get("XDG_STATE_HOME") or home_folder() / ".local" / "state"
    return Path(base) / "fwbench"


def home_folder() -> Path:
    """The user's own folder; `FwbenchError` where nobody knows of one."""
    try:
        return Path.home()
    except RuntimeError as error:
        raise FwbenchError("you have no home folder: set HOME to a folder of yours") from error


def known_hosts() -> Path:
    """Host keys that fwbench recorded at first contact, beside the user's own."""
    return state_folder() / "known_hosts"


def user() -> str:
    """The name of the user at work; `FwbenchError` where nobody knows of one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # as in a container with a user id of its own
        raise FwbenchError("nobody has your user id: set USER to a name") from error
