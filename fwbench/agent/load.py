"""The load generator, detached from whoever asked for it."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fwbench.agent.asking import ask
from fwbench.agent.detached import still_there
from fwbench.agent.files import write
from fwbench.agent.sampler import Sampler, sample_until_ended


def load(
    folder: Path,
    url: str,
    timeout_s: float,
    argv: Sequence[str],
    skip_s: float | None = None,
    for_s: float | None = None,
) -> None:
    """Run the load generator, ask for the answer once more, and leave all that came of it.

    `skip_s` and `for_s` say which rows of the log count, as `reduce_log` has it.
    """
    from fwbench.agent.reduce import reduce_log  # after the fork, so that nobody waits for it

    sampler = Sampler()
    result: dict[str, Any] = {"exit_status": None, "timed_out": False, "started": time.time()}
    began = time.monotonic()
    with (folder / "h2load.out").open("wb") as out, (folder / "h2load.err").open("wb") as err:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        except OSError as error:
            result["unstartable"] = f"{argv[0]}: {error.strerror}"
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
    if log.exists():
        reduce_log(log, folder, skip_s, for_s)
        log.unlink()
    write(folder / "load.json", result)


def stop_load(folder: Path) -> None:
    """End a load that is still running, after a look whether the pid is really its."""
    pid = still_there(folder, "load.pid")
    if pid is not None:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
