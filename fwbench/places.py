"""Where fwbench's own files are, in a checkout as in a wheel, and where it keeps state."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent


def data() -> Path:
    """The folder that holds playbooks, roles, contenders, suites and ansible.cfg."""
    installed = _PACKAGE / "_data"
    return installed if installed.is_dir() else _PACKAGE.parent


def state() -> Path:
    """The user's folder for what outlives a command: host keys of first contacts, the lab."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "fwbench"


def known_hosts() -> Path:
    """Host keys that fwbench recorded at first contact, beside the user's own."""
    return state() / "known_hosts"
