import re
from collections.abc import Iterator

from fwbench.model.record import HostFacts, SessionHeader
from fwbench.report.formatting import format_gibibytes, wrap


def host_lines(header: SessionHeader) -> str:
    """What the hosts are made of; those that are alike share a line."""
    targets = {rig.target.name for rig in header.rigs}
    alike: dict[tuple[str, str], list[str]] = {}
    for facts in header.facts:
        role = "Target" if facts.host in targets else "Client"
        alike.setdefault((role, _words(facts)), []).append(facts.host)
    lines = [
        wrap(f"{role}  {', '.join(names)}: {words}", hanging="  ")
        for (role, words), names in alike.items()
    ]
    lines.extend(_images(header))
    return "\n".join(lines)


def _words(facts: HostFacts) -> str:
    words = [
        f"{facts.cpus:g} CPU{'' if facts.cpus == 1 else 's'} ({facts.cpu_model})",
        format_gibibytes(facts.memory_bytes),
        f"{facts.system}, kernel {facts.kernel}, {facts.architecture}",
        f"cgroup v{facts.cgroup_version}",
    ]
    if facts.instance_type is not None:
        where = "" if facts.region is None else f" in {facts.region}"
        words.insert(0, f"{facts.instance_type}{where}")
    if facts.engine is not None:
        words.append(f"Docker {facts.engine}")
    if facts.h2load is not None:
        words.append(f"h2load {facts.h2load.removeprefix('h2load nghttp2/')}")
    return ", ".join(words)


def _images(header: SessionHeader) -> Iterator[str]:
    """Each image once: on hosts of one architecture they are the same, bit for bit."""
    images = dict.fromkeys(
        (image.name, f"{_digest(image.image_id)}, from {_digest(image.base)} ({image.base_origin})")
        for facts in header.facts
        for image in facts.images
        if image.name in header.suite.contenders
    )
    for contender, words in images:
        yield wrap(f"Image   {contender}: {words}", hanging="  ")


def _digest(text: str) -> str:
    """As many digits of a digest as people compare."""
    return re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]+", r"\1", text)
