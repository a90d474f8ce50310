"""The contender's container: its state, its coming to rest, its end."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from fwbench.agent.cgroup import cgroup_of
from fwbench.agent.files import create, write
from fwbench.agent.protocol import CONTAINER_AFTER, CONTAINER_LOG
from fwbench.agent.target_sampler import stop_sampling

LOG_TAIL_LINES = 500


def inspect(container: str) -> dict[str, Any]:
    """The engine's description of a container."""
    done = subprocess.run(
        ["docker", "container", "inspect", container], check=True, capture_output=True, text=True
    )
    described: dict[str, Any] = json.loads(done.stdout)[0]
    return described


def state(container: str) -> dict[str, Any]:
    """The container now: what the engine says of it, and what the kernel does."""
    described = inspect(container)
    said = described["State"]
    cgroup = cgroup_of(said["Pid"])
    return {
        "running": said["Running"],
        "exit_code": None if said["Running"] else said["ExitCode"],
        "started_at": said["StartedAt"],
        "restarts": described["RestartCount"],
        "oom_killed": said["OOMKilled"],
        "cgroup_version": cgroup.version if cgroup else None,
        "oom_kills": cgroup.oom_kills() if cgroup else None,
        "memory_peak_bytes": cgroup.memory_peak_bytes() if cgroup else None,
        "memory_limit_bytes": cgroup.memory_limit_bytes() if cgroup else None,
        "processes": cgroup.processes() if cgroup else [],
    }


def wait_until_idle(container: str, processes: int, for_s: float) -> dict[str, Any]:
    """Wait until the container has all its processes and idles, then tell its state.

    A worker that still imports its application takes CPU: below a tenth of a core over a fifth of
    a second, twice, it is up. `for_s` bounds the wait; `settled` tells which of the two it was.
    """
    began = time.monotonic()
    cgroup = cgroup_of(inspect(container)["State"]["Pid"])
    quiet = 0
    while cgroup and quiet < 2 and time.monotonic() - began < for_s:
        before, then = cgroup.cpu_s(), time.monotonic()
        time.sleep(0.1)
        used = (cgroup.cpu_s() - before) / (time.monotonic() - then)
        complete = len(cgroup.processes()) >= processes
        quiet = quiet + 1 if used < 0.1 and complete else 0
    waited = time.monotonic() - began
    return {**state(container), "reached_idle": quiet >= 2, "idle_wait_s": waited}


def finish(folder: Path, container: str) -> None:
    """End the sampler, tell the container's last state, keep its log's end, and remove it."""
    stop_sampling(folder)
    write(folder / CONTAINER_AFTER, state(container))
    log = folder / CONTAINER_LOG
    with create(log) as out:
        subprocess.run(
            ["docker", "logs", f"--tail={LOG_TAIL_LINES}", "--timestamps", container],
            check=True,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    remove(container)


def remove(container: str) -> None:
    """Take a container away; that it is gone already is as good."""
    done = subprocess.run(
        ["docker", "rm", "--force", "--volumes", container], capture_output=True, text=True
    )
    if done.returncode and "No such container" not in done.stderr:
        raise RuntimeError(done.stderr.strip())
