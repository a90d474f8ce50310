"""Find out what a Docker engine holds: what fwbench made, and what others made.

    holdings.py remove STATE [--check]    remove fwbench's containers and images
    holdings.py foreign STATE             list what fwbench did not make
    holdings.py end STATE                 remove or stop all containers

STATE is the folder of fwbench's records on this host:

- `installations` has a line for each id that fwbench's images have as a label. Containers inherit
  it from their image; those of sessions have another label in addition. A name alone never counts.
- `pulled-images` lists the base images that fwbench pulled.
- `build-records` lists BuildKit's records of its builds.
- `engine/before.json` was written by `before.py`.

Standard library alone, since it runs on hosts.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

INSTALLATION = "fwbench.installation"
SESSION = "fwbench.session"
REPOSITORY = "fwbench/"
NAMELESS = "<none>:<none>"
DATA = Path("/var/lib/docker")
# The namespaces of containerd in which Docker itself keeps containers and plug-ins.
DOCKER_NAMESPACES = {"moby", "plugins.moby"}
SOCKETS = ("/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock")
ANSWER_TIMEOUT_S = 20
COMMAND_TIMEOUT_S = 300
MAX_LISTED = 10


def main() -> None:
    """Execute the command line, and print its result as JSON."""
    action, state = sys.argv[1], Path(sys.argv[2])
    if action == "remove":
        result = list(remove(state, dry_run="--check" in sys.argv))
    elif action == "foreign":
        result = foreign(lines(state / "installations"), read_before(state))
    else:
        result = end(read_before(state))
    print(json.dumps(result))


def read_before(state: Path) -> "dict[str, Any]":
    """Return the host's recorded state before the engine."""
    recorded: dict[str, Any] = json.loads((state / "engine" / "before.json").read_text())
    return recorded


def lines(file: Path) -> list[str]:
    """Return the lines of a record, or an empty list if it does not exist."""
    return file.read_text().split() if file.exists() else []


def engine() -> "dict[str, Any] | None":
    """Return the output of `docker info`, or None if no engine answers."""
    if shutil.which("docker") is None:
        return None
    try:
        output = docker("info", "--format", "{{json .}}", timeout_s=ANSWER_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return None
    info: dict[str, Any] = json.loads(output or "{}")
    return info if info.get("DockerRootDir") else None


def remove(state: Path, *, dry_run: bool) -> "Iterator[str]":
    """Remove fwbench's containers, images and build records; yield what was removed.

    With `dry_run`, yield what would be removed.
    """
    installations = lines(state / "installations")
    if not installations:
        return
    if engine() is None:
        if (state / "engine").exists() and not read_before(state)["has_engine"]:
            return  # fwbench installed the engine: `foreign` decides about it and its contents
        sys.exit("no Docker engine answers: start it, so that fwbench's images can be removed")
    for container in sorted(own_containers(installations)):
        if not dry_run:
            docker("container", "rm", "--force", "--volumes", container)
        yield f"container {container}"
    names = own_images(installations)
    while names:
        # An image can be removed only after those that were built from it: repeat.
        removed = [name for name in names if dry_run or remove_image(name)]
        yield from (f"image {name}" for name in removed)
        names = [] if dry_run or not removed else [name for name in names if name not in removed]
    for name in lines(state / "pulled-images"):
        # It stays if others have images built from it, or containers.
        if inspect("image", name) and (dry_run or remove_image(name)):
            yield f"image {name}"
    if not dry_run:
        remove_build_records(lines(state / "build-records"))


def remove_build_records(records: "list[str]") -> None:
    """Remove BuildKit's records of fwbench's builds.

    Twice, since a record can be removed only after those that depend on it. Failures are ignored:
    the record is gone already, or an image of others needs its layers.
    """
    for record in (*records, *records):
        with suppress(subprocess.CalledProcessError):
            docker("builder", "prune", "--force", "--filter", f"id={record}")


def own_containers(installations: "list[str]") -> "set[str]":
    """Return the ids of containers that sessions left."""
    ids: set[str] = set()
    for label in installations:
        filters = (f"--filter=label={INSTALLATION}={label}", f"--filter=label={SESSION}")
        ids |= set(docker("ps", "--all", "--quiet", "--no-trunc", *filters).split())
    return ids


def own_images(installations: "list[str]") -> "list[str]":
    """Return the names of images that fwbench made, and the ids of those without a name."""
    own: dict[str, None] = {}
    for label in installations:
        for name, image in images(f"--filter=label={INSTALLATION}={label}"):
            if name == NAMELESS:
                own[image] = None
            elif name.startswith(REPOSITORY):
                own[name] = None
    return list(own)


def images(*filters: str) -> "list[tuple[str, str]]":
    """Return the name and id of each image."""
    template = "{{.Repository}}:{{.Tag}} {{.ID}}"
    output = docker("image", "ls", "--no-trunc", "--format", template, *filters)
    return [(line.rpartition(" ")[0], line.rpartition(" ")[2]) for line in output.splitlines()]


def remove_image(image: str) -> bool:
    """Remove a name of an image, and with its last name the image; return False if it is in use."""
    try:
        docker("image", "rm", image)
    except subprocess.CalledProcessError as error:
        if "conflict" in error.stderr or "No such image" in error.stderr:
            return "No such image" in error.stderr
        raise
    return True


def foreign(installations: "list[str]", before: "dict[str, Any]") -> "list[str]":
    """Describe what others made and would lose with the engine, one phrase for each place.

    If fwbench only started the engine, stopping it affects running containers alone.
    """
    info = engine()
    if info is None:
        if before["has_engine"]:
            return []
        return remaining_data() + containerd_objects(before)
    containers = foreign_containers(installations, only_running=before["has_engine"])
    if before["has_engine"]:
        return describe(containers, info["DockerRootDir"])
    template = "{{.Name}}"
    networks = docker("network", "ls", "--filter=type=custom", "--format", template).split()
    objects = [
        *containers,
        *foreign_images(installations),
        *(f"volume {name}" for name in docker("volume", "ls", "--quiet").split()),
        *(f"network {name}" for name in networks),
    ]
    return describe(objects, info["DockerRootDir"]) + containerd_objects(before)


def containerd_objects(before: "dict[str, Any]") -> "list[str]":
    """Describe what others made in the containerd that fwbench installed."""
    return [] if before["has_containerd"] else describe(foreign_namespaces(), "containerd")


def end(before: "dict[str, Any]") -> "list[str]":
    """Remove all containers of an engine that fwbench installed; stop those of one it started.

    An engine that fwbench installed may have found data of an earlier one: its containers are
    stopped too, not removed. If stopping takes over ten seconds, an init script kills the engine,
    but not its containers.
    """
    if engine() is None:
        return []
    keep = before["has_engine"] or before["folders"].get(str(DATA)) == "use"
    ids = docker("ps", "--quiet", *([] if keep else ["--all"])).split()
    if ids:
        docker(*(["stop"] if keep else ["rm", "--force", "--volumes"]), *ids)
    return ids


def describe(objects: "list[str]", place: str) -> "list[str]":
    """Return a list with one phrase about the objects in a place, empty if there are none."""
    if not objects:
        return []
    more = f" and {len(objects) - MAX_LISTED} more" if len(objects) > MAX_LISTED else ""
    return [f"{', '.join(objects[:MAX_LISTED])}{more} in {place}"]


def foreign_containers(installations: "list[str]", *, only_running: bool) -> "list[str]":
    """Return `container NAME` for each container that fwbench did not make."""
    ids = docker("ps", "--quiet", "--no-trunc", *([] if only_running else ["--all"])).split()
    foreign_ids = sorted(set(ids) - own_containers(installations))
    descriptions = inspect("container", *foreign_ids)
    return [f"container {each['Name'].lstrip('/')}" for each in descriptions]


def foreign_images(installations: "list[str]") -> "list[str]":
    """Return `image NAME` for each image that fwbench did not make."""
    own = own_images(installations)
    return [
        f"image {image[:19] if name == NAMELESS else name}"
        for name, image in images()
        if name not in own and image not in own
    ]


def foreign_namespaces() -> "list[str]":
    """Return `namespace NAME` for each namespace of containerd that is not Docker's."""
    if shutil.which("ctr") is None:
        return []
    names = []
    for socket in SOCKETS:
        if Path(socket).exists():
            argv = ["ctr", "--address", socket, "namespaces", "ls", "--quiet"]
            output = run(argv, ANSWER_TIMEOUT_S)
            names += [name for name in output.split() if name not in DOCKER_NAMESPACES]
    return [f"namespace {name}" for name in names]


def remaining_data() -> "list[str]":
    """Describe the data of an engine that does not answer: nobody knows who made it."""
    phrases = [
        f"{kind} in {DATA / kind}"
        for kind in ("containers", "volumes")
        if any(path.is_dir() for path in (DATA / kind).glob("*"))
    ]
    records = DATA.glob("image/*/repositories.json")
    if any(json.loads(record.read_text() or "{}").get("Repositories") for record in records):
        phrases.append(f"images in {DATA / 'image'}")
    return [f"{phrase}, whose engine does not answer" for phrase in phrases]


def inspect(kind: str, *names: str) -> "list[dict[str, Any]]":
    """Return the output of `docker KIND inspect`; objects that no longer exist are left out."""
    if not names:
        return []
    completed = subprocess.run(
        ["docker", kind, "inspect", *names],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=COMMAND_TIMEOUT_S,
    )
    descriptions: list[dict[str, Any]] = json.loads(completed.stdout or b"[]")
    return descriptions


def docker(*argv: str, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
    """Return what a docker command prints."""
    return run(["docker", *argv], timeout_s)


def run(argv: "list[str]", timeout_s: float) -> str:
    """Return what a command prints. Raise `CalledProcessError` with its stderr if it fails."""
    completed = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        check=True,
    )
    return completed.stdout


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        command = " ".join(failed.cmd[:3])
        sys.exit(f"`{command}` exited {failed.returncode}: {failed.stderr.strip()}")
