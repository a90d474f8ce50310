"""Teardown keeps what fwbench did not make: engines, data, settings and packages of the owner.

The hosts are provisioned by the engine's role alone. Images would take minutes to build and make no
difference here; `test_coming_and_going` covers them.
"""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from lab_program import Program
from owned_hosts import AWAIT_ENGINE, OwnedHosts, as_root, running_services, states


@pytest.fixture(scope="module")
def owned(program: Program, owned_future: "Future[OwnedHosts]") -> Iterator[OwnedHosts]:
    """Yield provisioned hosts whose owners used them before."""
    hosts = owned_future.result()
    yield hosts
    program("lab", "down", "--name", hosts.lab.inventory.parent.name)


@pytest.fixture(scope="module")
def teardown_message(program: Program, owned: OwnedHosts) -> str:
    """Tear down all hosts, and return the last line of standard error: what teardown kept."""
    return program("teardown", "-i", owned.lab.inventory, exits=12).stderr.splitlines()[-1]


def test_earlier_engine_is_stopped_again_and_keeps_its_data(
    owned: OwnedHosts, teardown_message: str
) -> None:
    assert owned.errors["target-1"] is None
    assert "target-1" not in teardown_message
    assert states(owned.lab)["target-1"] == owned.before["target-1"]
    as_root(owned.lab, "target-1", f"service docker start; {AWAIT_ENGINE}")
    output = as_root(owned.lab, "target-1", "docker ps -a; docker image ls; docker volume ls")
    assert output.count("fwbench-old") == 1
    assert output.count("fwbench/mine") == 2
    assert output.count("fwbench-data") == 1


def test_running_engine_and_its_containers_are_not_restarted(
    owned: OwnedHosts, teardown_message: str
) -> None:
    assert owned.errors["target-6"] is None
    assert "target-6" not in teardown_message
    services = running_services(owned.before["target-6"])
    assert len(services) == 3  # dockerd, its containerd, the container
    assert running_services(owned.provisioned["target-6"]) == services
    assert states(owned.lab)["target-6"] == owned.before["target-6"]


def test_earlier_containerd_is_not_restarted_and_keeps_its_data(
    owned: OwnedHosts, teardown_message: str
) -> None:
    assert owned.errors["target-2"] is None
    assert "target-2" not in teardown_message
    (containerd,) = running_services(owned.before["target-2"])
    assert containerd in running_services(owned.provisioned["target-2"])
    assert running_services(states(owned.lab)["target-2"]) == [containerd]
    command = "ctr namespaces ls -q; ctr --namespace owner content ls -q | wc -l"
    assert as_root(owned.lab, "target-2", command).split() == ["owner", "1"]


def test_only_the_owners_settings_and_packages_are_kept(
    owned: OwnedHosts, teardown_message: str
) -> None:
    assert "target-2" not in teardown_message
    before, after = set(owned.before["target-2"]), set(states(owned.lab)["target-2"])
    settings = {"/etc/docker", "/etc/docker/daemon.json", "/etc/default/docker"}
    packages = {"tini ii ", "owners-tool ii "}
    rules = {line for line in after if line.startswith("iptables ")}
    assert (after - before - rules, before - after) == (settings | packages, set())
    files = {
        "target-2": "/etc/docker/daemon.json /etc/default/docker",
        "target-4": "/opt/containerd/bin/mine /etc/containerd/config.toml",
    }
    contents = {host: as_root(owned.lab, host, f"cat {paths}") for host, paths in files.items()}
    assert contents == {
        "target-2": '{"debug": true}\n# mine\n',
        "target-4": "precious\nprecious=1\n",
    }


def test_purge_keeps_data_of_earlier_engine_and_containerd(
    program: Program, owned: OwnedHosts, teardown_message: str
) -> None:
    assert owned.errors["target-3"] is None
    assert "target-3: image fwbench/mine:1, volume kept in /var/lib/docker" in teardown_message
    assert "Docker version" in as_root(owned.lab, "target-3", "docker --version")
    program("teardown", "-i", owned.lab.inventory, "--purge-engine")
    assert states(owned.lab)["target-3"] == owned.before["target-3"]
    command = "cat /var/lib/docker/volumes/kept/_data/file; ls /var/lib/docker/image"
    assert as_root(owned.lab, "target-3", command).split() == ["precious", "overlay2"]
    assert "containerd rc " in owned.before["target-3"]
    command = "cat /var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/*"
    assert as_root(owned.lab, "target-3", command).split() == ["precious"]


@pytest.mark.parametrize("tool", ["iptables", "ip6tables"])
def test_firewall_and_forwarding_are_restored(
    owned: OwnedHosts, teardown_message: str, tool: str
) -> None:
    assert owned.errors["target-4"] is None
    assert "target-4" not in teardown_message
    before = owned.before["target-4"]
    if f"{tool} -P FORWARD ACCEPT" not in before:
        pytest.skip(f"this machine's kernel has no {tool}")
    added = {f"{tool} -P FORWARD DROP", f"{tool} -N DOCKER", f"{tool} nat -N DOCKER", "docker0"}
    assert added <= set(owned.provisioned["target-4"])  # the engine changed them
    assert not added & set(before)
    assert states(owned.lab)["target-4"] == before


def test_owners_rules_for_the_engine_are_kept(owned: OwnedHosts, teardown_message: str) -> None:
    """The rules of target-4 are older than the engine, those of target-2 newer."""
    assert "target-2" not in teardown_message
    older = ["iptables -N DOCKER-USER", "iptables -A DOCKER-USER -s 192.0.2.1/32 -j DROP"]
    about_bridge = "iptables -A INPUT -i docker0 -j ACCEPT"
    rules = [line for line in states(owned.lab)["target-4"] if line.startswith("iptables ")]
    assert {*older, about_bridge} <= set(rules)
    assert "iptables -N DOCKER-USER" in owned.provisioned["target-2"]
    after = [line for line in states(owned.lab)["target-2"] if line.startswith("iptables ")]
    before = [line for line in owned.before["target-2"] if line.startswith("iptables ")]
    newer = [older[0], about_bridge, "iptables -A DOCKER-USER -s 192.0.2.2/32 -j DROP"]
    assert sorted(after) == sorted(before + newer)


def test_no_package_is_removed_to_install_the_engine(
    owned: OwnedHosts, teardown_message: str
) -> None:
    error = owned.errors["target-5"] or ""
    assert "target-5 could not install docker.io" in error
    assert "apt would remove its packages" in error
    assert "containerd.io" in error
    assert "target-5" not in teardown_message
    assert states(owned.lab)["target-5"] == owned.before["target-5"]


# What the interrupted installation left on the host.
INTERRUPTED_INSTALLATION = {"media-types ii ", "/var/lib/fwbench", "/var/lib/fwbench/packages"}


def test_interrupted_installation_of_python_is_removed(
    owned: OwnedHosts, teardown_message: str
) -> None:
    assert owned.errors["client-1"] is None
    assert {"python3 ii ", "media-types ii "} <= set(owned.provisioned["client-1"])
    assert "client-1" not in teardown_message
    before, after = set(owned.before["client-1"]), set(states(owned.lab)["client-1"])
    assert (after - before, before - after) == (set(), INTERRUPTED_INSTALLATION)


def test_no_package_is_removed_to_install_python(owned: OwnedHosts, teardown_message: str) -> None:
    error = owned.errors["client-2"] or ""
    assert "client-2 could not install python3" in error
    assert "apt would remove its packages owners-python" in error
    assert owned.provisioned["client-2"] == owned.before["client-2"]
    assert "client-2" not in teardown_message
    before, after = set(owned.before["client-2"]), set(states(owned.lab)["client-2"])
    assert (after - before, before - after) == (set(), INTERRUPTED_INSTALLATION)
