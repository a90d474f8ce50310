"""The controller's own Docker engine, through its command line.

The command line supports contexts and Docker Desktop, which a connection to a socket would not.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fwbench.errors import LabError


def docker(*argv: str, stdin: bytes | None = None, timeout_s: float = 120) -> str:
    """Return what `docker ARGV` prints. Raise `LabError` with the end of its stderr if it fails."""
    try:
        completed = subprocess.run(
            ["docker", *argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout_s,
        )
    except OSError as error:
        raise LabError(f"docker cannot be started: {error.strerror}; install Docker") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"docker {argv[0]} took over {timeout_s:g} s") from error
    if completed.returncode:
        stderr = completed.stderr.decode(errors="replace").strip()
        raise LabError(f"docker {argv[0]}: {stderr[-500:] or f'exit {completed.returncode}'}")
    return completed.stdout.decode(errors="replace").strip()


def engine_answers() -> bool:
    """Return whether a Docker engine answers this user."""
    if shutil.which("docker") is None:
        return False
    try:
        docker("version", "--format", "{{.Server.Version}}", timeout_s=20)
    except LabError:
        return False
    return True


def list_names(kind: Sequence[str], label: str, template: str) -> list[str]:
    """Return what `docker KIND` lists under a label, one line each, formatted by `template`."""
    output = docker(*kind, "--filter", f"label={label}", "--format", template)
    return [line for line in output.splitlines() if line]


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """Return the output of `docker KIND inspect NAME`, or None if there is no such object."""
    completed = subprocess.run(
        ["docker", kind, "inspect", name], capture_output=True, stdin=subprocess.DEVNULL
    )
    if completed.returncode:
        return None
    description: dict[str, Any] = json.loads(completed.stdout)[0]
    return description


def build(context: Path, tag: str, arguments: dict[str, str]) -> None:
    """Build an image from `context`, with these build arguments."""
    options = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    docker("build", "--quiet", f"--tag={tag}", *options, str(context), timeout_s=900)
