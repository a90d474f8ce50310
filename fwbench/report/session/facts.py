"""The sentences about hosts and images."""

import re
from collections.abc import Iterator

from fwbench.model.record import HostFacts, SessionHeader
from fwbench.report.formatting import format_gibibytes, wrap


def host_lines(header: SessionHeader) -> str:
    """Return the sentences of `host_sentences`, wrapped to a page of text."""
    return "\n".join(wrap(sentence, hanging="  ") for sentence in host_sentences(header))


def host_sentences(header: SessionHeader) -> Iterator[str]:
    """Return the facts of all hosts, once for hosts with the same facts, then the images."""
    targets = {rig.target.name for rig in header.rigs}
    hosts_by_facts: dict[tuple[str, str], list[str]] = {}
    for facts in header.facts:
        role = "Target" if facts.host in targets else "Client"
        hosts_by_facts.setdefault((role, _description(facts)), []).append(facts.host)
    for (role, description), names in hosts_by_facts.items():
        yield f"{role} {', '.join(names)}: {description}"
    yield from _images(header)


def _description(facts: HostFacts) -> str:
    parts = [
        f"{facts.cpus:g} CPU{'' if facts.cpus == 1 else 's'} ({facts.cpu_model})",
        format_gibibytes(facts.memory_bytes),
        f"{facts.system}, kernel {facts.kernel}, {facts.architecture}",
        f"cgroup v{facts.cgroup_version}",
    ]
    if facts.instance_type is not None:
        region = "" if facts.region is None else f" in {facts.region}"
        parts.insert(0, f"{facts.instance_type}{region}")
    if facts.engine is not None:
        parts.append(f"Docker {facts.engine}")
    parts += [f"{name} {version}" for name, version in facts.versions.items()]
    return ", ".join(parts)


def _images(header: SessionHeader) -> Iterator[str]:
    """Return each image once: on hosts of one architecture, they have the same digest."""
    images = dict.fromkeys(
        (image.name, f"{_digest(image.image_id)}, from {_digest(image.base)} ({image.base_origin})")
        for facts in header.facts
        for image in facts.images
        if image.name in header.suite.contenders
    )
    for contender, description in images:
        yield f"Image {contender}: {description}"


def _digest(text: str) -> str:
    """Return the text with digests cut to twelve digits, as many as people compare."""
    return re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]+", r"\1", text)
