"""The load generator, detached from whoever asked for it."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fwbench.agent.detached import find_process
from fwbench.agent.files import write
from fwbench.agent.http_probe import ask
from fwbench.agent.sampler import Sampler, sample_until_ended

LONGEST_WAIT_S = 60.0


def load(
    folder: Path,
    url: str,
    timeout_s: float,
    argv: Sequence[str],
    skip_s: float | None = None,
    for_s: float | None = None,
    at: float | None = None,
    keep_log: bool = False,
) -> None:
    """Run the load generator, ask for the answer once more, and leave all that came of it.

    `skip_s` and `for_s` say which rows of the log count, as `reduce_log` has it. `at` is when to
    start, in epoch seconds of this host; one that is over is now. A log that is kept is not
    reduced: only its first start and its last end are told, in µs, if it has any.
    """
    # after the fork, so that nobody waits for it
    from fwbench.agent.h2load_log import UnreadableError
    from fwbench.agent.reduce import log_ends, reduce_log

    sampler = Sampler()
    if at is not None:
        time.sleep(min(max(0.0, at - time.time()), LONGEST_WAIT_S))
    result: dict[str, Any] = {"exit_status": None, "timed_out": False, "started_at_s": time.time()}
    began = time.monotonic()
    with (folder / "h2load.out").open("wb") as out, (folder / "h2load.err").open("wb") as err:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        except OSError as error:
            result["start_error"] = f"{argv[0]}: {error.strerror}"
        else:
            (folder / "load.pid").write_text(str(process.pid))
            sampler.follow(process.pid)
            if sample_until_ended(sampler, process, timeout_s):
                result["exit_status"] = process.returncode
            else:
                result["timed_out"] = True
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    result["load_s"] = time.monotonic() - began
    sampler.leave(folder / "telemetry-client.json")
    result["answer_after"] = ask(url, timeout_s=5)
    log = folder / "h2load.log"
    if log.exists() and keep_log:
        with suppress(OSError, UnreadableError):
            result["first_start_us"], result["last_end_us"] = log_ends(log)
    elif log.exists():
        reduce_log(log, folder, skip_s, for_s)
        log.unlink()
    write(folder / "load.json", result)


def stop_load(folder: Path) -> None:
    """End a load that is still running, after a look whether the pid is really its."""
    pid = find_process(folder / "load.pid", folder)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
