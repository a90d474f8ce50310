"""Whether hosts have what a session needs, asked before its first run."""

import ipaddress
import json
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pydantic import ValidationError

from fwbench.agent.protocol import FACTS, Facts, command_line
from fwbench.errors import HostError, InventoryError, NotReadyError, ParseError
from fwbench.loadgen.h2load import parse_version
from fwbench.model.contender import Contender
from fwbench.model.host import Host, Rig, Target
from fwbench.model.record import HostFacts
from fwbench.ssh.remote import Remote

PROVISION_ADVICE = "run `fwbench provision` with this inventory"
FACTS_LIMIT_BYTES = 1 << 20


def load_address(target: Target) -> str:
    """The address on which a target publishes its contenders, as numbers.

    Raises `InventoryError` where the name that the inventory gives is unknown.
    """
    try:
        return str(ipaddress.ip_address(target.load_address))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(target.load_address, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InventoryError(
            f"{target.name}: {target.load_address!r} is no address ({error}); "
            "set fwbench_load_address to the one that clients load"
        ) from error
    return str(found[0][4][0])


def read_facts(
    remote: Remote, host: Host, folder: PurePosixPath, load_address: str | None = None
) -> HostFacts:
    """What a host is made of, as the agent in `folder` on it finds out.

    `to` is the address that a client is going to load. What the inventory says of the machine goes
    before what the machine itself says.
    """
    root = isinstance(host, Target)  # the engine answers root alone
    argv = command_line(Facts(load_address), folder)
    remote.check(argv, timeout_s=60, sudo=root, within=folder)
    with tempfile.TemporaryDirectory(prefix="fwbench-") as private:
        saved = Path(private) / FACTS
        remote.get(str(folder / FACTS), saved)
        try:
            if saved.stat().st_size > FACTS_LIMIT_BYTES:
                raise ValueError(f"more than {FACTS_LIMIT_BYTES} bytes")
            given = {**json.loads(saved.read_text()), **_inventory_facts(host)}
            if given.get("h2load") is not None:
                given["h2load"] = parse_version(str(given["h2load"]))
            return HostFacts.model_validate_json(json.dumps(given))
        except ValidationError as error:
            first = error.errors()[0]
            why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        except (TypeError, ValueError, RecursionError, ParseError) as error:
            why = str(error)
        raise HostError(f"{host.name}: its facts make no sense: {why}")


def _inventory_facts(host: Host) -> dict[str, object]:
    """What the inventory says; of the price nobody else knows."""
    told: dict[str, object] = {"host": host.name, "price_per_hour": host.price_per_hour}
    for key in ("instance_type", "region"):
        if (value := getattr(host, key)) is not None:
            told[key] = value
    return told


class PreflightResult(NamedTuple):
    """Which rigs can be used: image ids by target and contender, and what troubles the others."""

    images: dict[tuple[str, str], str]
    errors: dict[str, NotReadyError]


def check_rigs(
    rigs: Sequence[Rig],
    facts: Sequence[HostFacts],
    contenders: Sequence[Contender],
    pinned_cpus: int,
) -> PreflightResult:
    """Which rigs have what the session needs; the facts of all their hosts must be known.

    A rig is in trouble where a host lacks something, where a port is taken, where its target has
    fewer CPUs than the `pinned_cpus` that one container is to have, or where it has another image
    of a contender than the first target of its architecture that is ready.
    """
    of = {fact.host: fact for fact in facts}
    images: dict[tuple[str, str], str] = {}
    troubles: dict[str, NotReadyError] = {}
    first: dict[str, tuple[str, dict[str, str]]] = {}
    for rig in rigs:
        target = of[rig.target.name]
        try:
            for client in rig.clients:
                _check_client(of[client.name])
            found = _images(target, contenders, pinned_cpus)
            _check_same_images(target, found, *first.get(target.architecture, (target.host, found)))
        except NotReadyError as error:
            troubles[rig.name] = error
            continue
        first.setdefault(target.architecture, (target.host, found))
        images |= {(target.host, contender): image for contender, image in found.items()}
    return PreflightResult(images=images, errors=troubles)


def _check_client(client: HostFacts) -> None:
    if client.h2load is None:
        raise NotReadyError(f"{client.host}: there is no h2load; {PROVISION_ADVICE}")


def _images(target: HostFacts, contenders: Sequence[Contender], pinned_cpus: int) -> dict[str, str]:
    """The ids of the images by contender, on a target on which all else is well."""
    if target.engine is None:
        raise NotReadyError(f"{target.host}: no Docker engine answers; {PROVISION_ADVICE}")
    if len(target.cpu_numbers) < pinned_cpus:
        raise NotReadyError(
            f"{target.host}: has {len(target.cpu_numbers)} CPUs, the suite pins a container to"
            f" {pinned_cpus}; lower cpus in its limits"
        )
    there = {image.name: image.image_id for image in reversed(target.images)}
    for contender in contenders:
        if contender.port in target.listening_ports:
            raise NotReadyError(
                f"{target.host}: port {contender.port} is in use, {contender.name} needs it; "
                "`ss -ltnp` on that host shows by what"
            )
        if contender.name not in there:
            raise NotReadyError(f"{target.host}: no image of {contender.name}; {PROVISION_ADVICE}")
    return {contender.name: there[contender.name] for contender in contenders}


def _check_same_images(
    target: HostFacts, found: dict[str, str], other: str, expected: dict[str, str]
) -> None:
    for contender, image in found.items():
        if image != expected[contender]:
            raise NotReadyError(
                f"{target.host}: its image of {contender} ({image[:19]}) is not that "
                f"of {other} ({expected[contender][:19]}); {PROVISION_ADVICE}"
            )
