"""Fingerprints of hosts and rigs: only records of rigs with equal fingerprints are pooled.

A host's fingerprint contains every fact that may change a figure, but not its region, price or
listening ports. The limits of a container are part of the trial's id; trials are never pooled.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Mapping

from fwbench.model.base import Frozen
from fwbench.model.host import Rig
from fwbench.model.record import HostFacts


class Fingerprint(Frozen):
    """The fingerprint of a host: values by subject; unknown subjects are absent."""

    parts: dict[str, tuple[str, ...]]

    @property
    def digest(self) -> str:
        """Return twelve hexadecimal digits, the same for equal fingerprints."""
        return _digest(self.model_dump_json())


class RigFingerprint(Frozen):
    """The fingerprints of a target and its clients, in an order independent of their names."""

    target: Fingerprint
    clients: tuple[Fingerprint, ...]

    @property
    def digest(self) -> str:
        """Return twelve hexadecimal digits, the same for equal rigs."""
        return _digest(self.model_dump_json())


class Difference(Frozen):
    """A difference between two hosts; for lists, the entries that the other one lacks."""

    subject: str
    first: str
    second: str


def host_fingerprint(facts: HostFacts, contenders: Collection[str]) -> Fingerprint:
    """Return the fingerprint of a host, with those of its images that belong to the contenders.

    Memory is rounded to the nearest common size, because kernels reserve varying amounts.
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
        **facts.versions,
        "network path": facts.network_path,
    }
    parts: dict[str, tuple[str, ...]] = {
        subject: (value,) for subject, value in single.items() if value is not None
    }
    parts["CPU flags"] = tuple(sorted(facts.cpu_flags))
    parts["mitigations"] = tuple(
        f"{vulnerability}: {mitigation}"
        for vulnerability, mitigation in sorted(facts.mitigations.items())
    )
    for image in sorted(facts.images, key=lambda image: image.name):
        if image.name in contenders:
            parts[f"image of {image.name}"] = (image.image_id,)
            parts[f"base of {image.name}"] = (image.base, image.base_origin)
    return Fingerprint(parts={subject: values for subject, values in parts.items() if values})


def rig_fingerprint(
    rig: Rig, facts: Mapping[str, HostFacts], contenders: Collection[str]
) -> RigFingerprint:
    """Return the fingerprint of a rig. A rig with a host without facts equals no other rig."""

    def fingerprint(name: str, images: Collection[str]) -> Fingerprint:
        if name not in facts:
            return Fingerprint(parts={"facts": (f"none of {name}",)})
        return host_fingerprint(facts[name], images)

    clients = (fingerprint(client.name, ()) for client in rig.clients)
    return RigFingerprint(
        target=fingerprint(rig.target.name, contenders),
        clients=tuple(sorted(clients, key=lambda client: sorted(client.parts.items()))),
    )


def host_differences(first: Fingerprint, second: Fingerprint) -> tuple[Difference, ...]:
    """Return the differences between two hosts, subject by subject."""
    differences = []
    for subject in dict.fromkeys((*first.parts, *second.parts)):
        in_first = Counter(first.parts.get(subject, ()))
        in_second = Counter(second.parts.get(subject, ()))
        if in_first != in_second:
            differences.append(
                Difference(
                    subject=subject,
                    first=_join(in_first - in_second),
                    second=_join(in_second - in_first),
                )
            )
    return tuple(differences)


def fingerprint_changes(
    before: HostFacts, now: HostFacts, contenders: Collection[str]
) -> tuple[Difference, ...]:
    """Return what changed on a host, including the images of the contenders."""
    return host_differences(host_fingerprint(before, contenders), host_fingerprint(now, contenders))


def rig_differences(first: RigFingerprint, second: RigFingerprint) -> tuple[Difference, ...]:
    """Return the differences between two rigs: those of their targets, then of their clients."""
    differences = list(host_differences(first.target, second.target))
    if len(first.clients) != len(second.clients):
        differences.append(
            Difference(
                subject="clients", first=str(len(first.clients)), second=str(len(second.clients))
            )
        )
        return tuple(differences)
    client_differences = (
        difference.model_copy(update={"subject": f"client's {difference.subject}"})
        for clients in zip(first.clients, second.clients, strict=True)
        for difference in host_differences(*clients)
    )
    return (*differences, *dict.fromkeys(client_differences))


def _nearest_size(memory_bytes: int) -> str:
    """Return the nearest of 1, 1.5, 2, 3, 4, 6, 8, … MiB, by ratio."""
    mebibytes = max(memory_bytes / 2**20, 1.0)
    octave = 2 ** math.floor(math.log2(mebibytes))
    size = min((octave, 1.5 * octave, 2 * octave), key=lambda size: abs(math.log(mebibytes / size)))
    return f"about {size / 1024:g} GiB" if size >= 1024 else f"about {size:g} MiB"


def _join(values: Counter[str]) -> str:
    return ", ".join(sorted(values.elements())) or "none"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
