"""Hardware groups: rigs with the same fingerprint. Only runs of one group are pooled."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from fwbench.model.base import Frozen
from fwbench.model.fingerprint import Difference, RigFingerprint, rig_differences, rig_fingerprint
from fwbench.model.host import Rig
from fwbench.model.record import HostFacts, SessionHeader

_INSTANCE_TYPE = "instance type"


class HardwareGroup(Frozen):
    """Rigs with the same fingerprint: hosts, images and network path.

    `name` is the instance type of the targets, or what is known instead; it is unique. `cpus` and
    `price_per_hour` are those of one target. The price is None if it is unknown, or if the rigs
    have different prices.
    """

    name: str
    fingerprint: str
    rigs: tuple[str, ...]
    instance_type: str | None
    cpus: float | None
    price_per_hour: float | None
    several_prices: bool
    differences: tuple[Difference, ...] = Field(
        description="from the first group, whose values are `first`"
    )


def hardware_groups(header: SessionHeader) -> tuple[HardwareGroup, ...]:
    """Return the hardware groups of a session by price, CPUs and name; unknown prices come last."""
    facts = {host.host: host for host in header.facts}
    rigs_by_digest: dict[str, list[Rig]] = {}
    fingerprints: dict[str, RigFingerprint] = {}
    for rig in header.rigs:
        fingerprint = rig_fingerprint(rig, facts, header.suite.contenders)
        rigs_by_digest.setdefault(fingerprint.digest, []).append(rig)
        fingerprints[fingerprint.digest] = fingerprint
    names = _unique_names(rigs_by_digest, facts)
    ordered = sorted(
        (_group(names[digest], digest, rigs, facts) for digest, rigs in rigs_by_digest.items()),
        key=lambda group: (
            group.price_per_hour is None,
            group.price_per_hour or 0.0,
            group.cpus is None,
            group.cpus or 0.0,
            group.name,
        ),
    )
    first = fingerprints[ordered[0].fingerprint] if ordered else None
    return tuple(
        group.model_copy(
            update={"differences": rig_differences(first, fingerprints[group.fingerprint])}
        )
        for group in ordered
        if first is not None
    )


def other_differences(group: HardwareGroup) -> tuple[Difference, ...]:
    """Return the differences from the first group other than the targets' instance type."""
    return tuple(
        difference for difference in group.differences if difference.subject != _INSTANCE_TYPE
    )


def _group(
    name: str, digest: str, rigs: Sequence[Rig], facts: Mapping[str, HostFacts]
) -> HardwareGroup:
    target = facts.get(rigs[0].target.name)
    prices = {known.price_per_hour for rig in rigs if (known := facts.get(rig.target.name))}
    several_prices = len(prices) > 1
    return HardwareGroup(
        name=name,
        fingerprint=digest,
        rigs=tuple(rig.name for rig in rigs),
        instance_type=None if target is None else target.instance_type,
        cpus=None if target is None else target.cpus,
        price_per_hour=None if several_prices or not prices else next(iter(prices)),
        several_prices=several_prices,
        differences=(),
    )


def _unique_names(
    rigs_by_digest: Mapping[str, Sequence[Rig]], facts: Mapping[str, HostFacts]
) -> dict[str, str]:
    """Return for each fingerprint the shortest candidate that no other group has."""
    candidates = {digest: _candidates(rigs, facts) for digest, rigs in rigs_by_digest.items()}
    names = {}
    for digest, own in candidates.items():
        taken = {
            name for other, theirs in candidates.items() if other != digest for name in theirs[:-1]
        }
        names[digest] = next((name for name in own if name not in taken), own[-1])
    return names


def _candidates(rigs: Sequence[Rig], facts: Mapping[str, HostFacts]) -> list[str]:
    """Return possible names of a group, the shortest first. The last one is unique."""
    rig_names = ", ".join(rig.name for rig in rigs)
    target = facts.get(rigs[0].target.name)
    if target is None:
        return [rig_names]
    if target.instance_type is not None:
        instance_type = target.instance_type
        return [
            instance_type,
            f"{instance_type} ({target.cpu_model})",
            f"{instance_type} ({rig_names})",
        ]
    cpus = f"{target.cpus:g} CPU{'' if target.cpus == 1 else 's'}"
    by_cpus = [f"{cpus} ({target.cpu_model})", f"{cpus} ({rig_names})"]
    return [rigs[0].target.name, *by_cpus] if len(rigs) == 1 else by_cpus
