import os
import shutil
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml

from fwbench.errors import LabError
from fwbench.inventory import rigs
from fwbench.lab import docker, hosts, image
from fwbench.lab.hosts import Lab, LabHost


def host(name: str, port: int) -> LabHost:
    return LabHost(
        name=name, system="debian:13", running=True, ssh_port=port, load_address="198.18.0.2"
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


@pytest.mark.parametrize(("targets", "clients"), [(1, 1), (2, 2), (3, 3), (1, 4), (2, 5)])
def test_every_target_gets_clients_in_turn(lab: Lab, targets: int, clients: int) -> None:
    names = [f"target-{n + 1}" for n in range(targets)] + [
        f"client-{n + 1}" for n in range(clients)
    ]
    lab._write_inventory([host(name, 2200 + n) for n, name in enumerate(names)], [])
    found = rigs(listing(lab.inventory), "the lab")
    assert [rig.target.name for rig in found] == names[:targets]
    sizes = [len(rig.clients) for rig in found]
    assert sum(sizes) == clients
    assert max(sizes) - min(sizes) <= 1


def test_the_inventory_pins_the_keys_and_keeps_both_addresses_apart(lab: Lab) -> None:
    lab._write_inventory([host("target-1", 2201), host("client-1", 2202)], [Path("/etc/our.crt")])
    (rig,) = rigs(listing(lab.inventory), "the lab")
    assert (rig.target.address, rig.target.port) == ("127.0.0.1", 2201)
    assert rig.target.load_address == "198.18.0.2"
    assert rig.target.known_hosts is not None
    assert rig.target.known_hosts.read_text().splitlines() == [
        "[127.0.0.1]:2201 ssh-ed25519 AAAA",
        "[127.0.0.1]:2202 ssh-ed25519 AAAA",
    ]


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

    monkeypatch.setattr(docker, "describe", lambda *_: None)
    monkeypatch.setattr(docker, "docker", refuse)
    with pytest.raises(LabError, match="only debian:12 and debian:13 can be made"):
        image.host_image("ubuntu:24.04", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="that needs root on Debian or Ubuntu"):
        image.host_image("debian:13", lambda _: None)


def test_docker_without_an_answer_is_an_error_that_quotes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = tmp_path / "docker"
    stub.write_text("#!/bin/sh\necho 'Cannot connect to the daemon' >&2\nexit 1\n")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("docker") == str(stub)
    assert not docker.answers()
    with pytest.raises(LabError, match="docker ps: Cannot connect to the daemon"):
        docker.docker("ps")
    stub.unlink()
    with pytest.raises(LabError, match="docker cannot be started"):
        docker.docker("ps")
