"""Image archives that one target sends to others: the filter that checks them, and a play.

The archives are synthetic; `tests/lab/test_images_role.py` ships one of a real engine.
"""

import gzip
import hashlib
import importlib.util
import io
import json
import os
import sys
import tarfile
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from repository import ROOT

from fwbench import paths
from fwbench.provisioning.inventory import Inventory
from fwbench.provisioning.playbook import PlayResult, play

FILTER = ROOT / "roles/contender_images/filter_plugins/contender_images_archive.py"
TAG, CURRENT = "fwbench/flask:0123456789ab", "fwbench/flask:current"
CONFIG, MANIFEST, LAYER = b'{"config": {}}', b'{"schemaVersion": 2}', b"no real layer"
V1 = "1" * 64
NAME, REF = "io.containerd.image.name", "org.opencontainers.image.ref.name"
Files = dict[str, bytes | tarfile.TarInfo]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


PRESENT = {
    name: {"id": f"sha256:{digest(CONFIG)}", "by_containerd": False} for name in (TAG, CURRENT)
}
BY_CONTAINERD = {
    name: {"id": f"sha256:{digest(MANIFEST)}", "by_containerd": True} for name in (TAG, CURRENT)
}


def legacy(tags: Sequence[str] = (TAG, CURRENT), extra: Sequence[Any] = ()) -> Files:
    """Return the files of an archive as Docker up to version 24 writes it."""
    config = f"{digest(CONFIG)}.json"
    image = {"Config": config, "RepoTags": list(tags), "Layers": [f"{V1}/layer.tar"]}
    return {
        V1: member(tarfile.DIRTYPE),
        f"{V1}/VERSION": b"1.0",
        f"{V1}/json": b"{}",
        f"{V1}/layer.tar": LAYER,
        config: CONFIG,
        "manifest.json": json.dumps([image, *extra]).encode(),
        "repositories": b"{}",
    }


def oci(
    tags: Sequence[str] = (TAG, CURRENT),
    names: Sequence[str] = (f"docker.io/{TAG}", f"docker.io/{CURRENT}"),
    extra: Sequence[Any] = (),
) -> Files:
    """Return the files of an archive as Docker 25 or later writes it, with either image store."""
    image = {"Config": f"blobs/sha256/{digest(CONFIG)}", "RepoTags": list(tags)}
    entries = [
        {
            "digest": f"sha256:{digest(MANIFEST)}",
            "annotations": {NAME: name, REF: name.rpartition(":")[2]},
        }
        for name in names
    ]
    return {
        "blobs": member(tarfile.DIRTYPE),
        "blobs/sha256": member(tarfile.DIRTYPE),
        **{f"blobs/sha256/{digest(blob)}": blob for blob in (CONFIG, LAYER, MANIFEST)},
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [*entries, *extra]}).encode(),
        "manifest.json": json.dumps([image]).encode(),
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "repositories": b"{}",
    }


def member(kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def tar(files: Files, *appended: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in [*files.items(), *appended]:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo()
            info.name = name
            if isinstance(content, bytes):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def load_filter() -> Callable[..., str]:
    spec = importlib.util.spec_from_file_location(FILTER.stem, FILTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (function,) = module.FilterModule().filters().values()
    return function  # type: ignore[no-any-return]


ARCHIVE_ERROR = load_filter()


@pytest.fixture
def error(tmp_path: Path) -> Callable[..., str]:
    """Return a function that gives the filter's error for a tar archive."""

    def check(content: bytes, present: dict[str, Any] = PRESENT) -> str:
        path = tmp_path / "images.tar.gz"
        path.write_bytes(gzip.compress(content, 1))
        return ARCHIVE_ERROR(str(path), [TAG, CURRENT], present)

    return check


@pytest.mark.parametrize(
    ("files", "present"),
    [
        (legacy(), PRESENT),
        (
            legacy() | {f"{'2' * 64}/layer.tar": member(tarfile.SYMTYPE, f"../{V1}/layer.tar")},
            PRESENT,
        ),
        (oci(), PRESENT),
        (oci(), BY_CONTAINERD),
        (legacy(), BY_CONTAINERD),
    ],
    ids=["until 24", "with a layer twice", "since 25", "containerd", "without an index"],
)
def test_archives_of_docker_save_are_accepted(
    error: Callable[..., str], files: Files, present: dict[str, Any]
) -> None:
    assert error(tar(files), present) == ""


OTHER = {"Config": f"{digest(CONFIG)}.json", "RepoTags": ["nginx:latest"], "Layers": []}
ENTRY = {"digest": f"sha256:{digest(MANIFEST)}"}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (legacy([TAG, CURRENT, "nginx:latest"]), "manifest.json contains 'nginx:latest', which"),
        (legacy(extra=[OTHER]), "manifest.json contains 'nginx:latest', which was not"),
        (legacy(extra=[OTHER | {"RepoTags": None}]), "contains 'an image without a name', which"),
        (legacy([TAG, TAG, CURRENT]), f"contains '{TAG}', which was not asked for"),
        (legacy([TAG]), f"its manifest.json does not contain {CURRENT}"),
        (legacy([TAG, f"docker.io/{CURRENT}"]), f"contains 'docker.io/{CURRENT}', which"),
        (oci([TAG, CURRENT, "nginx:latest"]), "manifest.json contains 'nginx:latest', which"),
        (
            oci(extra=[ENTRY | {"annotations": {NAME: "docker.io/library/nginx:latest"}}]),
            "its index.json contains 'docker.io/library/nginx:latest', which was not asked for",
        ),
        (oci(extra=[ENTRY | {"annotations": {REF: "nginx:latest"}}]), "'nginx:latest', which"),
        (oci(extra=[ENTRY]), "its index.json contains 'an image without a name', which"),
        (oci(names=[f"docker.io/{TAG}"]), f"its index.json does not contain docker.io/{CURRENT}"),
        (oci(names=[TAG, CURRENT]), f"its index.json contains '{TAG}', which was not asked for"),
        ({"repositories": b'{"nginx": {"latest": "1"}}'}, "it contains no manifest.json"),
    ],
)  # fmt: skip
def test_names_that_were_not_requested_are_refused(
    error: Callable[..., str], files: Files, reason: str
) -> None:
    assert reason in error(tar(files))


def test_other_image_under_a_requested_name_is_refused(error: Callable[..., str]) -> None:
    present = {name: image | {"id": f"sha256:{V1}"} for name, image in PRESENT.items()}
    assert error(tar(legacy()), present) == f"its manifest.json contains another image as {TAG}"
    present = {name: image | {"id": f"sha256:{V1}"} for name, image in BY_CONTAINERD.items()}
    assert error(tar(oci()), present) == f"its index.json contains another image as docker.io/{TAG}"


@pytest.mark.parametrize("files", [legacy(), oci()], ids=["until 24", "since 25"])
def test_content_that_differs_from_its_digest_is_refused(
    error: Callable[..., str], files: Files
) -> None:
    changed = {name: b"other" if content == CONFIG else content for name, content in files.items()}
    assert "has another content than its name says" in error(tar(changed))


EVIL = json.dumps([OTHER]).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tar(legacy(), ("manifest.json", EVIL)), "it contains manifest.json twice"),
        (tar(legacy(), ("./manifest.json", EVIL)), "it contains './manifest.json' of type"),
        (tar(legacy(), ("blobs/../manifest.json", EVIL)), "'blobs/../manifest.json'"),
        (tar(legacy() | {V1: member(tarfile.SYMTYPE, ".")}), f"it contains '{V1}' of type b'2'"),
        (
            tar(legacy() | {f"{V1}/layer.tar": member(tarfile.SYMTYPE, "../manifest.json")}),
            f"it contains '{V1}/layer.tar' of type b'2'",
        ),
        (
            tar(legacy() | {"repositories": member(tarfile.LNKTYPE, "manifest.json")}),
            "it contains 'repositories' of type b'1'",
        ),
        (tar(legacy() | {"manifest.json": member(tarfile.FIFOTYPE)}), "of type b'6'"),
        (tar(legacy()) + tar({"manifest.json": EVIL}), "it contains something after its end"),
        (tar(legacy())[:2000], "it is not a complete gzip file (it ends early)"),
        (b"x" * 2000, "it is not a tar archive"),
        (tar(legacy() | {"manifest.json": b"[" * 100_000}), "is not what `docker save` writes"),
        (tar(legacy() | {"manifest.json": b'[{"Config": 1}]'}), "is not what `docker save` writes"),
        (tar(oci() | {"index.json": b'{"manifests": [1]}'}), "is not what `docker save` writes"),
    ],
)
def test_manifest_cannot_be_replaced_or_hidden(
    error: Callable[..., str], content: bytes, reason: str
) -> None:
    assert reason in error(content)


def test_file_without_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(tar(legacy()))
    assert "not a complete gzip" in ARCHIVE_ERROR(str(tmp_path / "plain"), [TAG, CURRENT], PRESENT)


OVERSIZED_BYTES = 1 << 28


def oversized_member(kind: bytes, name: str) -> tarfile.TarInfo:
    info = member(kind)
    info.name, info.size = name, OVERSIZED_BYTES
    return info


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        (tarfile.REGTYPE, "manifest.json", "its manifest.json has 268435456 bytes"),
        (tarfile.XHDTYPE, "x", "it contains 'x' of type b'x'"),
        (tarfile.GNUTYPE_LONGNAME, "x", "it contains 'x' of type b'L'"),
        (tarfile.REGTYPE, f"{V1}/layer.tar", "it contains no manifest.json"),
    ],
)
def test_decompression_bomb_does_not_fill_memory(
    tmp_path: Path, kind: bytes, name: str, reason: str
) -> None:
    path = tmp_path / "bomb"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(oversized_member(kind, name).tobuf())
        for _ in range(OVERSIZED_BYTES >> 20):
            file.write(bytes(1 << 20))
        file.write(bytes(tarfile.BLOCKSIZE))
    tracemalloc.start()
    try:
        assert reason in ARCHIVE_ERROR(str(path), [TAG, CURRENT], PRESENT)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_archive_of_too_many_files_is_refused(error: Callable[..., str]) -> None:
    files: Files = {f"{number:064x}/json": b"" for number in range(10_001)}
    assert "or over 10000 files" in error(tar(files))


# The play

ID = "0b0ee9d3-1ab1-4a5c-8a3f-3f1f4a7b2c1d"
DOCKER = """#!/bin/sh
case "$1" in
  save) cat "{archive}" ;;
  load) echo "$*" >>"{loads}" ;;
  image) echo '[]'; exit 1 ;;
esac
"""


def ship(
    folder: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch, ids: str = f"{ID}\n"
) -> PlayResult:
    """Ship the images from one target to another: both are this machine, with a stub for docker."""
    (folder / "archive.tar").write_bytes(archive)
    (folder / "ids-of-source").write_text(ids)
    programs = folder / "bin"
    programs.mkdir()
    docker = DOCKER.format(archive=folder / "archive.tar", loads=folder / "loads")
    (programs / "docker").write_text(docker)
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    role = {"name": str(paths.data_folder() / "roles/contender_images"), "tasks_from": "ship"}
    common = {
        "ansible_python_interpreter": sys.executable,
        "contender_images_sources_tried": ["source"],
        "contender_images_missing": [],
        "contender_images_present": PRESENT,
        "contender_images_wanted": {"flask": TAG},
        "fwbench_host_system": {"architecture": "x86_64", "memory_bytes": 1},
    }
    folders = {"contender_images_tmp_dir": str(folder / "tmp")}
    playbook = [
        {
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.include_role": role, "vars": folders}],
        }
    ]
    (folder / "play.yml").write_text(yaml.safe_dump(playbook))
    hosts = {
        "source": {"contender_images_stale": []},
        "other": {"contender_images_stale": ["flask"]},
    }
    inventory = {"all": {"hosts": hosts, "vars": common}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    return play(
        str(folder / "play.yml"),
        Inventory((folder / "hosts.yml",)),
        ["source", "other"],
        variables={
            "contender_images_installations": f"{folder}/ids-of-{{{{ inventory_hostname }}}}"
        },
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="the role gives the file of the ids to root")
def test_requested_images_are_shipped_with_installation_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ship(tmp_path, tar(legacy()), monkeypatch)
    assert result.failed == ()
    assert (tmp_path / "ids-of-other").read_text() == f"{ID}\n"
    command = f"load --quiet --input {tmp_path}/tmp/fwbench-images-"
    assert (tmp_path / "loads").read_text().startswith(command)


@pytest.mark.parametrize("line", ["", f"{ID}; reboot"])
def test_invalid_installation_id_is_not_copied_to_other_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """Otherwise teardown there would remove containers and images with a label of that id."""
    result = ship(tmp_path, tar(legacy()), monkeypatch, f"{line}\n{ID}\n")
    assert [host.host for host in result.failed] == ["source"]
    assert "ids-of-source on source has a line that is no id" in (result.failed[0].error or "")
    assert not (tmp_path / "ids-of-other").exists()
    assert not (tmp_path / "loads").exists()


def test_targets_load_no_name_that_was_not_requested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ship(tmp_path, tar(legacy(extra=[OTHER])), monkeypatch)
    (source,) = result.failed
    assert source.host == "source"
    assert (
        "source sent images that no other target may load: its manifest.json contains"
        " 'nginx:latest', which was not asked for."
    ) in (source.error or "")
    assert not (tmp_path / "loads").exists()
