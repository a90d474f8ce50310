"""Inspect the contender's container, wait until it is idle, and remove it."""

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
    """Return Docker's description of a container."""
    done = subprocess.run(
        ["docker", "container", "inspect", container], check=True, capture_output=True, text=True
    )
    description: dict[str, Any] = json.loads(done.stdout)[0]
    return description


def container_state(container: str) -> dict[str, Any]:
    """Return the container's present state, from Docker and from the kernel's control group."""
    description = inspect(container)
    docker_state = description["State"]
    cgroup = cgroup_of(docker_state["Pid"])
    return {
        "running": docker_state["Running"],
        "exit_code": None if docker_state["Running"] else docker_state["ExitCode"],
        "started_at": docker_state["StartedAt"],
        "restarts": description["RestartCount"],
        "oom_killed": docker_state["OOMKilled"],
        "cgroup_version": cgroup.version if cgroup else None,
        "oom_kills": cgroup.oom_kills() if cgroup else None,
        "memory_peak_bytes": cgroup.memory_peak_bytes() if cgroup else None,
        "memory_limit_bytes": cgroup.memory_limit_bytes() if cgroup else None,
        "processes": cgroup.processes() if cgroup else [],
    }


def wait_until_idle(container: str, processes: int, timeout_s: float) -> dict[str, Any]:
    """Wait until the container has all its processes and idles; return its state.

    The state's `reached_idle` is False if that took longer than `timeout_s`.
    """
    # A worker that still imports its application uses CPU. Two samples of a tenth of a second in
    # a row with less than a tenth of a core mean that all workers are up.
    started_s = time.monotonic()
    cgroup = cgroup_of(inspect(container)["State"]["Pid"])
    idle_samples = 0
    while cgroup and idle_samples < 2 and time.monotonic() - started_s < timeout_s:
        cpu_before_s, before_s = cgroup.cpu_s(), time.monotonic()
        time.sleep(0.1)
        cores = (cgroup.cpu_s() - cpu_before_s) / (time.monotonic() - before_s)
        complete = len(cgroup.processes()) >= processes
        idle_samples = idle_samples + 1 if cores < 0.1 and complete else 0
    waited_s = time.monotonic() - started_s
    return {
        **container_state(container),
        "reached_idle": idle_samples >= 2,
        "idle_wait_s": waited_s,
    }


def finish(folder: Path, container: str) -> None:
    """Stop the sampler, write the container's state and the end of its log, and remove it."""
    stop_sampling(folder)
    write(folder / CONTAINER_AFTER, container_state(container))
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
    """Remove a container, unless it no longer exists."""
    done = subprocess.run(
        ["docker", "rm", "--force", "--volumes", container], capture_output=True, text=True
    )
    if done.returncode and "No such container" not in done.stderr:
        raise RuntimeError(done.stderr.strip())
