import os
import shutil
import signal
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from fwbench.cli.main import main
from fwbench.errors import LabError
from fwbench.inventory.rigs import parse_rigs
from fwbench.model.lab import LabHost, Size
from fwbench.providers.lab import docker, engine, hosts, image
from fwbench.providers.lab.hosts import Lab
from fwbench.providers.lab.size import parse_size

SMALL, LARGE = parse_size("small=0.5,512m,0.01"), parse_size("large=1,1g")


def host(name: str, port: int, size: Size | None = None) -> LabHost:
    return LabHost(
        name=name,
        system="debian:13",
        running=True,
        ssh_port=port,
        load_address="198.18.0.2",
        size=size,
    )


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(hosts, "docker", lambda *_: "ssh-ed25519 AAAA root@box")
    lab = Lab()
    lab.folder.mkdir(parents=True)
    return lab


def listing(inventory: Path) -> dict[str, object]:
    """What `ansible-inventory --list` makes of it."""
    everything = yaml.safe_load(inventory.read_text())["all"]
    groups = everything["children"]
    variables = {
        name: everything["vars"] | own
        for group in groups.values()
        for name, own in group["hosts"].items()
    }
    members = {name: {"hosts": list(group["hosts"])} for name, group in groups.items()}
    return {"_meta": {"hostvars": variables}, **members}


@pytest.mark.parametrize(
    ("targets", "clients"), [(1, 1), (2, 2), (3, 3), (1, 2), (1, 4), (2, 4), (2, 5)]
)
def test_every_target_gets_clients_in_turn(lab: Lab, targets: int, clients: int) -> None:
    names = [f"target-{n + 1}" for n in range(targets)] + [
        f"client-{n + 1}" for n in range(clients)
    ]
    lab._write_inventory([host(name, 2200 + n) for n, name in enumerate(names)], [])
    found = parse_rigs(listing(lab.inventory), "the lab")
    assert [rig.target.name for rig in found] == names[:targets]
    sizes = [len(rig.clients) for rig in found]
    assert sum(sizes) == clients
    assert max(sizes) - min(sizes) <= 1


def test_the_inventory_pins_the_keys_and_keeps_both_addresses_apart(lab: Lab) -> None:
    lab._write_inventory([host("target-1", 2201), host("client-1", 2202)], [Path("/etc/our.crt")])
    (rig,) = parse_rigs(listing(lab.inventory), "the lab")
    assert (rig.target.address, rig.target.port) == ("127.0.0.1", 2201)
    assert rig.target.load_address == "198.18.0.2"
    assert rig.target.known_hosts is not None
    assert rig.target.known_hosts.read_text().splitlines() == [
        "[127.0.0.1]:2201 ssh-ed25519 AAAA",
        "[127.0.0.1]:2202 ssh-ed25519 AAAA",
    ]


def test_the_size_of_a_target_is_its_instance_type_with_its_price(lab: Lab) -> None:
    up = [host("target-1", 1, SMALL), host("target-2", 2, LARGE), host("client-1", 3)]
    lab._write_inventory([*up, host("client-2", 4)], [])
    groups = yaml.safe_load(lab.inventory.read_text())["all"]["children"]
    first, second = groups["targets"]["hosts"].values()
    assert (first["fwbench_instance_type"], first["fwbench_price_per_hour"]) == ("small", 0.01)
    assert second["fwbench_instance_type"] == "large"
    assert "fwbench_price_per_hour" not in second
    for client in groups["clients"]["hosts"].values():
        assert not {"fwbench_instance_type", "fwbench_price_per_hour"} & set(client)


# What `docker` is asked, by an engine that is not there


class Engine:
    """The containers of an engine that does what it is told."""

    def __init__(self) -> None:
        self.containers: dict[str, list[str]] = {}
        self.started: list[str] = []

    def docker(self, *argv: str, **_: object) -> str:
        if argv[0] == "run":
            (name,) = [word[7:] for word in argv if word.startswith("--name=")]
            self.containers[name] = list(argv)
        elif argv[0] == "start":
            self.started.append(argv[1])
        return "ssh-ed25519 AAAA root@box" if argv[0] == "exec" else ""

    def list_names(self, *_: object) -> list[str]:
        return list(self.containers)

    def inspect(self, kind: str, name: str) -> dict[str, object] | None:
        if kind == "network":
            return {}
        if name not in self.containers:
            return None
        argv = self.containers[name]
        labels = dict(word[8:].split("=", 1) for word in argv if word.startswith("--label="))
        return {
            "State": {"Running": True},
            "HostConfig": {"PortBindings": {"22/tcp": [{"HostPort": "2201"}]}},
            "Config": {"Labels": labels},
            "NetworkSettings": {"Networks": {"fwbench-lab": {"IPAddress": "198.18.0.2"}}},
        }


@pytest.fixture
def of_engine(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    for name in ("docker", "list_names", "inspect"):
        monkeypatch.setattr(hosts, name, getattr(made, name))
    monkeypatch.setattr(hosts, "host_image", lambda *_: "image")
    monkeypatch.setattr(hosts, "_answers_ssh", lambda _: True)
    monkeypatch.setattr(engine, "ensure", lambda _: None)
    (lab.folder / "key").touch()
    (lab.folder / "key.pub").write_text("ssh-ed25519 AAAA")
    return made


def up(lab: Lab, *targets: Size | None, clients: int = 1) -> list[str]:
    said: list[str] = []
    lab.up(targets, clients, ["debian:13"], [], said.append)
    return said


def test_a_target_gets_the_limits_of_its_size_and_a_client_none(
    lab: Lab, of_engine: Engine
) -> None:
    said = up(lab, SMALL, None)
    sized = of_engine.containers["fwbench-lab-target-1"]
    assert {"--cpus=0.5", "--memory=512m", "--memory-swap=512m"} <= set(sized)
    for name in ("target-2", "client-1"):
        words = of_engine.containers[f"fwbench-lab-{name}"]
        assert not [word for word in words if word.startswith(("--cpus", "--memory"))]
    assert said[0] == "starting target-1 (debian:13, small=0.5,512m,0.01)"
    assert {host.name: host.size for host in lab.hosts()} == {
        "client-1": None,
        "target-1": SMALL,
        "target-2": None,
    }


def test_a_second_lab_up_with_the_same_sizes_or_with_none_changes_nothing(
    lab: Lab, of_engine: Engine
) -> None:
    up(lab, SMALL, LARGE, clients=2)
    before = dict(of_engine.containers), lab.inventory.read_text()
    assert up(lab, SMALL, LARGE, clients=2) == []
    assert up(lab, None) == []
    assert (of_engine.containers, lab.inventory.read_text()) == before


@pytest.mark.parametrize("there", [(LARGE,), (None,), (parse_size("small=0.5,512m,0.02"),)])
def test_a_host_that_is_there_in_another_size_is_refused_before_anything_is_changed(
    lab: Lab, of_engine: Engine, there: tuple[Size | None]
) -> None:
    up(lab, *there)
    before = set(of_engine.containers)
    with pytest.raises(LabError, match=r"target-1 exists as .* and cannot become small=0\.5,512m"):
        up(lab, SMALL, SMALL, clients=2)
    assert set(of_engine.containers) == before


@pytest.mark.usefixtures("of_engine")
def test_hosts_are_in_the_order_of_their_numbers(lab: Lab) -> None:
    up(lab, *[None] * 11, clients=1)
    names = [host.name for host in lab.hosts()]
    assert names == ["client-1", *(f"target-{n}" for n in range(1, 12))]


@pytest.fixture
def _signals_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_signals_as_before")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "small=0.5"], "'small=0.5' is not of the form NAME=CPUS,MEMORY[,PRICE]"),
        (["--target", "small=0,1g"], "'0' is not a number of CPUs above 0"),
        (["--target", "a=1,1g", "--targets", "2"], "--targets and --target exclude each other"),
        (["--target", "a=1,1g", "--targets", "1"], "--targets and --target exclude each other"),
    ],
)
def test_wrong_sizes_are_wrong_usage(words: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["lab", "up", *words])
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


@pytest.mark.usefixtures("_signals_as_before")
@pytest.mark.parametrize(
    ("words", "targets", "clients"),
    [
        ([], [None], 1),
        (["--targets", "2"], [None, None], 1),
        (["--target", "small=0.5,512m,0.01", "--target", "large=1,1g"], [SMALL, LARGE], 2),
        (["--target", "large=1,1g", "--clients", "2"], [LARGE], 2),
    ],
)
def test_the_command_line_asks_for_as_many_clients_as_targets_of_a_size(
    monkeypatch: pytest.MonkeyPatch, words: list[str], targets: list[Size | None], clients: int
) -> None:
    asked: list[object] = []

    def note(_: Lab, *arguments: object) -> str:
        asked.extend(arguments[:2])
        return "hosts.yml"

    monkeypatch.setattr(Lab, "up", note)
    assert CliRunner().invoke(main, ["lab", "up", *words]).exit_code == 0
    assert (list(asked[0]), asked[1]) == (targets, clients)  # type: ignore[call-overload]


def test_every_address_of_the_lab_lies_in_the_range_for_benchmarks() -> None:
    benchmarks = ip_network("198.18.0.0/15")
    assert hosts.NETWORKS.subnet_of(benchmarks)
    nested = yaml.safe_load((image.CONTEXT / "daemon.json").read_text())
    pools = [pool["base"] for pool in nested["default-address-pools"]]
    for network in (ip_network(nested["bip"], strict=False), *map(ip_network, pools)):
        assert network.subnet_of(benchmarks)
        assert not network.overlaps(hosts.NETWORKS)


def test_a_system_that_cannot_be_pulled_is_made_of_packages_or_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: str, **__: object) -> str:
        raise LabError("docker pull: no such host")

    monkeypatch.setattr(docker, "inspect", lambda *_: None)
    monkeypatch.setattr(docker, "docker", refuse)
    with pytest.raises(LabError, match="only debian:12 and debian:13 can be made"):
        image.host_image("ubuntu:24.04", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="without root on Debian or Ubuntu"):
        image.host_image("debian:13", lambda _: None)


def test_docker_without_an_answer_is_an_error_that_quotes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = tmp_path / "docker"
    stub.write_text("#!/bin/sh\necho 'Cannot connect to the daemon' >&2\nexit 1\n")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("docker") == str(stub)
    assert not docker.engine_answers()
    with pytest.raises(LabError, match="docker ps: Cannot connect to the daemon"):
        docker.docker("ps")
    stub.unlink()
    with pytest.raises(LabError, match="docker cannot be started"):
        docker.docker("ps")
