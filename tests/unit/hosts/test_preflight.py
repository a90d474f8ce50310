import socket
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import pytest
from builders import FASTAPI, FLASK, header, rig, suite
from fakes import FakeHost

from fwbench.errors import HostError, InventoryError, NotReadyError
from fwbench.hosts import preflight
from fwbench.model.contender import Contender
from fwbench.model.host import Rig
from fwbench.model.record import HostFacts, ImageFacts

FOLDER = PurePosixPath("/var/tmp/fwbench-s")


def image(contender: str, digest: str = "0123456789abcdef") -> ImageFacts:
    return ImageFacts(
        name=contender,
        image_id=f"sha256:{digest}",
        base="python:3.13-slim",
        base_origin="registry",
        packages=(),
    )


def target(name: str = "one", **changes: Any) -> HostFacts:
    values = {"host": f"{name}-target", "images": (image("flask"), image("fastapi", "fa"))}
    return header().facts[0].model_copy(update=values | changes)


def client(name: str = "one", **changes: Any) -> HostFacts:
    return header().facts[1].model_copy(update={"host": f"{name}-client"} | changes)


def check(
    *facts: HostFacts,
    rigs: Sequence[Rig] = (rig(),),
    contenders: Sequence[Contender] = (FLASK, FASTAPI),
) -> preflight.PreflightResult:
    return preflight.check_rigs(rigs, facts, contenders, suite())


def only_error(*facts: HostFacts) -> NotReadyError:
    result = check(*facts)
    assert result.images == {}
    (error,) = result.errors.values()
    return error


def test_hosts_that_have_everything_are_ready() -> None:
    assert check(target(), client()) == (
        {
            ("one-target", "flask"): "sha256:0123456789abcdef",
            ("one-target", "fastapi"): "sha256:fa",
        },
        {},
    )


def test_images_of_other_contenders_are_omitted() -> None:
    assert set(check(target(), client(), contenders=(FLASK,)).images) == {("one-target", "flask")}


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            (target(), client(versions={})),
            "one-client: there is no h2load; run `fwbench provision` with --loadgen h2load",
        ),
        (
            (target(engine=None), client()),
            "one-target: no Docker engine answers; run `fwbench provision` with this inventory",
        ),
        (
            (target(listening_ports=(22, 8001)), client()),
            "one-target: port 8001 is in use, flask needs it; "
            "`ss -ltnp` on that host shows by what",
        ),
        (
            (target(images=(image("flask"),)), client()),
            "one-target: no image of fastapi; run `fwbench provision` with this inventory",
        ),
        (
            (target(cpu_numbers=()), client()),
            "one-target: has 0 CPUs, the suite pins a container to 1; lower cpus in its limits",
        ),
    ],
    ids=["h2load", "engine", "port", "image", "cpus"],
)
def test_missing_requirement_is_reported_with_advice(
    facts: tuple[HostFacts, ...], sentence: str
) -> None:
    assert str(only_error(*facts)) == sentence


def test_ports_in_use_on_the_client_do_not_matter() -> None:
    assert check(target(), client(listening_ports=(8001, 8002))).errors == {}


def facts_of_two_rigs(**second: Any) -> tuple[HostFacts, ...]:
    return target("a"), client("a"), target("b", **second), client("b")


OTHER_IMAGES = (image("flask", "fedcba9876543210"), image("fastapi", "fa"))


def test_images_must_be_equal_within_an_architecture() -> None:
    result = check(*facts_of_two_rigs(images=OTHER_IMAGES), rigs=(rig("a"), rig("b")))
    assert {name: str(error) for name, error in result.errors.items()} == {
        "b": "b-target: its image of flask (sha256:fedcba987654) is not that of a-target "
        "(sha256:0123456789ab); run `fwbench provision` with this inventory"
    }
    assert {host for host, _ in result.images} == {"a-target"}


def test_images_are_not_compared_with_those_of_a_failed_rig() -> None:
    facts = target("a", images=OTHER_IMAGES), client("a", versions={}), target("b"), client("b")
    result = check(*facts, rigs=(rig("a"), rig("b")))
    assert set(result.errors) == {"a"}
    assert result.images["b-target", "flask"] == "sha256:0123456789abcdef"


def test_every_failed_rig_is_reported() -> None:
    facts = target("a", engine=None), client("a"), target("b", images=()), client("b")
    result = check(*facts, rigs=(rig("a"), rig("b")))
    assert list(result.errors) == ["a", "b"]
    assert result.images == {}


def test_images_may_differ_between_architectures() -> None:
    other = (image("flask", "a4"), image("fastapi", "fa"))
    result = check(
        *facts_of_two_rigs(images=other, architecture="aarch64"), rigs=(rig("a"), rig("b"))
    )
    assert result.images["b-target", "flask"] == "sha256:a4"
    assert result.errors == {}


# Addresses


def load_address(address: str) -> str:
    return preflight.load_address(rig().target.model_copy(update={"load_address": address}))


@pytest.mark.parametrize("address", ["192.0.2.1", "::1", "fd00::1"])
def test_numeric_address_is_unchanged(address: str) -> None:
    assert load_address(address) == address


def test_name_is_resolved_to_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    assert load_address("server.example") == "192.0.2.7"


@pytest.mark.parametrize("name", ["nobody.invalid", "a..b", "x" * 70 + ".invalid"])
def test_name_that_does_not_resolve_is_an_inventory_error(name: str) -> None:
    with pytest.raises(InventoryError, match=r"one-target: .* set fwbench_load_address"):
        load_address(name)


# Facts


def read_facts(host: Any, facts: object, name: str = "one-target") -> HostFacts:
    remote = FakeHost(name)
    remote.folders.add(str(FOLDER))
    remote.files[str(FOLDER / "agent.pyz")] = b"the agent"
    remote.facts = facts  # type: ignore[assignment]
    return preflight.read_facts(remote, host, FOLDER)


def test_facts_are_read_from_the_agent() -> None:
    reported = target().model_dump(mode="json", exclude={"host"})
    assert read_facts(rig().target, reported) == target()


@pytest.mark.parametrize(
    "facts",
    [{}, [], None, {"cpus": "many"}, {"surprise": 1}, {"versions": {"h2load": "garbage\n"}}],
)
def test_invalid_facts_are_reported_in_one_line(facts: object) -> None:
    with pytest.raises(HostError, match="one-target: its facts are not valid") as error:
        read_facts(rig().target, facts)
    assert "\n" not in str(error.value)


def test_version_of_h2load_is_recorded_without_its_name() -> None:
    versions = {"h2load": "h2load nghttp2/1.64.0"}
    reported = target(versions=versions).model_dump(mode="json", exclude={"host"})
    assert read_facts(rig().target, reported).versions == {"h2load": "1.64.0"}


def test_inventory_overrides_metadata_service() -> None:
    reported = {
        **target().model_dump(mode="json", exclude={"host"}),
        "instance_type": "m7i.large",
        "region": "eu-west-1",
        "price_per_hour": 99,
    }
    host = rig().target
    agent_only = read_facts(host, reported)
    assert (agent_only.instance_type, agent_only.region, agent_only.price_per_hour) == (
        "m7i.large",
        "eu-west-1",
        None,
    )
    inventory = {"instance_type": "small", "region": "lab", "price_per_hour": 0.01}
    merged = read_facts(host.model_copy(update=inventory), reported)
    assert merged.model_dump(include=set(inventory)) == inventory


def test_size_of_facts_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "FACTS_LIMIT_BYTES", 100)
    with pytest.raises(HostError, match="its facts are not valid: more than 100 bytes"):
        read_facts(rig().target, {"system": "x" * 100})


def test_client_is_queried_for_route_and_load_generators() -> None:
    remote = FakeHost("one-client")
    remote.folders.add(str(FOLDER))
    remote.files[str(FOLDER / "agent.pyz")] = b"the agent"
    remote.facts = client(versions={}).model_dump(mode="json", exclude={"host"})
    preflight.read_facts(remote, rig().clients[0], FOLDER, "192.0.2.9", ["wrk", "h2load"])
    command = "facts --load-address=192.0.2.9 --programs=wrk,h2load"
    assert f"python3 -I {FOLDER}/agent.pyz {command} {FOLDER}" in remote.asked


@pytest.mark.parametrize(("number", "as_root"), [(0, True), (1, False)])
def test_only_a_target_is_queried_as_root(number: int, as_root: bool) -> None:
    sudo_values = []

    class RecordingHost(FakeHost):
        def check(self, argv: Sequence[str], *, sudo: bool = False, **options: Any) -> None:
            sudo_values.append(sudo)
            super().check(argv, sudo=sudo, **options)

    host = rig().hosts[number]
    remote = RecordingHost(host.name)
    remote.folders.add(str(FOLDER))
    remote.files[str(FOLDER / "agent.pyz")] = b"the agent"
    remote.facts = target().model_dump(mode="json", exclude={"host"})
    preflight.read_facts(remote, host, FOLDER)
    assert sudo_values == [as_root]


def test_client_must_be_able_to_open_its_share_of_the_connections() -> None:
    connections = max(load.connections for load in suite().loads)
    enough = connections + preflight.OTHER_OPEN_FILES
    assert check(target(), client(open_files_limit=enough, local_ports=connections)).errors == {}
    assert str(only_error(target(), client(open_files_limit=enough - 1))) == (
        f"one-client: {connections} connections need {enough} open files, and the login's hard"
        f" limit (`ulimit -Hn`) is {enough - 1}; raise it, for example in"
        " /etc/security/limits.conf, add clients to the rig, or lower connections"
    )
    assert str(only_error(target(), client(local_ports=connections - 1))) == (
        f"one-client: {connections} connections need as many local ports, and"
        f" net.ipv4.ip_local_port_range leaves {connections - 1}; widen it, add clients to the"
        " rig, or lower connections"
    )


def test_connections_are_divided_among_the_clients_before_the_check() -> None:
    two_clients = Rig(
        name="one", target=rig().target, clients=(*rig("one").clients, *rig("two").clients)
    )
    connections = max(load.connections for load in suite().loads)
    share = -(-connections // 2) + preflight.OTHER_OPEN_FILES
    first, second = (client(name, open_files_limit=share) for name in ("one", "two"))
    assert check(target(), first, second, rigs=(two_clients,)).errors == {}
    assert check(
        target(), client("one", open_files_limit=share - 1), second, rigs=(two_clients,)
    ).errors
