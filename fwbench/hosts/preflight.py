"""Read the facts of hosts, and check that they have what a session needs."""

import ipaddress
import json
import socket
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from pydantic import ValidationError

from fwbench import paths
from fwbench.agent.protocol import FACTS, Facts, command_line
from fwbench.errors import HostError, InventoryError, NotReadyError, ParseError
from fwbench.loadgen.registry import LOADGENS
from fwbench.loadgen.shares import divide_load
from fwbench.model.contender import Contender
from fwbench.model.host import Host, Rig, Target
from fwbench.model.record import HostFacts
from fwbench.model.setting import CpuMode
from fwbench.model.suite import Suite
from fwbench.ssh.remote import Remote

PROVISION_ADVICE = "run `fwbench provision` with this inventory"
FACTS_LIMIT_BYTES = 1 << 20
# What a load generator has open besides its connections. h2load 1.52 stops at 1017 of 1024 files;
# each thread needs some more.
OTHER_OPEN_FILES = 64


def load_address(target: Target) -> str:
    """Return the IP address on which a target publishes its contenders.

    Raise `InventoryError` if the inventory contains a name that does not resolve.
    """
    try:
        return str(ipaddress.ip_address(target.load_address))
    except ValueError:
        pass
    try:
        addresses = socket.getaddrinfo(target.load_address, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InventoryError(
            f"{target.name}: {target.load_address!r} does not resolve to an address ({error}); "
            "set fwbench_load_address to the address that clients load"
        ) from error
    return str(addresses[0][4][0])


def read_facts(
    remote: Remote,
    host: Host,
    folder: PurePosixPath,
    load_address: str | None = None,
    loadgens: Iterable[str] = (),
) -> HostFacts:
    """Return the facts of a host, from the agent in its `folder`.

    `load_address` is the address that a client will load. `loadgens` are the load generators whose
    versions are facts. For instance type and region, the
    inventory precedes what the host reports. Raise `HostError` if the facts are not valid.
    """
    needs_root = isinstance(host, Target)  # the Docker engine answers root alone
    argv = command_line(Facts(load_address, ",".join(loadgens)), folder)
    remote.check(argv, timeout_s=60, sudo=needs_root, within=folder)
    with paths.temporary_folder() as private:
        saved = private / FACTS
        remote.get(str(folder / FACTS), saved)
        try:
            if saved.stat().st_size > FACTS_LIMIT_BYTES:
                raise ValueError(f"more than {FACTS_LIMIT_BYTES} bytes")
            facts = {**json.loads(saved.read_text()), **_inventory_facts(host)}
            facts["versions"] = {
                name: LOADGENS[name].parse_version(str(printed))
                for name, printed in dict(facts.get("versions", {})).items()
                if name in LOADGENS
            }
            return HostFacts.model_validate_json(json.dumps(facts))
        except ValidationError as error:
            first = error.errors()[0]
            why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        except (TypeError, ValueError, RecursionError, ParseError) as error:
            why = str(error)
        raise HostError(f"{host.name}: its facts are not valid: {why}")


def _inventory_facts(host: Host) -> dict[str, object]:
    """Return the facts that the inventory contains."""
    facts: dict[str, object] = {"host": host.name, "price_per_hour": host.price_per_hour}
    for key in ("instance_type", "region"):
        if (value := getattr(host, key)) is not None:
            facts[key] = value
    return facts


class PreflightResult(NamedTuple):
    """The image ids by target and contender of usable rigs, and the errors of the others."""

    images: dict[tuple[str, str], str]
    errors: dict[str, NotReadyError]


def check_rigs(
    rigs: Sequence[Rig],
    facts: Sequence[HostFacts],
    contenders: Sequence[Contender],
    suite: Suite,
) -> PreflightResult:
    """Return which rigs have what the session needs; `facts` must contain all their hosts.

    A rig gets an error if a host lacks something, a port is in use, the target has fewer CPUs than
    the suite pins a container to, or its image of a contender differs from that of the first usable
    target of the same architecture.
    """
    facts_by_host = {fact.host: fact for fact in facts}
    images: dict[tuple[str, str], str] = {}
    errors: dict[str, NotReadyError] = {}
    references: dict[str, tuple[str, dict[str, str]]] = {}  # by architecture
    for rig in rigs:
        target = facts_by_host[rig.target.name]
        try:
            for number, client in enumerate(rig.clients):
                share = _max_connections(suite, number, len(rig.clients))
                _check_client(facts_by_host[client.name], suite, share)
            own_images = _images(target, contenders, _max_pinned_cpus(suite))
            reference = references.get(target.architecture, (target.host, own_images))
            _check_same_images(target, own_images, *reference)
        except NotReadyError as error:
            errors[rig.name] = error
            continue
        references.setdefault(target.architecture, (target.host, own_images))
        images |= {(target.host, contender): image for contender, image in own_images.items()}
    return PreflightResult(images=images, errors=errors)


def _max_connections(suite: Suite, number: int, clients: int) -> int:
    """Return the most connections that client `number` of a rig opens at the same time."""
    return max(divide_load(load, clients)[number].connections for load in suite.loads)


def _check_client(client: HostFacts, suite: Suite, connections: int) -> None:
    for name in suite.loadgens:
        if name not in client.versions:
            raise NotReadyError(
                f"{client.host}: there is no {name}; run `fwbench provision` with --loadgen {name}"
            )
    needed, limit = connections + OTHER_OPEN_FILES, client.open_files_limit
    if limit is not None and needed > limit:
        raise NotReadyError(
            f"{client.host}: {connections} connections need {needed} open files, and the login's"
            f" hard limit (`ulimit -Hn`) is {limit}; raise it, for example in"
            " /etc/security/limits.conf, add clients to the rig, or lower connections"
        )
    ports = client.local_ports
    if ports is not None and connections > ports:
        raise NotReadyError(
            f"{client.host}: {connections} connections need as many local ports, and"
            f" net.ipv4.ip_local_port_range leaves {ports}; widen it, add clients to the rig, or"
            " lower connections"
        )


def _max_pinned_cpus(suite: Suite) -> int:
    """Return the largest number of CPUs to which the suite pins a container."""
    pinned = (limits.cpus for limits in suite.limits if limits.cpu_mode is CpuMode.PINNED)
    return max((int(cpus or 0) for cpus in pinned), default=0)


def _images(target: HostFacts, contenders: Sequence[Contender], pinned_cpus: int) -> dict[str, str]:
    """Return the target's image ids by contender. Raise `NotReadyError` if it lacks something."""
    if target.engine is None:
        raise NotReadyError(f"{target.host}: no Docker engine answers; {PROVISION_ADVICE}")
    if len(target.cpu_numbers) < pinned_cpus:
        raise NotReadyError(
            f"{target.host}: has {len(target.cpu_numbers)} CPUs, the suite pins a container to"
            f" {pinned_cpus}; lower cpus in its limits"
        )
    image_ids = {image.name: image.image_id for image in reversed(target.images)}
    for contender in contenders:
        if contender.port in target.listening_ports:
            raise NotReadyError(
                f"{target.host}: port {contender.port} is in use, {contender.name} needs it; "
                "`ss -ltnp` on that host shows by what"
            )
        if contender.name not in image_ids:
            raise NotReadyError(f"{target.host}: no image of {contender.name}; {PROVISION_ADVICE}")
    return {contender.name: image_ids[contender.name] for contender in contenders}


def _check_same_images(
    target: HostFacts, images: dict[str, str], other: str, expected: dict[str, str]
) -> None:
    for contender, image in images.items():
        if image != expected[contender]:
            raise NotReadyError(
                f"{target.host}: its image of {contender} ({image[:19]}) is not that "
                f"of {other} ({expected[contender][:19]}); {PROVISION_ADVICE}"
            )
