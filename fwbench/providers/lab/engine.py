"""The controller's Docker engine: the existing one, or one that fwbench's own role installs."""

import os
from collections.abc import Callable
from pathlib import Path

from fwbench import paths
from fwbench.errors import LabError
from fwbench.providers.lab import docker
from fwbench.provisioning.inventory import Inventory
from fwbench.provisioning.playbook import play

LOCALHOST = Inventory(("localhost,",))


def ensure(say: Callable[[str], None]) -> None:
    """Make sure that a Docker engine answers; for root, install and start one if necessary.

    Raise `LabError` if that is not possible.
    """
    if docker.engine_answers():
        return
    if os.geteuid() != 0:
        raise LabError(
            "no Docker engine answers you: start Docker, or join the group `docker`, "
            "or run this once as root, which installs and starts one on Debian and Ubuntu"
        )
    say("no Docker engine answers: installing and starting one")
    result = play(
        "engine.yml", LOCALHOST, ["localhost"], on_task=lambda task: say(f"engine: {task}")
    )
    if result.failed:
        raise LabError(f"no Docker engine could be installed: {result.failed[0].error}")
    _ownership_marker().parent.mkdir(parents=True, exist_ok=True)
    _ownership_marker().touch()
    if not docker.engine_answers():
        raise LabError("the Docker engine was installed, but it does not answer")


def is_half_removed() -> bool:
    """Return whether the engine is fwbench's and does not answer, as after a failed `release`."""
    return _ownership_marker().exists() and not docker.engine_answers()


def release(say: Callable[[str], None]) -> None:
    """Remove the engine if fwbench installed or started it, and it holds nothing of others."""
    if not _ownership_marker().exists():
        return
    say("removing the Docker engine that fwbench installed")
    result = play("engine_remove.yml", LOCALHOST, ["localhost"])
    if result.failed:
        raise LabError(f"the Docker engine could not be removed: {result.failed[0].error}")
    (localhost,) = result.hosts
    if localhost.foreign_engine_data:
        say(f"the Docker engine stays: it holds {'; '.join(localhost.foreign_engine_data)}")
        return
    _ownership_marker().unlink()


def _ownership_marker() -> Path:
    return paths.state_folder() / "engine-is-ours"
