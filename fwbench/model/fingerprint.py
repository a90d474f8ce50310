"""What a record was measured on, so that nothing is pooled that was measured on something else.

The fingerprint of a host is what may change a figure: not where it stands, what it costs or what
listens on it. The limits of a container are in the trial's id, and no two trials are ever pooled.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Mapping

from fwbench.model.base import Frozen
from fwbench.model.host import Rig
from fwbench.model.record import HostFacts


class Fingerprint(Frozen):
    """Of one host: by subject, its words; none where the host does not tell."""

    parts: dict[str, tuple[str, ...]]

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits, which equal fingerprints share."""
        return _digest(self.model_dump_json())


class RigFingerprint(Frozen):
    """Of a target, and of its clients in an order that does not depend on their names."""

    target: Fingerprint
    clients: tuple[Fingerprint, ...]

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits, which equal rigs share."""
        return _digest(self.model_dump_json())


class Difference(Frozen):
    """What differs, and how it is on either side; of lists, only what the other has not."""

    subject: str
    first: str
    second: str


def host_fingerprint(facts: HostFacts, contenders: Collection[str]) -> Fingerprint:
    """What a host is made of, with the images of these contenders, as far as it has them.

    Memory is taken to the nearest of the sizes that are sold, because a kernel keeps a part of it
    for itself, and not always the same.
    """
    single = {
        "instance type": facts.instance_type,
        "CPU model": facts.cpu_model,
        "CPUs": f"{facts.cpus:g}",
        "memory": _nearest_size(facts.memory_bytes),
        "architecture": facts.architecture,
        "system": facts.system,
        "kernel": facts.kernel,
        "cgroup version": str(facts.cgroup_version),
        "engine": facts.engine,
        "h2load": facts.h2load,
        "network path": facts.network_path,
    }
    parts: dict[str, tuple[str, ...]] = {
        what: (value,) for what, value in single.items() if value is not None
    }
    parts["CPU flags"] = tuple(sorted(facts.cpu_flags))
    parts["mitigations"] = tuple(f"{of}: {how}" for of, how in sorted(facts.mitigations.items()))
    for image in sorted(facts.images, key=lambda image: image.name):
        if image.name in contenders:
            parts[f"image of {image.name}"] = (image.image_id,)
            parts[f"base of {image.name}"] = (image.base, image.base_origin)
    return Fingerprint(parts={what: words for what, words in parts.items() if words})


def rig_fingerprint(
    rig: Rig, facts: Mapping[str, HostFacts], contenders: Collection[str]
) -> RigFingerprint:
    """What a rig is made of, by its hosts' facts; one whose host has none is like no other rig."""

    def of(name: str, images: Collection[str]) -> Fingerprint:
        if name not in facts:
            return Fingerprint(parts={"facts": (f"none of {name}",)})
        return host_fingerprint(facts[name], images)

    clients = (of(client.name, ()) for client in rig.clients)
    return RigFingerprint(
        target=of(rig.target.name, contenders),
        clients=tuple(sorted(clients, key=lambda client: sorted(client.parts.items()))),
    )


def host_differences(one: Fingerprint, other: Fingerprint) -> tuple[Difference, ...]:
    """In what two hosts differ, subject by subject; nothing if they are alike."""
    found = []
    for what in dict.fromkeys((*one.parts, *other.parts)):
        here, there = Counter(one.parts.get(what, ())), Counter(other.parts.get(what, ()))
        if here != there:
            found.append(
                Difference(subject=what, first=_words(here - there), second=_words(there - here))
            )
    return tuple(found)


def fingerprint_changes(
    before: HostFacts, now: HostFacts, contenders: Collection[str]
) -> tuple[Difference, ...]:
    """In what a host is no longer what it was, the images of these contenders among it."""
    return host_differences(host_fingerprint(before, contenders), host_fingerprint(now, contenders))


def rig_differences(one: RigFingerprint, other: RigFingerprint) -> tuple[Difference, ...]:
    """In what two rigs differ: their targets, then their clients."""
    found = list(host_differences(one.target, other.target))
    if len(one.clients) != len(other.clients):
        found.append(
            Difference(
                subject="clients", first=str(len(one.clients)), second=str(len(other.clients))
            )
        )
        return tuple(found)
    of_clients = (
        difference.model_copy(update={"subject": f"client's {difference.subject}"})
        for here, there in zip(one.clients, other.clients, strict=True)
        for difference in host_differences(here, there)
    )
    return (*found, *dict.fromkeys(of_clients))


def _nearest_size(memory_bytes: int) -> str:
    """The nearest of 1, 1.5, 2, 3, 4, 6, 8, … MiB, by its ratio."""
    mebibytes = max(memory_bytes / 2**20, 1.0)
    octave = 2 ** math.floor(math.log2(mebibytes))
    size = min((octave, 1.5 * octave, 2 * octave), key=lambda size: abs(math.log(mebibytes / size)))
    return f"about {size / 1024:g} GiB" if size >= 1024 else f"about {size:g} MiB"


def _words(words: Counter[str]) -> str:
    return ", ".join(sorted(words.elements())) or "none"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
