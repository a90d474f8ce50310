"""Rigs that are alike: only what was measured on these may be pooled."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.fingerprint import Difference, RigFingerprint, rig_differences, rig_fingerprint
from fwbench.model.host import Rig
from fwbench.model.record import HostFacts, SessionHeader

_INSTANCE_TYPE = "instance type"


class HardwareGroup(Frozen):
    """Rigs with the same fingerprint: hosts, images and network path.

    `name` is the instance type of the targets, or what is known instead; two kinds never share it.
    `cpus` and `price_per_hour` are those of one target; the price is None where none is known, or
    where the rigs have several.
    """

    name: str
    fingerprint: str
    rigs: tuple[str, ...]
    instance_type: str | None
    cpus: float | None
    price_per_hour: float | None
    several_prices: bool
    differences: tuple[Difference, ...] = Field(description="from the first kind, which is `one`")


def hardware_groups(header: SessionHeader) -> tuple[HardwareGroup, ...]:
    """The kinds of rigs of a session: by price, those of unknown price last, then CPUs and name."""
    facts = {one.host: one for one in header.facts}
    alike: dict[str, list[Rig]] = {}
    prints: dict[str, RigFingerprint] = {}
    for rig in header.rigs:
        found = rig_fingerprint(rig, facts, header.suite.contenders)
        alike.setdefault(found.digest, []).append(rig)
        prints[found.digest] = found
    names = _names(alike, facts)
    ordered = sorted(
        (_kind(names[digest], digest, rigs, facts) for digest, rigs in alike.items()),
        key=lambda kind: (
            kind.price_per_hour is None,
            kind.price_per_hour or 0.0,
            kind.cpus is None,
            kind.cpus or 0.0,
            kind.name,
        ),
    )
    first = prints[ordered[0].fingerprint] if ordered else None
    return tuple(
        kind.model_copy(update={"differences": rig_differences(first, prints[kind.fingerprint])})
        for kind in ordered
        if first is not None
    )


def other_differences(kind: HardwareGroup) -> tuple[Difference, ...]:
    """What differs from the first kind besides the instance type of the targets."""
    return tuple(one for one in kind.differences if one.subject != _INSTANCE_TYPE)


def _kind(
    name: str, digest: str, rigs: Sequence[Rig], facts: Mapping[str, HostFacts]
) -> HardwareGroup:
    known = facts.get(rigs[0].target.name)
    prices = {one.price_per_hour for rig in rigs if (one := facts.get(rig.target.name))}
    several = len(prices) > 1
    return HardwareGroup(
        name=name,
        fingerprint=digest,
        rigs=tuple(rig.name for rig in rigs),
        instance_type=None if known is None else known.instance_type,
        cpus=None if known is None else known.cpus,
        price_per_hour=None if several or not prices else next(iter(prices)),
        several_prices=several,
        differences=(),
    )


def _names(alike: Mapping[str, Sequence[Rig]], facts: Mapping[str, HostFacts]) -> dict[str, str]:
    """By fingerprint: the shortest of several names that no other kind has."""
    choices = {digest: _choices(rigs, facts) for digest, rigs in alike.items()}
    names = {}
    for digest, own in choices.items():
        others = {name for other, of in choices.items() if other != digest for name in of[:-1]}
        names[digest] = next((name for name in own if name not in others), own[-1])
    return names


def _choices(rigs: Sequence[Rig], facts: Mapping[str, HostFacts]) -> list[str]:
    together = ", ".join(rig.name for rig in rigs)
    known = facts.get(rigs[0].target.name)
    if known is None:
        return [together]
    size = f"{known.cpus:g} CPU{'' if known.cpus == 1 else 's'}"
    if known.instance_type is not None:
        first = known.instance_type
        return [first, f"{first} ({known.cpu_model})", f"{first} ({together})"]
    words = [f"{size} ({known.cpu_model})", f"{size} ({together})"]
    return [rigs[0].target.name, *words] if len(rigs) == 1 else words
