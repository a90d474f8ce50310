"""The environment in which fwbench executes Ansible's programs."""

import locale
import os
import sys
import sysconfig
from pathlib import Path

from fwbench import paths


def ansible_environment() -> dict[str, str]:
    """Return the environment for Ansible: the programs of this installation, and UTF-8."""
    scripts = sysconfig.get_path("scripts") or str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)]),
        "ANSIBLE_CONFIG": str(paths.data_folder() / "ansible.cfg"),
    }
    if locale.getpreferredencoding(False).lower() not in ("utf-8", "utf8"):
        environment["LC_ALL"] = "C.UTF-8"
    return environment
