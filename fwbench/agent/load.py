"""Run the load generator in a detached process, and stop it."""

import json
import os
import resource
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fwbench.agent.detached import find_process
from fwbench.agent.files import write
from fwbench.agent.http_probe import get
from fwbench.agent.protocol import (
    LOAD_ERRORS,
    LOAD_EXIT,
    LOAD_OUTPUT,
    REQUEST_LOG,
    TELEMETRY_CLIENT,
    Load,
)
from fwbench.agent.sampler import Sampler, sample_until_ended

MAX_START_DELAY_S = 60.0
PID_FILE = "load.pid"


def run_load(folder: Path, command: Load) -> None:
    """Execute the load generator, request the URL once more, and write all results to `folder`.

    With `keep_log` the log is not reduced; `LOAD_EXIT` then has its first start and last end in µs.
    """
    # imported after the fork, so that the driver does not wait for it
    from fwbench.agent.h2load_log import MalformedLogError
    from fwbench.agent.reduce import log_ends, reduce_log

    warm_up_s = _warm_up(folder, command)
    sampler = Sampler()
    if command.start_at_s is not None:
        time.sleep(min(max(0.0, command.start_at_s - time.time()), MAX_START_DELAY_S))
    result: dict[str, Any] = {
        "exit_status": None,
        "timed_out": False,
        "started_at_s": time.time(),
        "warm_up_s": warm_up_s,
    }
    started_s = time.monotonic()
    with (folder / LOAD_OUTPUT).open("wb") as out, (folder / LOAD_ERRORS).open("wb") as err:
        try:
            process = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            result["start_error"] = f"{command.argv[0]}: {error.strerror}"
        else:
            (folder / PID_FILE).write_text(str(process.pid))
            sampler.follow(process.pid)
            if sample_until_ended(sampler, process, command.time_limit_s):
                result["exit_status"] = process.returncode
            else:
                result["timed_out"] = True
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    result["load_s"] = time.monotonic() - started_s
    sampler.write_result(folder / TELEMETRY_CLIENT)
    result["answer_after"] = get(command.url, timeout_s=5)
    log = folder / REQUEST_LOG
    if log.exists() and command.keep_log:
        with suppress(OSError, MalformedLogError):
            result["first_start_us"], result["last_end_us"] = log_ends(log)
    elif log.exists():
        reduce_log(log, folder, command.skip_s, command.window_s)
        log.unlink()
    write(folder / LOAD_EXIT, result)


def raise_open_files_limit() -> None:
    """Raise the soft limit of open files to the hard one, for this process and its children.

    Under the usual soft limit of 1024, h2load stops near 1017 connections.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _warm_up(folder: Path, command: Load) -> float:
    """Execute the warm-up, if there is one, and return how many seconds it took.

    Its output and its success do not matter: the measured command shows whatever is wrong.
    """
    if command.warm_up is None:
        return 0.0
    started_s = time.monotonic()
    with suppress(OSError):
        process = subprocess.Popen(
            json.loads(command.warm_up),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        (folder / PID_FILE).write_text(str(process.pid))
        try:
            process.wait(command.time_limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return time.monotonic() - started_s


def stop_load(folder: Path) -> None:
    """Kill the load generator if it is still running."""
    pid = find_process(folder / PID_FILE, folder)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
