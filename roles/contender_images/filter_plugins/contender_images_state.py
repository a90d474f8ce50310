"""Filters of the role `contender_images`: which images a host has, and what is left to do there.

`wanted` maps a contender's name to the tag of its image. `present` maps each tag on the host to the
image's `id`, `layers`, `by_containerd` (its image store) and `recorded` (it has a record).
"""

import json
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

Image = Mapping[str, Any]
Images = Mapping[str, Image]


class FilterModule:
    """The entry point of Ansible."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "contender_images_present": present_images,
            "contender_images_missing": missing,
            "contender_images_stale": stale,
            "contender_images_to_tag": to_tag,
            "contender_images_to_record": to_record,
            "contender_images_record": record,
        }


def present_images(stdout: str, host: str) -> dict[str, dict[str, Any]]:
    """Parse what `tasks/present.yml` prints: `docker image inspect`, then the recorded image ids.

    Return `present`. Raise `AnsibleFilterError` if Docker printed something else.
    """
    answer, _, recorded_ids = stdout.partition("--- records")
    try:
        return {
            tag: {
                "id": image["Id"],
                "layers": image["RootFS"]["Layers"],
                "by_containerd": "Descriptor" in image,
                "recorded": image["Id"] in recorded_ids,
            }
            for image in json.loads(answer.strip() or "[]")
            for tag in image["RepoTags"] or []
        }
    except (ValueError, KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"{host}: cannot read the output of `docker image inspect` ({error!r}). "
            "Run it there for an image of fwbench to see what Docker prints."
        ) from None


def missing(wanted: Mapping[str, str], present: Images) -> list[str]:
    """Return the contenders whose image the host does not have."""
    return [name for name, tag in wanted.items() if tag not in present]


def stale(wanted: Mapping[str, str], present: Images, reference: Images) -> list[str]:
    """Return the contenders whose image differs from that of the reference host."""
    return [
        name for name, tag in wanted.items() if not _is_same(present.get(tag), reference.get(tag))
    ]


def _is_same(here: Image | None, there: Image | None) -> bool:
    if here is None or there is None:
        return here is there
    if here["by_containerd"] == there["by_containerd"]:
        return bool(here["id"] == there["id"])
    # The image store of containerd gives another id to the same image.
    return bool(here["id"] == there["id"] or here["layers"] == there["layers"])


def to_tag(wanted: Mapping[str, str], present: Images) -> list[str]:
    """Return the contenders whose tag `current` is missing or points to another image."""
    return [
        name
        for name, tag in wanted.items()
        if not _have_one_id(present.get(tag), present.get(f"fwbench/{name}:current"))
    ]


def _have_one_id(one: Image | None, other: Image | None) -> bool:
    return one is not None and other is not None and bool(one["id"] == other["id"])


def to_record(wanted: Mapping[str, str], present: Images) -> list[str]:
    """Return the contenders whose image is missing or has no record yet."""
    return [name for name, tag in wanted.items() if not present.get(tag, {}).get("recorded")]


def record(stdout: str, host: str, name: str, tag: str) -> dict[str, Any]:
    """Parse what `tasks/record.yml` prints: `docker image inspect`, then `pip freeze`.

    Return the record of the image. Raise `AnsibleFilterError` if a label of fwbench is missing.
    """
    answer, _, packages = stdout.partition("--- packages")
    try:
        image = json.loads(answer)[0]
        labels = image["Config"]["Labels"]
        return {
            "name": name,
            "image": tag,
            "image_id": image["Id"],
            "architecture": image["Architecture"],
            "base": labels["fwbench.base"],
            "base_origin": labels["fwbench.base-origin"],
            "context": labels["fwbench.context"],
            "labels": labels,
            "packages": sorted(filter(None, packages.splitlines()), key=str.lower),
        }
    except (ValueError, LookupError, TypeError) as error:
        raise AnsibleFilterError(
            f"{host}: cannot describe the image {tag} of {name} ({error!r}). Another program may "
            f"have built it: remove it there with `docker image rm {tag}`, and provision again."
        ) from None
