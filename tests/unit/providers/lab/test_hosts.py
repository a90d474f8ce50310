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
    """Return what `ansible-inventory --list` prints for the inventory."""
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
def test_clients_are_distributed_evenly_over_targets(lab: Lab, targets: int, clients: int) -> None:
    names = [f"target-{n + 1}" for n in range(targets)] + [
        f"client-{n + 1}" for n in range(clients)
    ]
    lab._write_inventory([host(name, 2200 + n) for n, name in enumerate(names)], [])
    rigs = parse_rigs(listing(lab.inventory), "the lab")
    assert [rig.target.name for rig in rigs] == names[:targets]
    counts = [len(rig.clients) for rig in rigs]
    assert sum(counts) == clients
    assert max(counts) - min(counts) <= 1


def test_inventory_pins_host_keys_and_has_both_addresses(lab: Lab) -> None:
    lab._write_inventory([host("target-1", 2201), host("client-1", 2202)], [Path("/etc/our.crt")])
    (rig,) = parse_rigs(listing(lab.inventory), "the lab")
    assert (rig.target.address, rig.target.port) == ("127.0.0.1", 2201)
    assert rig.target.load_address == "198.18.0.2"
    assert rig.target.known_hosts is not None
    assert rig.target.known_hosts.read_text().splitlines() == [
        "[127.0.0.1]:2201 ssh-ed25519 AAAA",
        "[127.0.0.1]:2202 ssh-ed25519 AAAA",
    ]


def test_size_of_a_target_is_its_instance_type_and_price(lab: Lab) -> None:
    up = [host("target-1", 1, SMALL), host("target-2", 2, LARGE), host("client-1", 3)]
    lab._write_inventory([*up, host("client-2", 4)], [])
    groups = yaml.safe_load(lab.inventory.read_text())["all"]["children"]
    first, second = groups["targets"]["hosts"].values()
    assert (first["fwbench_instance_type"], first["fwbench_price_per_hour"]) == ("small", 0.01)
    assert second["fwbench_instance_type"] == "large"
    assert "fwbench_price_per_hour" not in second
    for client in groups["clients"]["hosts"].values():
        assert not {"fwbench_instance_type", "fwbench_price_per_hour"} & set(client)


# Commands to `docker`, with a fake engine


class FakeEngine:
    """An engine that starts containers without error."""

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
def fake_engine(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    for name in ("docker", "list_names", "inspect"):
        monkeypatch.setattr(hosts, name, getattr(fake, name))
    monkeypatch.setattr(hosts, "host_image", lambda *_: "image")
    monkeypatch.setattr(hosts, "_answers_ssh", lambda _: True)
    monkeypatch.setattr(engine, "ensure", lambda _: None)
    (lab.folder / "key").touch()
    (lab.folder / "key.pub").write_text("ssh-ed25519 AAAA")
    return fake


def up(lab: Lab, *targets: Size | None, clients: int = 1) -> list[str]:
    messages: list[str] = []
    lab.up(targets, clients, ["debian:13"], [], messages.append)
    return messages


def test_size_limits_targets_but_not_clients(lab: Lab, fake_engine: FakeEngine) -> None:
    messages = up(lab, SMALL, None)
    limited_argv = fake_engine.containers["fwbench-lab-target-1"]
    assert {"--cpus=0.5", "--memory=512m", "--memory-swap=512m"} <= set(limited_argv)
    for name in ("target-2", "client-1"):
        argv = fake_engine.containers[f"fwbench-lab-{name}"]
        assert not [word for word in argv if word.startswith(("--cpus", "--memory"))]
    assert messages[0] == "starting target-1 (debian:13, small=0.5,512m,0.01)"
    assert {host.name: host.size for host in lab.hosts()} == {
        "client-1": None,
        "target-1": SMALL,
        "target-2": None,
    }


def test_second_lab_up_with_same_or_no_sizes_changes_nothing(
    lab: Lab, fake_engine: FakeEngine
) -> None:
    up(lab, SMALL, LARGE, clients=2)
    before = dict(fake_engine.containers), lab.inventory.read_text()
    assert up(lab, SMALL, LARGE, clients=2) == []
    assert up(lab, None) == []
    assert (fake_engine.containers, lab.inventory.read_text()) == before


@pytest.mark.parametrize("existing", [(LARGE,), (None,), (parse_size("small=0.5,512m,0.02"),)])
def test_new_size_for_an_existing_host_is_an_error_before_changes(
    lab: Lab, fake_engine: FakeEngine, existing: tuple[Size | None]
) -> None:
    up(lab, *existing)
    before = set(fake_engine.containers)
    with pytest.raises(LabError, match=r"target-1 exists as .* and cannot become small=0\.5,512m"):
        up(lab, SMALL, SMALL, clients=2)
    assert set(fake_engine.containers) == before


@pytest.mark.usefixtures("fake_engine")
def test_hosts_are_sorted_by_number(lab: Lab) -> None:
    up(lab, *[None] * 11, clients=1)
    names = [host.name for host in lab.hosts()]
    assert names == ["client-1", *(f"target-{n}" for n in range(1, 12))]


@pytest.fixture
def _restored_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_restored_signals")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "small=0.5"], "'small=0.5' is not of the form NAME=CPUS,MEMORY[,PRICE]"),
        (["--target", "small=0,1g"], "'0' is not a number of CPUs above 0"),
        (["--target", "a=1,1g", "--targets", "2"], "--targets and --target exclude each other"),
        (["--target", "a=1,1g", "--targets", "1"], "--targets and --target exclude each other"),
    ],
)
def test_invalid_sizes_are_usage_errors(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["lab", "up", *arguments])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


@pytest.mark.usefixtures("_restored_signals")
@pytest.mark.parametrize(
    ("options", "targets", "clients"),
    [
        ([], [None], 1),
        (["--targets", "2"], [None, None], 1),
        (["--target", "small=0.5,512m,0.01", "--target", "large=1,1g"], [SMALL, LARGE], 2),
        (["--target", "large=1,1g", "--clients", "2"], [LARGE], 2),
    ],
)
def test_default_is_one_client_per_sized_target(
    monkeypatch: pytest.MonkeyPatch, options: list[str], targets: list[Size | None], clients: int
) -> None:
    call: list[object] = []

    def record(_: Lab, *arguments: object) -> str:
        call.extend(arguments[:2])
        return "hosts.yml"

    monkeypatch.setattr(Lab, "up", record)
    assert CliRunner().invoke(main, ["lab", "up", *options]).exit_code == 0
    assert (list(call[0]), call[1]) == (targets, clients)  # type: ignore[call-overload]


def test_lab_addresses_are_in_the_benchmarking_range() -> None:
    benchmarks = ip_network("198.18.0.0/15")
    assert hosts.NETWORKS.subnet_of(benchmarks)
    daemon_settings = yaml.safe_load((image.CONTEXT / "daemon.json").read_text())
    pools = [pool["base"] for pool in daemon_settings["default-address-pools"]]
    for network in (ip_network(daemon_settings["bip"], strict=False), *map(ip_network, pools)):
        assert network.subnet_of(benchmarks)
        assert not network.overlaps(hosts.NETWORKS)


def test_image_that_can_be_neither_pulled_nor_built_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: str, **__: object) -> str:
        raise LabError("docker pull: no such host")

    monkeypatch.setattr(docker, "inspect", lambda *_: None)
    monkeypatch.setattr(docker, "docker", refuse)
    with pytest.raises(LabError, match="only debian:11, debian:12, debian:13, debian:testing can"):
        image.host_image("ubuntu:24.04", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="without root on Debian or Ubuntu"):
        image.host_image("debian:13", lambda _: None)


def test_failing_docker_command_is_an_error_that_quotes_it(
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
