"""Whether hosts have what a session needs, asked before its first run."""

import ipaddress
import json
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from fwbench.errors import HostError, InventoryError, NotReadyError, ParseError
from fwbench.loadgen.h2load import parse_version
from fwbench.model.contender import Contender
from fwbench.model.host import Host, Rig, Target
from fwbench.model.record import HostFacts
from fwbench.remote import Remote

PROVISION = "run `fwbench provision` with this inventory"


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


def facts(remote: Remote, host: Host, folder: PurePosixPath) -> HostFacts:
    """What a host is made of, as the agent in `folder` on it finds out."""
    root = isinstance(host, Target)  # the engine answers root alone
    argv = ["python3", "-I", str(folder / "agent.pyz"), "facts", str(folder)]
    remote.check(argv, timeout_s=60, sudo=root)
    with tempfile.TemporaryDirectory(prefix="fwbench-") as private:
        to = Path(private) / "facts.json"
        remote.get(str(folder / "facts.json"), to)
        try:
            given = {"host": host.name, **json.loads(to.read_text())}
            if given.get("h2load") is not None:
                given["h2load"] = parse_version(str(given["h2load"]))
            return HostFacts.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        except (TypeError, ValueError, ParseError) as error:
            why = str(error)
        raise HostError(f"{host.name}: its facts make no sense: {why}")


def check(
    rigs: Sequence[Rig],
    facts: Sequence[HostFacts],
    contenders: Sequence[Contender],
    pinned_cpus: int,
) -> dict[tuple[str, str], str]:
    """The image id of each contender on each target: {(target, contender): id}.

    Raises `NotReadyError` where a host lacks something, where a port is taken, where hosts of one
    architecture have different images of a contender, or where a target has fewer CPUs than the
    `pinned_cpus` that one container is to have.
    """
    of = {fact.host: fact for fact in facts}
    images: dict[tuple[str, str], str] = {}
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for rig in rigs:
        for client in rig.clients:
            if of[client.name].h2load is None:
                raise NotReadyError(f"{client.name}: there is no h2load; {PROVISION}")
        target = of[rig.target.name]
        if target.engine is None:
            raise NotReadyError(f"{target.host}: no Docker engine answers; {PROVISION}")
        if len(target.cpu_numbers) < pinned_cpus:
            raise NotReadyError(
                f"{target.host}: has {len(target.cpu_numbers)} CPUs, the suite pins a container to"
                f" {pinned_cpus}; lower cpus in its limits"
            )
        for contender in contenders:
            if contender.port in target.listening:
                raise NotReadyError(
                    f"{target.host}: port {contender.port} is in use, {contender.name} needs it; "
                    "`ss -ltnp` on that host shows by what"
                )
            found = [image.image_id for image in target.images if image.name == contender.name]
            if not found:
                raise NotReadyError(f"{target.host}: no image of {contender.name}; {PROVISION}")
            images[target.host, contender.name] = found[0]
            other, expected = first.setdefault(
                (target.architecture, contender.name), (target.host, found[0])
            )
            if found[0] != expected:
                raise NotReadyError(
                    f"{target.host}: its image of {contender.name} ({found[0][:19]}) is not that "
                    f"of {other} ({expected[:19]}); {PROVISION}"
                )
    return images
