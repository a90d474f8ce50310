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


def trouble(*facts: HostFacts) -> NotReadyError:
    readiness = check(*facts)
    assert readiness.images == {}
    (found,) = readiness.errors.values()
    return found


def test_hosts_that_have_everything_give_the_images() -> None:
    assert check(target(), client()) == (
        {
            ("one-target", "flask"): "sha256:0123456789abcdef",
            ("one-target", "fastapi"): "sha256:fa",
        },
        {},
    )


def test_images_that_are_not_asked_for_are_left_out() -> None:
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
def test_what_is_lacking_is_named_with_what_to_do(
    facts: tuple[HostFacts, ...], sentence: str
) -> None:
    assert str(trouble(*facts)) == sentence


def test_a_port_on_the_client_is_the_clients_own_business() -> None:
    assert check(target(), client(listening_ports=(8001, 8002))).errors == {}


def of_two(**second: Any) -> tuple[HostFacts, ...]:
    return target("a"), client("a"), target("b", **second), client("b")


OTHER = (image("flask", "fedcba9876543210"), image("fastapi", "fa"))


def test_other_images_on_hosts_of_one_architecture_are_refused() -> None:
    readiness = check(*of_two(images=OTHER), rigs=(rig("a"), rig("b")))
    assert {name: str(error) for name, error in readiness.errors.items()} == {
        "b": "b-target: its image of flask (sha256:fedcba987654) is not that of a-target "
        "(sha256:0123456789ab); run `fwbench provision` with this inventory"
    }
    assert {host for host, _ in readiness.images} == {"a-target"}


def test_what_is_not_ready_is_no_measure_for_the_others() -> None:
    facts = target("a", images=OTHER), client("a", versions={}), target("b"), client("b")
    readiness = check(*facts, rigs=(rig("a"), rig("b")))
    assert set(readiness.errors) == {"a"}
    assert readiness.images["b-target", "flask"] == "sha256:0123456789abcdef"


def test_every_rig_in_trouble_is_named() -> None:
    facts = target("a", engine=None), client("a"), target("b", images=()), client("b")
    readiness = check(*facts, rigs=(rig("a"), rig("b")))
    assert list(readiness.errors) == ["a", "b"]
    assert readiness.images == {}


def test_hosts_of_two_architectures_have_images_of_their_own() -> None:
    other = (image("flask", "a4"), image("fastapi", "fa"))
    readiness = check(*of_two(images=other, architecture="aarch64"), rigs=(rig("a"), rig("b")))
    assert readiness.images["b-target", "flask"] == "sha256:a4"
    assert readiness.errors == {}


# Addresses


def of_address(address: str) -> str:
    return preflight.load_address(rig().target.model_copy(update={"load_address": address}))


@pytest.mark.parametrize("address", ["192.0.2.1", "::1", "fd00::1"])
def test_an_address_in_numbers_stays_as_it_is(address: str) -> None:
    assert of_address(address) == address


def test_a_name_becomes_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert of_address("server.example") == "192.0.2.7"


@pytest.mark.parametrize("name", ["nobody.invalid", "a..b", "x" * 70 + ".invalid"])
def test_a_name_that_nobody_has_is_an_error_of_the_inventory(name: str) -> None:
    with pytest.raises(InventoryError, match=r"one-target: .* set fwbench_load_address"):
        of_address(name)


# Facts


def found(host: Any, facts: object, name: str = "one-target") -> HostFacts:
    remote = FakeHost(name)
    remote.folders.add(str(FOLDER))
    remote.files[str(FOLDER / "agent.pyz")] = b"the agent"
    remote.facts = facts  # type: ignore[assignment]
    return preflight.read_facts(remote, host, FOLDER)


def test_facts_are_what_the_agent_found() -> None:
    said = target().model_dump(mode="json", exclude={"host"})
    assert found(rig().target, said) == target()


@pytest.mark.parametrize(
    "facts",
    [{}, [], None, {"cpus": "many"}, {"surprise": 1}, {"versions": {"h2load": "garbage\n"}}],
)
def test_facts_that_make_no_sense_are_an_error_in_one_sentence(facts: object) -> None:
    with pytest.raises(HostError, match="one-target: its facts are not valid") as refused:
        found(rig().target, facts)
    assert "\n" not in str(refused.value)


def test_the_version_of_h2load_is_told_without_its_name() -> None:
    versions = {"h2load": "h2load nghttp2/1.64.0"}
    said = target(versions=versions).model_dump(mode="json", exclude={"host"})
    assert found(rig().target, said).versions == {"h2load": "1.64.0"}


def test_what_the_inventory_says_of_a_machine_goes_before_what_it_says_itself() -> None:
    said = {
        **target().model_dump(mode="json", exclude={"host"}),
        "instance_type": "m7i.large",
        "region": "eu-west-1",
        "price_per_hour": 99,
    }
    host = rig().target
    alone = found(host, said)
    assert (alone.instance_type, alone.region, alone.price_per_hour) == (
        "m7i.large",
        "eu-west-1",
        None,
    )
    told = {"instance_type": "small", "region": "lab", "price_per_hour": 0.01}
    both = found(host.model_copy(update=told), said)
    assert both.model_dump(include=set(told)) == told


def test_facts_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "FACTS_LIMIT_BYTES", 100)
    with pytest.raises(HostError, match="its facts are not valid: more than 100 bytes"):
        found(rig().target, {"system": "x" * 100})


def test_a_client_is_asked_for_its_route_and_the_versions_of_its_load_generators() -> None:
    remote = FakeHost("one-client")
    remote.folders.add(str(FOLDER))
    remote.files[str(FOLDER / "agent.pyz")] = b"the agent"
    remote.facts = client(versions={}).model_dump(mode="json", exclude={"host"})
    preflight.read_facts(remote, rig().clients[0], FOLDER, "192.0.2.9", ["wrk", "h2load"])
    asked = "facts --load-address=192.0.2.9 --programs=wrk,h2load"
    assert f"python3 -I {FOLDER}/agent.pyz {asked} {FOLDER}" in remote.asked


@pytest.mark.parametrize(("number", "as_root"), [(0, True), (1, False)])
def test_only_a_target_is_asked_as_root(number: int, as_root: bool) -> None:
    asked = []

    class Asked(FakeHost):
        def check(self, argv: Sequence[str], *, sudo: bool = False, **given: Any) -> None:
            asked.append(sudo)
            super().check(argv, sudo=sudo, **given)

    host = rig().hosts[number]
    remote = Asked(host.name)
    remote.folders.add(str(FOLDER))
    remote.files[str(FOLDER / "agent.pyz")] = b"the agent"
    remote.facts = target().model_dump(mode="json", exclude={"host"})
    preflight.read_facts(remote, host, FOLDER)
    assert asked == [as_root]


def test_client_must_be_able_to_open_its_share_of_the_connections() -> None:
    most = max(load.connections for load in suite().loads)
    enough = most + preflight.OTHER_OPEN_FILES
    assert check(target(), client(open_files_limit=enough, local_ports=most)).errors == {}
    assert str(trouble(target(), client(open_files_limit=enough - 1))) == (
        f"one-client: {most} connections need {enough} open files, and the login's hard limit"
        f" (`ulimit -Hn`) is {enough - 1}; raise it, for example in /etc/security/limits.conf, add"
        " clients to the rig, or lower connections"
    )
    assert str(trouble(target(), client(local_ports=most - 1))) == (
        f"one-client: {most} connections need as many local ports, and"
        f" net.ipv4.ip_local_port_range leaves {most - 1}; widen it, add clients to the rig, or"
        " lower connections"
    )


def test_connections_are_divided_among_the_clients_before_the_check() -> None:
    two = Rig(name="one", target=rig().target, clients=(*rig("one").clients, *rig("two").clients))
    most = max(load.connections for load in suite().loads)
    share = -(-most // 2) + preflight.OTHER_OPEN_FILES
    first, second = (client(name, open_files_limit=share) for name in ("one", "two"))
    assert check(target(), first, second, rigs=(two,)).errors == {}
    assert check(target(), client("one", open_files_limit=share - 1), second, rigs=(two,)).errors
