"""What a Docker engine holds: what fwbench made in it, and what others did.

    holdings.py remove STATE [--check]    remove containers and images of fwbench's
    holdings.py foreign STATE             list what is somebody else's
    holdings.py end STATE                 end all containers, whosever they are

STATE is the folder of what fwbench remembers on this host. `installations` in it has a line for
each id that fwbench's images carry as a label; containers inherit it from their image, and those of
sessions have a label of their own besides. No name alone makes anything fwbench's. `pulled-images`
names the base images that fwbench pulled, `build-records` the records of its builds, and
`engine/before.json` is what `before.py` recorded. Standard library alone, since it runs on hosts.
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
# Of containerd: the namespaces in which Docker itself keeps containers and plug-ins.
OF_DOCKER = {"moby", "plugins.moby"}
SOCKETS = ("/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock")
ANSWER_S = 20
WORK_S = 300
NAMED = 10


def main() -> None:
    """Do what the command line says; what was found is printed as JSON."""
    what, state = sys.argv[1], Path(sys.argv[2])
    if what == "remove":
        found = list(remove(state, only_look="--check" in sys.argv))
    elif what == "foreign":
        found = foreign(lines(state / "installations"), before(state))
    else:
        found = end(before(state))
    print(json.dumps(found))


def before(state: Path) -> "dict[str, Any]":
    """What was recorded of the host before the engine came."""
    recorded: dict[str, Any] = json.loads((state / "engine" / "before.json").read_text())
    return recorded


def lines(file: Path) -> list[str]:
    """The lines of a record; none where there is no record."""
    return file.read_text().split() if file.exists() else []


def engine() -> "dict[str, Any] | None":
    """What the engine says of itself; None where none answers."""
    if shutil.which("docker") is None:
        return None
    try:
        told = docker("info", "--format", "{{json .}}", timeout_s=ANSWER_S)
    except (OSError, subprocess.SubprocessError):
        return None
    described: dict[str, Any] = json.loads(told or "{}")
    return described if described.get("DockerRootDir") else None


def remove(state: Path, *, only_look: bool) -> "Iterator[str]":
    """Remove fwbench's containers, images and records of builds; yields what there was."""
    installations = lines(state / "installations")
    if not installations:
        return
    if engine() is None:
        if (state / "engine").exists() and not before(state)["has_engine"]:
            return  # what it holds goes with it, or stays with it
        sys.exit("no Docker engine answers: start it, so that fwbench's images can be removed")
    for container in sorted(own_containers(installations)):
        if not only_look:
            docker("container", "rm", "--force", "--volumes", container)
        yield f"container {container}"
    names = own_images(installations)
    while names:
        # An image goes after those that were built on it.
        gone = [name for name in names if only_look or goes(name)]
        yield from (f"image {name}" for name in gone)
        names = [] if only_look or not gone else [name for name in names if name not in gone]
    for name in lines(state / "pulled-images"):
        # It stays where somebody has built on it since, or has a container of it.
        if inspect("image", name) and (only_look or goes(name)):
            yield f"image {name}"
    if not only_look:
        remove_build_records(lines(state / "build-records"))


def remove_build_records(records: "list[str]") -> None:
    """Remove BuildKit's records of fwbench's builds, each after those that were made from it.

    A refusal is no trouble: the record has gone already, or layers of somebody's image need it.
    """
    for record in (*records, *records):
        with suppress(subprocess.CalledProcessError):
            docker("builder", "prune", "--force", "--filter", f"id={record}")


def own_containers(installations: "list[str]") -> "set[str]":
    """The ids of containers that sessions left."""
    found: set[str] = set()
    for label in installations:
        filters = (f"--filter=label={INSTALLATION}={label}", f"--filter=label={SESSION}")
        found |= set(docker("ps", "--all", "--quiet", "--no-trunc", *filters).split())
    return found


def own_images(installations: "list[str]") -> "list[str]":
    """The names of images that fwbench made, and the ids of those without a name."""
    found: dict[str, None] = {}
    for label in installations:
        for name, image in images(f"--filter=label={INSTALLATION}={label}"):
            if name == NAMELESS:
                found[image] = None
            elif name.startswith(REPOSITORY):
                found[name] = None
    return list(found)


def images(*filters: str) -> "list[tuple[str, str]]":
    """Name and id of each image."""
    form = "{{.Repository}}:{{.Tag}} {{.ID}}"
    listed = docker("image", "ls", "--no-trunc", "--format", form, *filters).splitlines()
    return [(line.rpartition(" ")[0], line.rpartition(" ")[2]) for line in listed]


def goes(image: str) -> bool:
    """Remove a name of an image, and with the last one the image; False where it is in use."""
    try:
        docker("image", "rm", image)
    except subprocess.CalledProcessError as error:
        if "conflict" in error.stderr or "No such image" in error.stderr:
            return "No such image" in error.stderr
        raise
    return True


def foreign(installations: "list[str]", was: "dict[str, Any]") -> "list[str]":
    """What is somebody else's and would be lost or stopped with the engine: words for each place.

    An engine that fwbench only started loses nothing when it is stopped, but for what runs.
    """
    described = engine()
    if described is None:
        return [] if was["has_engine"] else data_left()
    containers = others_containers(installations, only_running=was["has_engine"])
    if was["has_engine"]:
        return in_words(containers, described["DockerRootDir"])
    form = "{{.Name}}"
    networks = docker("network", "ls", "--filter=type=custom", "--format", form).split()
    found = [
        *containers,
        *others_images(installations),
        *(f"volume {name}" for name in docker("volume", "ls", "--quiet").split()),
        *(f"network {name}" for name in networks),
    ]
    namespaces = [] if was["has_containerd"] else others_namespaces()
    return in_words(found, described["DockerRootDir"]) + in_words(namespaces, "containerd")


def end(was: "dict[str, Any]") -> "list[str]":
    """Remove all containers of an engine that goes; those of one that stays are only stopped.

    An init script kills the engine where it takes over ten seconds, and containers outlive it.
    """
    if engine() is None:
        return []
    ids = docker("ps", "--quiet", *([] if was["has_engine"] else ["--all"])).split()
    if ids:
        docker(*(["stop"] if was["has_engine"] else ["rm", "--force", "--volumes"]), *ids)
    return ids


def in_words(found: "list[str]", place: str) -> "list[str]":
    """One phrase about what is in one place; none where nothing is."""
    if not found:
        return []
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return [f"{', '.join(found[:NAMED])}{more} in {place}"]


def others_containers(installations: "list[str]", *, only_running: bool) -> "list[str]":
    """The containers that are not fwbench's, in words."""
    every = docker("ps", "--quiet", "--no-trunc", *([] if only_running else ["--all"])).split()
    others = sorted(set(every) - own_containers(installations))
    described = inspect("container", *others)
    return [f"container {each['Name'].lstrip('/')}" for each in described]


def others_images(installations: "list[str]") -> "list[str]":
    """The images that are not fwbench's, in words."""
    own = own_images(installations)
    return [
        f"image {image[:19] if name == NAMELESS else name}"
        for name, image in images()
        if name not in own and image not in own
    ]


def others_namespaces() -> "list[str]":
    """The namespaces of containerd that are not Docker's, in words."""
    if shutil.which("ctr") is None:
        return []
    found = []
    for socket in SOCKETS:
        if Path(socket).exists():
            told = run(["ctr", "--address", socket, "namespaces", "ls", "--quiet"], ANSWER_S)
            found += [name for name in told.split() if name not in OF_DOCKER]
    return [f"namespace {name}" for name in found]


def data_left() -> "list[str]":
    """What an engine that does not answer holds: it cannot tell whose that is."""
    found = [
        f"{kind} in {DATA / kind}"
        for kind in ("containers", "volumes")
        if any(path.is_dir() for path in (DATA / kind).glob("*"))
    ]
    records = DATA.glob("image/*/repositories.json")
    if any(json.loads(record.read_text() or "{}").get("Repositories") for record in records):
        found.append(f"images in {DATA / 'image'}")
    return [f"{each}, whose engine does not answer" for each in found]


def inspect(kind: str, *names: str) -> "list[dict[str, Any]]":
    """The engine's descriptions of things; of those that are gone meanwhile there is none."""
    if not names:
        return []
    done = subprocess.run(
        ["docker", kind, "inspect", *names],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=WORK_S,
    )
    described: list[dict[str, Any]] = json.loads(done.stdout or b"[]")
    return described


def docker(*argv: str, timeout_s: float = WORK_S) -> str:
    """What a command of Docker's prints."""
    return run(["docker", *argv], timeout_s)


def run(argv: "list[str]", timeout_s: float) -> str:
    """What a command prints; raises CalledProcessError with its standard error where it fails."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        command = " ".join(failed.cmd[:3])
        sys.exit(f"`{command}` exited {failed.returncode}: {failed.stderr.strip()}")
