"""The image of a lab host: from a registry's base or, where none is reached, Debian's packages."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from fwbench.errors import LabError
from fwbench.providers.lab import docker

CONTEXT = Path(__file__).with_name("host")
MINBASE = {"debian:12": "bookworm", "debian:13": "trixie"}
SYSTEMS = (*MINBASE, "ubuntu:22.04", "ubuntu:24.04")


def host_image(system: str, say: Callable[[str], None]) -> str:
    """The tag of the image for hosts of a system, built if it is not there yet."""
    content = b"".join(path.read_bytes() for path in sorted(CONTEXT.iterdir()))
    digest = hashlib.sha256(content).hexdigest()[:12]
    tag = f"fwbench-lab-host:{system.replace(':', '-')}-{digest}"
    if docker.inspect("image", tag) is None:
        base = _base_image(system, say)
        say(f"building the image of a {system} host")
        docker.build(CONTEXT, tag, {"BASE": base})
    return tag


def remove_images() -> None:
    """Take away every image that the lab made or pulled."""
    for repository in ("fwbench-lab-host", "fwbench-lab-base"):
        listed = docker.docker("images", "--format={{.Repository}}:{{.Tag}}", repository)
        for tag in listed.split():
            docker.docker("rmi", tag)


def _base_image(system: str, say: Callable[[str], None]) -> str:
    ours = f"fwbench-lab-base:{system.replace(':', '-')}"
    for image in (ours, system):
        if docker.inspect("image", image) is not None:
            return image
    try:
        docker.docker("pull", "--quiet", system, timeout_s=300)
        # Under our name alone, so that it goes when the lab's images go.
        docker.docker("tag", system, ours)
        docker.docker("rmi", system)
        return ours
    except LabError as error:
        refusal = str(error)
    if system not in MINBASE:
        raise LabError(
            f"{system} cannot be pulled ({refusal}), and only {' and '.join(MINBASE)} "
            "can be made without a registry"
        )
    say(f"no registry is reached: making {system} out of Debian's packages")
    _bootstrap(MINBASE[system], ours)
    return ours


def _bootstrap(suite: str, tag: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise LabError(
            f"neither a registry is reached nor can Debian {suite} be made here: "
            "that needs root on Debian or Ubuntu"
        )
    if shutil.which("mmdebstrap") is None:
        _run(["apt-get", "install", "--yes", "--no-install-recommends", "mmdebstrap"])
    with tempfile.TemporaryDirectory(prefix="fwbench-") as private:
        archive = f"{private}/base.tar"
        _run(["mmdebstrap", "--mode=root", "--variant=minbase", suite, archive])
        docker.docker("import", archive, tag)


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise LabError(f"`{' '.join(argv)}` failed: {done.stderr.strip()[-500:]}")
