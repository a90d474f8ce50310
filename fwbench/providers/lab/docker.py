"""The controller's own engine, by its command line, which knows contexts and Docker Desktop."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fwbench.errors import LabError


def docker(*argv: str, stdin: bytes | None = None, timeout_s: float = 120) -> str:
    """What `docker ARGV` prints; `LabError` with its last words if it fails."""
    try:
        done = subprocess.run(
            ["docker", *argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout_s,
        )
    except OSError as error:
        raise LabError(f"docker cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"docker {argv[0]} took over {timeout_s:g} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise LabError(f"docker {argv[0]}: {said[-500:] or f'exit {done.returncode}'}")
    return done.stdout.decode(errors="replace").strip()


def engine_answers() -> bool:
    """Whether an engine answers this user."""
    if shutil.which("docker") is None:
        return False
    try:
        docker("version", "--format", "{{.Server.Version}}", timeout_s=20)
    except LabError:
        return False
    return True


def list_names(kind: Sequence[str], label: str, template: str) -> list[str]:
    """What `docker KIND ls` lists under a label, formatted by `template`."""
    listed = docker(*kind, "--filter", f"label={label}", "--format", template)
    return [line for line in listed.splitlines() if line]


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """The engine's description of one thing; None if there is no such thing."""
    done = subprocess.run(
        ["docker", kind, "inspect", name], capture_output=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        return None
    described: dict[str, Any] = json.loads(done.stdout)[0]
    return described


def build(context: Path, tag: str, arguments: dict[str, str]) -> None:
    """Build an image."""
    options = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    docker("build", "--quiet", f"--tag={tag}", *options, str(context), timeout_s=900)
