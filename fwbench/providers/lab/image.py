"""The image of a lab host: from a registry's base image or, without one, Debian's packages."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from fwbench import paths
from fwbench.errors import LabError
from fwbench.providers.lab import docker

CONTEXT = Path(__file__).with_name("host")
MINBASE = {
    "debian:11": "bullseye",
    "debian:12": "bookworm",
    "debian:13": "trixie",
    "debian:testing": "testing",
}
MMDEBSTRAP_OPTIONS = {
    # Its security archive no longer has all the packages that it lists.
    "bullseye": ['--setup-hook=sed -i /security/d "$1/etc/apt/sources.list"'],
    # Its lists expire after a week, also those of a mirror that is a snapshot.
    "testing": ['--aptopt=Acquire::Check-Valid-Until "false"'],
}
SYSTEMS = (*MINBASE, "ubuntu:22.04", "ubuntu:24.04")


def host_image(system: str, say: Callable[[str], None]) -> str:
    """Return the tag of the image for hosts of a system; build it if it does not exist."""
    content = b"".join(path.read_bytes() for path in sorted(CONTEXT.iterdir()))
    digest = hashlib.sha256(content).hexdigest()[:12]
    tag = f"fwbench-lab-host:{system.replace(':', '-')}-{digest}"
    if docker.inspect("image", tag) is None:
        base = _base_image(system, say)
        say(f"building the image of a {system} host")
        docker.build(CONTEXT, tag, {"BASE": base})
    return tag


def remove_images() -> None:
    """Remove every image that the lab built or pulled."""
    for repository in ("fwbench-lab-host", "fwbench-lab-base"):
        tags = docker.docker("images", "--format={{.Repository}}:{{.Tag}}", repository)
        for tag in tags.split():
            docker.docker("rmi", tag)


def _base_image(system: str, say: Callable[[str], None]) -> str:
    lab_tag = f"fwbench-lab-base:{system.replace(':', '-')}"
    for image in (lab_tag, system):
        if docker.inspect("image", image) is not None:
            return image
    try:
        docker.docker("pull", "--quiet", system, timeout_s=300)
        # Only under the lab's tag, so that `remove_images` removes it.
        docker.docker("tag", system, lab_tag)
        docker.docker("rmi", system)
        return lab_tag
    except LabError as error:
        pull_error = str(error)
    if system not in MINBASE:
        raise LabError(
            f"{system} cannot be pulled ({pull_error}), and only {', '.join(MINBASE)} "
            "can be made without a registry; choose one of them with --os"
        )
    say(f"cannot reach a registry: making {system} from Debian's packages")
    _bootstrap(MINBASE[system], lab_tag)
    return lab_tag


def _bootstrap(suite: str, tag: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise LabError(
            f"cannot reach a registry, and cannot make Debian {suite} without root on Debian or"
            " Ubuntu: run this as root, or make a registry reachable"
        )
    if shutil.which("mmdebstrap") is None:
        _run(["apt-get", "install", "--yes", "--no-install-recommends", "mmdebstrap"])
    with paths.temporary_folder() as private:
        archive = f"{private}/base.tar"
        options = ["--mode=root", "--variant=minbase", *MMDEBSTRAP_OPTIONS.get(suite, [])]
        _run(["mmdebstrap", *options, suite, archive])
        docker.docker("import", archive, tag)


def _run(argv: list[str]) -> None:
    completed = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if completed.returncode:
        raise LabError(f"`{' '.join(argv)}` failed: {completed.stderr.strip()[-500:]}")
