"""Execute a program within limits of time, output and memory."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fwbench import paths

_POLL_S = 0.02


class Limits(NamedTuple):
    """What a program may use. Memory is that of the program itself, and checked on Linux alone."""

    seconds: float
    output_bytes: int
    memory_bytes: int


class LimitExceededError(Exception):
    """The program was stopped; the message says what it exceeded."""


def run_limited(
    argv: Sequence[str], limits: Limits, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Execute a program without input, and return its exit status and its output.

    Raise `LimitExceededError` if it exceeds a limit, and `OSError` if it cannot be started. It and
    the programs that it started are killed then, and if Python is interrupted.
    """
    with paths.temporary_folder() as folder:
        out, err = folder / "stdout", folder / "stderr"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                env=environment,
                start_new_session=True,
            )
            try:
                _watch(process, limits, (out, err))
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return subprocess.CompletedProcess(
            argv,
            process.returncode,
            out.read_text("utf-8", "backslashreplace"),
            err.read_text("utf-8", "backslashreplace"),
        )


def _watch(process: "subprocess.Popen[bytes]", limits: Limits, outputs: Sequence[Path]) -> None:
    """Return when the process has ended. Raise `LimitExceededError` if it exceeds a limit."""
    deadline = time.monotonic() + limits.seconds
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise LimitExceededError(f"took over {limits.seconds:g} s")
        if any(output.stat().st_size > limits.output_bytes for output in outputs):
            raise LimitExceededError(f"printed over {limits.output_bytes >> 20} MiB")
        if _resident_bytes(process.pid) > limits.memory_bytes:
            raise LimitExceededError(f"needed over {limits.memory_bytes >> 20} MiB of memory")
        time.sleep(_POLL_S)


def _resident_bytes(pid: int) -> int:
    """Return how much memory a process has; 0 if it has ended, or this is not Linux."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
