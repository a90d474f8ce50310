"""Filter of the role `contender_images`: whether an archive contains the expected images alone.

`docker load` loads every image and every name that an archive contains. The target that saved it
is not trusted with that, so the controller reads the archive before other targets get it. Nothing
is unpacked, and memory is bounded: tarfile alone would read headers of any size.
"""

import gzip
import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

BLOCK_BYTES = tarfile.BLOCKSIZE
CHUNK_BYTES = 1 << 20
MAX_LIST_BYTES = 1 << 20
MAX_MEMBERS = 10_000
UNNAMED = "an image without a name"
# What `docker save` writes: lists, then content by digest (since Docker 25), or a file and a folder
# for each layer. Any other name could overwrite a list when it is unpacked.
HEX = "[0-9a-f]{64}"
BY_DIGEST = re.compile(rf"blobs/sha256/(?P<blob>{HEX})|(?P<config>{HEX})\.json")
FILES = re.compile(
    rf"manifest\.json|index\.json|repositories|oci-layout|{BY_DIGEST.pattern}"
    rf"|{HEX}/(VERSION|json|layer\.tar)"
)
FOLDERS = re.compile(rf"blobs|blobs/sha256|{HEX}")
LINK, LINK_TARGET = re.compile(rf"{HEX}/layer\.tar"), re.compile(rf"\.\./{HEX}/layer\.tar")


class FilterModule:
    """The entry point of Ansible."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"contender_images_archive_error": archive_error}


class _RefusedError(Exception):
    """The archive is not what `docker save` writes of the expected images."""


class _Member(NamedTuple):
    name: str
    size: int


def archive_error(path: str, saved: Sequence[str], present: Mapping[str, Any]) -> str:
    """Return why the compressed archive must not be loaded, or an empty string.

    `saved` has the names of its images; `present` is what its target has by that name.
    """
    images = {name: present[name] for name in saved if name in present}
    try:
        with gzip.open(path) as stream:
            lists = _read(stream)
        if "manifest.json" not in lists:
            raise _RefusedError("it contains no manifest.json")
        for file, content in lists.items():
            _check_list(file, content, images)
    except _RefusedError as refused:
        return str(refused)
    except (OSError, EOFError, zlib.error) as error:
        return f"it is not a complete gzip file ({error})"
    return ""


def _read(stream: gzip.GzipFile) -> dict[str, bytes]:
    """Return the archive's lists. Raise `_RefusedError` for what `docker save` does not write."""
    seen: set[str] = set()
    lists = {}
    for member in _members(stream):
        if member.name in seen or len(seen) == MAX_MEMBERS:
            raise _RefusedError(f"it contains {member.name} twice, or over {MAX_MEMBERS} files")
        seen.add(member.name)
        if member.name in LISTED:
            if member.size > MAX_LIST_BYTES:
                raise _RefusedError(f"its {member.name} has {member.size} bytes")
            lists[member.name] = _exactly(stream, member.size)
        else:
            _check_digest(stream, member)
        _exactly(stream, -member.size % BLOCK_BYTES)
    return lists


def _members(stream: gzip.GzipFile) -> Iterator[_Member]:
    """Yield each file, whose content has to be read before the next one. Raise `_RefusedError`."""
    while any(header := _exactly(stream, BLOCK_BYTES)):
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise _RefusedError(f"it is not a tar archive ({error})") from None
        name = info.name.removesuffix("/")
        if info.isreg() and FILES.fullmatch(name) and info.size >= 0:
            yield _Member(name, info.size)
        elif not (
            (info.isdir() and FOLDERS.fullmatch(name))
            or (info.issym() and LINK.fullmatch(name) and LINK_TARGET.fullmatch(info.linkname))
        ):
            raise _RefusedError(f"it contains {info.name!r:.80} of type {info.type!r}")
        else:
            yield _Member(name, 0)
    while chunk := stream.read(CHUNK_BYTES):
        if any(chunk):
            raise _RefusedError("it contains something after its end")


def _exactly(stream: gzip.GzipFile, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError("it ends early")
    return content


def _check_digest(stream: gzip.GzipFile, member: _Member) -> None:
    """Read a file. Raise `_RefusedError` if its name is a digest, but not of its content."""
    digest, left = hashlib.sha256(), member.size
    while left:
        chunk = _exactly(stream, min(left, CHUNK_BYTES))
        digest.update(chunk)
        left -= len(chunk)
    named = BY_DIGEST.fullmatch(member.name)
    if named and digest.hexdigest() not in named.groups():
        raise _RefusedError(f"{member.name} has another content than its name says")


def _names_in_manifest(images: Any) -> Iterator[tuple[str, str]]:
    """Yield each name that Docker's own store would load, and the digest of its configuration."""
    for image in images:
        named = BY_DIGEST.fullmatch(image["Config"])
        digest = f"sha256:{named['blob'] or named['config']}" if named else image["Config"]
        for name in image["RepoTags"] or [UNNAMED]:
            yield name, digest


def _names_in_index(index: Any) -> Iterator[tuple[str, str]]:
    """Yield each name that containerd's store would load, and the digest of its manifest."""
    for image in index["manifests"]:
        annotations = image.get("annotations") or {}
        name = str(annotations.get("io.containerd.image.name", UNNAMED))
        tag = annotations.get("org.opencontainers.image.ref.name")
        yield (name if tag in (None, name.rpartition(":")[2]) else str(tag)), image["digest"]


# How names are written in each list, and whether its digests are the ids of containerd's store.
LISTED = {
    "manifest.json": (_names_in_manifest, "", False),
    "index.json": (_names_in_index, "docker.io/", True),
}


def _check_list(file: str, content: bytes, images: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `_RefusedError` unless a list contains these images, each once, and no other."""
    names_in, prefix, by_containerd = LISTED[file]
    expected = {prefix + name: image for name, image in images.items()}
    try:
        found = list(names_in(json.loads(content)))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise _RefusedError(
            f"its {file} is not what `docker save` writes ({error!r:.80})"
        ) from None
    for name, digest in found:
        if (image := expected.pop(name, None)) is None:
            raise _RefusedError(f"its {file} contains {name!r:.80}, which was not asked for")
        if image["by_containerd"] == by_containerd and image["id"] != digest:
            raise _RefusedError(f"its {file} contains another image as {name}")
    if expected:
        raise _RefusedError(f"its {file} does not contain {', '.join(expected)}")
