"""Who builds the images, and what becomes of the others where it fails: the role, with an engine
that only keeps books. Each architecture of one play is a case of its own."""

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
words = sys.argv[1:]
images = json.loads((place / "images.json").read_text())
with (place / "log").open("a") as log:
    print(words[0], file=log)
def options(name):
    return [words[n + 1] for n, word in enumerate(words) if word == name]
def keep():
    (place / "images.json").write_text(json.dumps(images))
if (place / ("fail-" + words[0])).exists():
    sys.exit("no luck with " + words[0])
if words[:2] == ["image", "inspect"]:
    if "--format" in words:
        sys.exit(print("sha256:base"))
    asked = [image for image in images if image in words[2:]]
    described = [
        {{"Id": images[tag]["id"], "RepoTags": [tag], "RootFS": {{"Layers": []}},
          "Architecture": "any", "Config": {{"Labels": images[tag]["labels"]}}}}
        for tag in asked
    ]
    print(json.dumps(described))
    sys.exit(len(asked) < len(words[2:]))
elif words[0] == "build":
    labels = dict(label.split("=", 1) for label in options("--label"))
    for tag in options("--tag"):
        name = tag.split(":")[0]
        config = (name + "-of-" + place.name).encode()
        digest = hashlib.sha256(config).hexdigest()
        images[tag] = {{"id": "sha256:" + digest, "config": config.decode(), "labels": labels}}
    keep()
elif words[0] == "save":
    saved = {{name: images[name] for name in words[1:]}}
    if (place / "fail-to-send-no-more").exists():
        saved["nginx:latest"] = images[words[1]]
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
elif words[0] == "load":
    with tarfile.open(options("--input")[0]) as archive:
        images.update(json.load(archive.extractfile("repositories")))
    keep()
elif words[0] == "tag":
    images[words[2]] = images[words[1]]
    keep()
elif words[0] == "run":
    print("Python 3.13.5" if words[-1] == "--version" else "flask==3.1.2")
elif words[0] == "buildx":
    sys.exit(1)
"""

# Of each architecture: the hosts in their order with their memory, and what fails on them.
CASES: dict[str, dict[str, tuple[int, list[str]]]] = {
    "largest-cannot-build": {"b1": (1, []), "b2": (8, ["build"])},
    "nobody-can-build": {"c1": (1, ["build"]), "c2": (1, ["build"]), "c3": (1, ["build"])},
    "first-cannot-save": {"d1": (1, ["save"]), "d2": (1, [])},
    "one-builds": {"e1": (1, []), "e2": (8, []), "e3": (1, [])},
    "first-sends-more": {"f1": (8, ["to-send-no-more"]), "f2": (1, [])},
}


class Outcome:
    """A play of all cases, and what the engines then hold."""

    def __init__(self, place: Path) -> None:
        programs = place / "bin"
        programs.mkdir()
        (programs / "docker").write_text(DOCKER)
        (programs / "docker").chmod(stat.S_IRWXU)
        (place / "contenders" / "flask").mkdir(parents=True)
        (place / "contenders" / "flask" / "Dockerfile").touch()
        hosts = {}
        for case, members in CASES.items():
            for host, (memory, failing) in members.items():
                (place / host).mkdir()
                base = {"python:3.13-slim": {"id": "sha256:base", "labels": {}}}
                (place / host / "images.json").write_text(json.dumps(base))
                for what in failing:
                    (place / host / f"fail-{what}").touch()
                hosts[host] = {"case": case, "memory": memory}
        (place / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        written = [
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
        (place / "play.yml").write_text(yaml.safe_dump(written))
        played = play(str(place / "play.yml"), Inventory((place / "hosts.yml",)), hosts)
        self.trouble = {host.host: host.error for host in played.hosts}
        self._place = place

    def images(self, host: str) -> dict[str, str]:
        """The id of each image that has the name `current`."""
        held = json.loads((self._place / host / "images.json").read_text())
        return {
            tag.split("/")[1].split(":")[0]: image["id"]
            for tag, image in held.items()
            if tag.endswith(":current")
        }

    def asked(self, host: str, what: str) -> int:
        """How often the engine was asked to do something."""
        return (self._place / host / "log").read_text().splitlines().count(what)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return Outcome(tmp_path_factory.mktemp("images"))


def made_by(host: str) -> dict[str, str]:
    return {"flask": f"sha256:{hashlib.sha256(f'fwbench/flask-of-{host}'.encode()).hexdigest()}"}


def test_where_the_largest_cannot_build_another_one_does(outcome: Outcome) -> None:
    trouble = outcome.trouble["b2"] or ""
    assert "b2 could not build flask" in trouble
    assert "no luck with build" in trouble
    assert outcome.images("b2") == {}
    assert outcome.trouble["b1"] is None
    assert outcome.images("b1") == made_by("b1")


def test_where_two_cannot_build_the_others_name_them_and_their_reason(outcome: Outcome) -> None:
    for host in ("c1", "c2"):
        assert "no luck with build" in (outcome.trouble[host] or "")
    trouble = outcome.trouble["c3"] or ""
    assert "c3 lacks flask, and no other target could provide the images" in trouble
    assert "c1 could not build" in trouble
    assert "c2 could not build" in trouble
    assert outcome.asked("c3", "build") == 0


def test_where_the_first_cannot_give_its_images_another_one_builds_them(outcome: Outcome) -> None:
    assert "no luck with save" in (outcome.trouble["d1"] or "")
    assert outcome.trouble["d2"] is None
    assert outcome.images("d2") == made_by("d2")


def test_one_builds_for_all_others(outcome: Outcome) -> None:
    assert [outcome.images(host) for host in ("e1", "e2", "e3")] == [made_by("e2")] * 3
    assert [outcome.asked(host, "build") > 0 for host in ("e1", "e2", "e3")] == [False, True, False]


def test_where_the_first_sends_another_image_too_none_is_loaded(outcome: Outcome) -> None:
    assert "contains 'nginx:latest', which was not asked for" in (outcome.trouble["f1"] or "")
    assert outcome.asked("f2", "load") == 0
    assert outcome.trouble["f2"] is None
    assert outcome.images("f2") == made_by("f2")


def test_no_trouble_is_one_of_the_roles_own(outcome: Outcome) -> None:
    """A variable that is undefined because the host that was to have it failed."""
    for host, trouble in outcome.trouble.items():
        assert "undefined" not in (trouble or ""), host
        assert "Error while resolving" not in (trouble or ""), host
