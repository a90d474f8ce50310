"""Filters of the role `contender_images`: what its images are made from, and how they are built.

All filters of a play share one namespace, so each name begins with the role's.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.plugins.filter.core import to_json


class FilterModule:
    """The entry point of Ansible."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "contender_images_checksums": checksums,
            "contender_images_folders": folders,
            "contender_images_tags": tags,
            "contender_images_references": references,
            "contender_images_base_identity": base_identity,
            "contender_images_build_argv": build_argv,
            "contender_images_pip_conf": pip_conf,
        }


def checksums(listing: Iterable[Mapping[str, Any]], folder: str) -> dict[str, str]:
    """Return the checksum of each file that `find` listed, by its path relative to `folder`."""
    return {os.path.relpath(file["path"], folder): file["checksum"] for file in listing}


def folders(files: Iterable[str]) -> list[str]:
    """Return the names of the folders that contain a Dockerfile, sorted."""
    found = (re.fullmatch("([^/]+)/Dockerfile", path) for path in files)
    return sorted(match[1] for match in found if match)


def tags(
    files: Mapping[str, str], names: Iterable[str], base: str, build_arguments: Mapping[str, Any]
) -> dict[str, str]:
    """Return each contender's image tag, which changes with everything the image is made from.

    `files` maps paths to checksums. A contender without files gets a tag, too.
    """
    return {name: _tag(files, name, base, build_arguments) for name in names}


def _tag(files: Mapping[str, str], name: str, base: str, build_arguments: Mapping[str, Any]) -> str:
    own = [
        {"key": path, "value": checksum}
        for path, checksum in sorted(files.items(), key=lambda file: (file[0].lower(), file[0]))
        if path.startswith(f"{name}/")
    ]
    # With Ansible's serialisation, since a build argument may be a date or a vaulted value.
    content = to_json([base, build_arguments, own], sort_keys=True)
    return f"fwbench/{name}:{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def references(names: Sequence[str], wanted: Mapping[str, str]) -> list[str]:
    """Return both references of each image: its tag in `wanted`, and `fwbench/<name>:current`."""
    return [wanted[name] for name in names] + [f"fwbench/{name}:current" for name in names]


def base_identity(lines: Sequence[str], base: str, from_packages: bool) -> dict[str, str]:
    """Return the base's `origin`, and a `description` that identifies its content.

    `lines` has the base's digest or id, then its version of Python unless it has none.
    """
    if from_packages:
        python = lines[1] if len(lines) > 1 else "no Python"
        return {"origin": "debian-packages", "description": f"debian 13 packages, {python}"}
    return {
        "origin": "registry" if "@" in lines[0] else "local",
        "description": f"{base}@{lines[0].split('@')[-1]}",
    }


def build_argv(
    name: str, wanted: Mapping[str, str], folder: str, settings: Mapping[str, Any]
) -> list[str]:
    """Return the `docker build` command for a contender whose build context is `folder`/`name`.

    `settings` has `network`, `base`, `labels` (without the prefix `fwbench.`) and `arguments`.
    """
    tag = wanted[name]
    labels = {**settings["labels"], "context": tag.split(":")[1]}
    return [
        # Otherwise the legacy builder keeps the container of a failed step, with the credentials of
        # a package index.
        *["docker", "build", "--force-rm", "--network", settings["network"]],
        *["--build-arg", f"BASE={settings['base']}"],
        *[word for key, value in labels.items() for word in ("--label", f"fwbench.{key}={value}")],
        *["--tag", tag, "--tag", f"fwbench/{name}:current"],
        *[f"--build-arg={key}={value}" for key, value in settings["arguments"].items()],
        f"{folder}/{name}",
    ]


def pip_conf(index_url: str, extra_index_urls: Sequence[str]) -> str:
    """Return the pip.conf of the builds. An empty value keeps pip's default."""
    lines = ["[global]"]
    if index_url:
        lines.append(f"index-url = {index_url}")
    if extra_index_urls:
        lines.append(f"extra-index-url = {' '.join(extra_index_urls)}")
    return "\n".join(lines) + "\n"
