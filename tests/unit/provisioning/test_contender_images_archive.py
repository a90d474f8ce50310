"""What one target sends to the others as images: archives made by hand, and a play that ships one.

A real engine's archive is shipped by `tests/lab/test_images_role.py`.
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


def legacy(tags: Sequence[str] = (TAG, CURRENT), more: Sequence[Any] = ()) -> Files:
    """What Docker writes until version 24."""
    config = f"{digest(CONFIG)}.json"
    image = {"Config": config, "RepoTags": list(tags), "Layers": [f"{V1}/layer.tar"]}
    return {
        V1: special(tarfile.DIRTYPE),
        f"{V1}/VERSION": b"1.0",
        f"{V1}/json": b"{}",
        f"{V1}/layer.tar": LAYER,
        config: CONFIG,
        "manifest.json": json.dumps([image, *more]).encode(),
        "repositories": b"{}",
    }


def oci(
    tags: Sequence[str] = (TAG, CURRENT),
    names: Sequence[str] = (f"docker.io/{TAG}", f"docker.io/{CURRENT}"),
    more: Sequence[Any] = (),
) -> Files:
    """What Docker writes since version 25, with either store."""
    image = {"Config": f"blobs/sha256/{digest(CONFIG)}", "RepoTags": list(tags)}
    entries = [
        {
            "digest": f"sha256:{digest(MANIFEST)}",
            "annotations": {NAME: name, REF: name.rpartition(":")[2]},
        }
        for name in names
    ]
    return {
        "blobs": special(tarfile.DIRTYPE),
        "blobs/sha256": special(tarfile.DIRTYPE),
        **{f"blobs/sha256/{digest(each)}": each for each in (CONFIG, LAYER, MANIFEST)},
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [*entries, *more]}).encode(),
        "manifest.json": json.dumps([image]).encode(),
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "repositories": b"{}",
    }


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def tar(files: Files, *later: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in [*files.items(), *later]:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo()
            info.name = name
            if isinstance(content, bytes):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def archive_error() -> Callable[..., str]:
    spec = importlib.util.spec_from_file_location(FILTER.stem, FILTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (function,) = module.FilterModule().filters().values()
    return function  # type: ignore[no-any-return]


ERROR = archive_error()


@pytest.fixture
def error(tmp_path: Path) -> Callable[..., str]:
    """Why a tar archive is not let through."""

    def of(content: bytes, present: dict[str, Any] = PRESENT) -> str:
        path = tmp_path / "images.tar.gz"
        path.write_bytes(gzip.compress(content, 1))
        return ERROR(str(path), [TAG, CURRENT], present)

    return of


@pytest.mark.parametrize(
    ("files", "present"),
    [
        (legacy(), PRESENT),
        (
            legacy() | {f"{'2' * 64}/layer.tar": special(tarfile.SYMTYPE, f"../{V1}/layer.tar")},
            PRESENT,
        ),
        (oci(), PRESENT),
        (oci(), BY_CONTAINERD),
        (legacy(), BY_CONTAINERD),
    ],
    ids=["until 24", "with a layer twice", "since 25", "containerd", "without an index"],
)
def test_what_docker_saves_is_let_through(
    error: Callable[..., str], files: Files, present: dict[str, Any]
) -> None:
    assert error(tar(files), present) == ""


OTHER = {"Config": f"{digest(CONFIG)}.json", "RepoTags": ["nginx:latest"], "Layers": []}
OF_OTHER = {"digest": f"sha256:{digest(MANIFEST)}"}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (legacy([TAG, CURRENT, "nginx:latest"]), "manifest.json contains 'nginx:latest', which"),
        (legacy(more=[OTHER]), "manifest.json contains 'nginx:latest', which was not"),
        (legacy(more=[OTHER | {"RepoTags": None}]), "contains 'an image without a name', which"),
        (legacy([TAG, TAG, CURRENT]), f"contains '{TAG}', which was not asked for"),
        (legacy([TAG]), f"its manifest.json does not contain {CURRENT}"),
        (legacy([TAG, f"docker.io/{CURRENT}"]), f"contains 'docker.io/{CURRENT}', which"),
        (oci([TAG, CURRENT, "nginx:latest"]), "manifest.json contains 'nginx:latest', which"),
        (
            oci(more=[OF_OTHER | {"annotations": {NAME: "docker.io/library/nginx:latest"}}]),
            "its index.json contains 'docker.io/library/nginx:latest', which was not asked for",
        ),
        (oci(more=[OF_OTHER | {"annotations": {REF: "nginx:latest"}}]), "'nginx:latest', which"),
        (oci(more=[OF_OTHER]), "its index.json contains 'an image without a name', which"),
        (oci(names=[f"docker.io/{TAG}"]), f"its index.json does not contain docker.io/{CURRENT}"),
        (oci(names=[TAG, CURRENT]), f"its index.json contains '{TAG}', which was not asked for"),
        ({"repositories": b'{"nginx": {"latest": "1"}}'}, "it contains no manifest.json"),
    ],
)  # fmt: skip
def test_another_name_than_was_asked_for_is_refused(
    error: Callable[..., str], files: Files, reason: str
) -> None:
    assert reason in error(tar(files))


def test_another_image_under_the_name_is_refused(error: Callable[..., str]) -> None:
    other = {name: image | {"id": f"sha256:{V1}"} for name, image in PRESENT.items()}
    assert error(tar(legacy()), other) == f"its manifest.json contains another image as {TAG}"
    other = {name: image | {"id": f"sha256:{V1}"} for name, image in BY_CONTAINERD.items()}
    assert error(tar(oci()), other) == f"its index.json contains another image as docker.io/{TAG}"


@pytest.mark.parametrize("files", [legacy(), oci()], ids=["until 24", "since 25"])
def test_content_that_is_not_what_its_name_says_is_refused(
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
        (tar(legacy() | {V1: special(tarfile.SYMTYPE, ".")}), f"it contains '{V1}' of type b'2'"),
        (
            tar(legacy() | {f"{V1}/layer.tar": special(tarfile.SYMTYPE, "../manifest.json")}),
            f"it contains '{V1}/layer.tar' of type b'2'",
        ),
        (
            tar(legacy() | {"repositories": special(tarfile.LNKTYPE, "manifest.json")}),
            "it contains 'repositories' of type b'1'",
        ),
        (tar(legacy() | {"manifest.json": special(tarfile.FIFOTYPE)}), "of type b'6'"),
        (tar(legacy()) + tar({"manifest.json": EVIL}), "it contains something after its end"),
        (tar(legacy())[:2000], "it is not a complete gzip file (it ends early)"),
        (b"x" * 2000, "it is not a tar archive"),
        (tar(legacy() | {"manifest.json": b"[" * 100_000}), "is not what `docker save` writes"),
        (tar(legacy() | {"manifest.json": b'[{"Config": 1}]'}), "is not what `docker save` writes"),
        (tar(oci() | {"index.json": b'{"manifests": [1]}'}), "is not what `docker save` writes"),
    ],
)
def test_no_list_can_be_replaced_or_hidden(
    error: Callable[..., str], content: bytes, reason: str
) -> None:
    assert reason in error(content)


def test_what_is_no_gzip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(tar(legacy()))
    assert "not a complete gzip" in ERROR(str(tmp_path / "plain"), [TAG, CURRENT], PRESENT)


SWOLLEN_BYTES = 1 << 28


def swollen(kind: bytes, name: str) -> tarfile.TarInfo:
    info = special(kind)
    info.name, info.size = name, SWOLLEN_BYTES
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
def test_an_archive_that_swells_does_not_fill_memory(
    tmp_path: Path, kind: bytes, name: str, reason: str
) -> None:
    path = tmp_path / "bomb"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(swollen(kind, name).tobuf())
        for _ in range(SWOLLEN_BYTES >> 20):
            file.write(bytes(1 << 20))
        file.write(bytes(tarfile.BLOCKSIZE))
    tracemalloc.start()
    try:
        assert reason in ERROR(str(path), [TAG, CURRENT], PRESENT)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_an_archive_of_a_great_many_files_is_refused(error: Callable[..., str]) -> None:
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


def shipped(
    folder: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch, ids: str = f"{ID}\n"
) -> PlayResult:
    """The role's way from one target to another; both are this machine, with a docker of ours."""
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
    places = {"contender_images_tmp_dir": str(folder / "tmp")}
    written = [
        {
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.include_role": role, "vars": places}],
        }
    ]
    (folder / "play.yml").write_text(yaml.safe_dump(written))
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
def test_the_images_that_were_asked_for_are_shipped_with_the_ids_of_installations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = shipped(tmp_path, tar(legacy()), monkeypatch)
    assert played.failed == ()
    assert (tmp_path / "ids-of-other").read_text() == f"{ID}\n"
    loaded = f"load --quiet --input {tmp_path}/tmp/fwbench-images-"
    assert (tmp_path / "loads").read_text().startswith(loaded)


@pytest.mark.parametrize("line", ["", f"{ID}; reboot"])
def test_what_is_no_id_of_an_installation_goes_to_no_other_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """Teardown would remove what another program labelled so."""
    played = shipped(tmp_path, tar(legacy()), monkeypatch, f"{line}\n{ID}\n")
    assert [host.host for host in played.failed] == ["source"]
    assert "ids-of-source on source has a line that is no id" in (played.failed[0].error or "")
    assert not (tmp_path / "ids-of-other").exists()
    assert not (tmp_path / "loads").exists()


def test_no_target_loads_a_name_that_was_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = shipped(tmp_path, tar(legacy(more=[OTHER])), monkeypatch)
    (source,) = played.failed
    assert source.host == "source"
    assert (
        "source sent images that no other target may load: its manifest.json contains"
        " 'nginx:latest', which was not asked for."
    ) in (source.error or "")
    assert not (tmp_path / "loads").exists()
