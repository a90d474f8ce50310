"""The role that builds images on one target and copies them to others, with a fake engine.

One play executes all cases: each is an architecture with its own hosts.
"""

import hashlib
import json
import os
import stat
import sys
from pathlib import Path

import pytest
import yaml

from fwbench import paths
from fwbench.provisioning.inventory import Inventory
from fwbench.provisioning.playbook import play

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the role gives its records to root")

DOCKER = f"""#!{sys.executable}
import hashlib, io, json, os, pathlib, sys, tarfile
place = pathlib.Path(os.environ["FAKE_HOST"])
arguments = sys.argv[1:]
images = json.loads((place / "images.json").read_text())
with (place / "log").open("a") as log:
    print(arguments[0], file=log)
def options(name):
    return [arguments[n + 1] for n, argument in enumerate(arguments) if argument == name]
def write_images():
    (place / "images.json").write_text(json.dumps(images))
if (place / ("fault-" + arguments[0])).exists():
    sys.exit("no luck with " + arguments[0])
if arguments[:2] == ["image", "inspect"]:
    if "--format" in arguments:
        sys.exit(print("sha256:base"))
    tags = [image for image in images if image in arguments[2:]]
    details = [
        {{"Id": images[tag]["id"], "RepoTags": [tag], "RootFS": {{"Layers": []}},
          "Architecture": "any", "Config": {{"Labels": images[tag]["labels"]}}}}
        for tag in tags
    ]
    print(json.dumps(details))
    sys.exit(len(tags) < len(arguments[2:]))
elif arguments[0] == "build":
    labels = dict(label.split("=", 1) for label in options("--label"))
    for tag in options("--tag"):
        name = tag.split(":")[0]
        config = (name + "-of-" + place.name).encode()
        digest = hashlib.sha256(config).hexdigest()
        images[tag] = {{"id": "sha256:" + digest, "config": config.decode(), "labels": labels}}
    write_images()
elif arguments[0] == "save":
    saved = {{name: images[name] for name in arguments[1:]}}
    if (place / "fault-add-nginx").exists():
        saved["nginx:latest"] = images[arguments[1]]
    manifest = [
        {{"Config": image["id"][7:] + ".json", "RepoTags": [name]}} for name, image in saved.items()
    ]
    files = {{image["id"][7:] + ".json": image["config"] for image in saved.values()}}
    files |= {{"manifest.json": json.dumps(manifest), "repositories": json.dumps(saved)}}
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode()))
elif arguments[0] == "load":
    with tarfile.open(options("--input")[0]) as archive:
        images.update(json.load(archive.extractfile("repositories")))
    write_images()
elif arguments[0] == "tag":
    images[arguments[2]] = images[arguments[1]]
    write_images()
elif arguments[0] == "run":
    print("Python 3.13.5" if arguments[-1] == "--version" else "flask==3.1.2")
elif arguments[0] == "buildx":
    sys.exit(1)
"""

# The hosts of each architecture in order: their memory, and their faults. A fault is a command that
# fails, or `add-nginx` if the host exports an image that nobody requested.
CASES: dict[str, dict[str, tuple[int, list[str]]]] = {
    "largest-cannot-build": {"b1": (1, []), "b2": (8, ["build"])},
    "none-can-build": {"c1": (1, ["build"]), "c2": (1, ["build"]), "c3": (1, ["build"])},
    "first-cannot-save": {"d1": (1, ["save"]), "d2": (1, [])},
    "one-builds": {"e1": (1, []), "e2": (8, []), "e3": (1, [])},
    "first-sends-another-image": {"f1": (8, ["add-nginx"]), "f2": (1, [])},
}


class Outcome:
    """The result of a play of all cases, and the images of the engines afterwards."""

    def __init__(self, place: Path) -> None:
        programs = place / "bin"
        programs.mkdir()
        (programs / "docker").write_text(DOCKER)
        (programs / "docker").chmod(stat.S_IRWXU)
        (place / "contenders" / "flask").mkdir(parents=True)
        (place / "contenders" / "flask" / "Dockerfile").touch()
        hosts = {}
        for case, members in CASES.items():
            for host, (memory, faults) in members.items():
                (place / host).mkdir()
                base = {"python:3.13-slim": {"id": "sha256:base", "labels": {}}}
                (place / host / "images.json").write_text(json.dumps(base))
                for fault in faults:
                    (place / host / f"fault-{fault}").touch()
                hosts[host] = {"case": case, "memory": memory}
        (place / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        plays = [
            {
                "hosts": "all",
                "connection": "local",
                "gather_facts": False,
                "environment": {
                    "PATH": f"{programs}:{os.environ['PATH']}",
                    "FAKE_HOST": f"{place}/{{{{ inventory_hostname }}}}",
                },
                "vars": {"ansible_python_interpreter": sys.executable},
                "tasks": [
                    {
                        "ansible.builtin.set_fact": {
                            "fwbench_host_system": {
                                "architecture": "{{ case }}",
                                "memory_bytes": "{{ memory }}",
                            }
                        }
                    },
                    {
                        "ansible.builtin.include_role": {
                            "name": str(paths.data_folder() / "roles" / "contender_images")
                        },
                        "vars": {
                            "contender_images_dir": str(place / "contenders"),
                            "contender_images_records_dir": (
                                f"{place}/{{{{ inventory_hostname }}}}/records"
                            ),
                        },
                    },
                ],
            }
        ]
        (place / "play.yml").write_text(yaml.safe_dump(plays))
        result = play(str(place / "play.yml"), Inventory((place / "hosts.yml",)), hosts)
        self.errors = {host.host: host.error for host in result.hosts}
        self._place = place

    def images(self, host: str) -> dict[str, str]:
        """Return the id of each image with the tag `current`, by name."""
        images = json.loads((self._place / host / "images.json").read_text())
        return {
            tag.split("/")[1].split(":")[0]: image["id"]
            for tag, image in images.items()
            if tag.endswith(":current")
        }

    def calls(self, host: str, command: str) -> int:
        """Return how often the role executed a command of the engine."""
        return (self._place / host / "log").read_text().splitlines().count(command)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Return the result of the play."""
    return Outcome(tmp_path_factory.mktemp("images"))


def images_built_by(host: str) -> dict[str, str]:
    return {"flask": f"sha256:{hashlib.sha256(f'fwbench/flask-of-{host}'.encode()).hexdigest()}"}


def test_another_target_builds_if_the_largest_cannot(outcome: Outcome) -> None:
    error = outcome.errors["b2"] or ""
    assert "b2 could not build flask" in error
    assert "no luck with build" in error
    assert outcome.images("b2") == {}
    assert outcome.errors["b1"] is None
    assert outcome.images("b1") == images_built_by("b1")


def test_target_without_images_names_failed_builders(outcome: Outcome) -> None:
    for host in ("c1", "c2"):
        assert "no luck with build" in (outcome.errors[host] or "")
    error = outcome.errors["c3"] or ""
    assert "c3 lacks flask, and no other target could provide the images" in error
    assert "c1 could not build" in error
    assert "c2 could not build" in error
    assert outcome.calls("c3", "build") == 0


def test_another_target_builds_if_the_first_cannot_export(outcome: Outcome) -> None:
    assert "no luck with save" in (outcome.errors["d1"] or "")
    assert outcome.errors["d2"] is None
    assert outcome.images("d2") == images_built_by("d2")


def test_largest_target_builds_for_all_others(outcome: Outcome) -> None:
    assert [outcome.images(host) for host in ("e1", "e2", "e3")] == [images_built_by("e2")] * 3
    assert [outcome.calls(host, "build") > 0 for host in ("e1", "e2", "e3")] == [False, True, False]


def test_archive_with_another_image_is_not_loaded(outcome: Outcome) -> None:
    assert "contains 'nginx:latest', which was not asked for" in (outcome.errors["f1"] or "")
    assert outcome.calls("f2", "load") == 0
    assert outcome.errors["f2"] is None
    assert outcome.images("f2") == images_built_by("f2")


def test_no_error_is_caused_by_the_role_itself(outcome: Outcome) -> None:
    """The role uses no variable that is undefined because another host failed."""
    for host, error in outcome.errors.items():
        assert "undefined" not in (error or ""), host
        assert "Error while resolving" not in (error or ""), host
