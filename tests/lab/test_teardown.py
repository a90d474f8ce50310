"""What fwbench did not make stays: engines, data, settings and packages of a host's owner.

Engines come and go by the role alone, since images would take minutes and change nothing of it;
`test_coming_and_going` has the images.
"""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from lab_program import Program
from owned_hosts import AWAIT, OwnedHosts, as_root, runs, states


@pytest.fixture(scope="module")
def owned(program: Program, owned_future: "Future[OwnedHosts]") -> Iterator[OwnedHosts]:
    hosts = owned_future.result()
    yield hosts
    program("lab", "down", "--name", hosts.lab.inventory.parent.name)


@pytest.fixture(scope="module")
def torn_down(program: Program, owned: OwnedHosts) -> str:
    """What is said when all of them are torn down."""
    return program("teardown", "-i", owned.lab.inventory, exits=12).stderr.splitlines()[-1]


def test_an_engine_that_was_there_is_stopped_again_with_all_that_it_holds(
    owned: OwnedHosts, torn_down: str
) -> None:
    assert owned.trouble["target-1"] is None
    assert "target-1" not in torn_down
    assert states(owned.lab)["target-1"] == owned.before["target-1"]
    as_root(owned.lab, "target-1", f"service docker start; {AWAIT}")
    held = as_root(owned.lab, "target-1", "docker ps -a; docker image ls; docker volume ls")
    assert held.count("fwbench-old") == 1
    assert held.count("fwbench/mine") == 2
    assert held.count("fwbench-data") == 1


def test_an_engine_that_runs_goes_on_with_its_containers(owned: OwnedHosts, torn_down: str) -> None:
    assert owned.trouble["target-6"] is None
    assert "target-6" not in torn_down
    assert len(runs(owned.before["target-6"])) == 3  # dockerd, its containerd, the container
    assert runs(owned.provisioned["target-6"]) == runs(owned.before["target-6"])
    assert states(owned.lab)["target-6"] == owned.before["target-6"]


def test_a_containerd_that_was_there_goes_on_with_what_it_holds(
    owned: OwnedHosts, torn_down: str
) -> None:
    assert owned.trouble["target-2"] is None
    assert "target-2" not in torn_down
    (containerd,) = runs(owned.before["target-2"])
    assert containerd in runs(owned.provisioned["target-2"])
    assert runs(states(owned.lab)["target-2"]) == [containerd]
    ask = "ctr namespaces ls -q; ctr --namespace owner content ls -q | wc -l"
    assert as_root(owned.lab, "target-2", ask).split() == ["owner", "1"]


def test_settings_and_packages_of_the_owner_stay_and_nothing_else(
    owned: OwnedHosts, torn_down: str
) -> None:
    assert "target-2" not in torn_down
    before, after = set(owned.before["target-2"]), set(states(owned.lab)["target-2"])
    settings = {"/etc/docker", "/etc/docker/daemon.json", "/etc/default/docker"}
    packages = {"tini ii ", "tool-of-mine ii "}
    rules = {each for each in after if each.startswith("iptables ")}
    assert (after - before - rules, before - after) == (settings | packages, set())
    read = {
        "target-2": "/etc/docker/daemon.json /etc/default/docker",
        "target-4": "/opt/containerd/bin/mine /etc/containerd/config.toml",
    }
    told = {host: as_root(owned.lab, host, f"cat {files}") for host, files in read.items()}
    assert told == {"target-2": '{"debug": true}\n# mine\n', "target-4": "precious\nprecious=1\n"}


def test_data_of_an_engine_and_a_containerd_that_were_removed_outlives_even_a_purge(
    program: Program, owned: OwnedHosts, torn_down: str
) -> None:
    assert owned.trouble["target-3"] is None
    assert "target-3: image fwbench/mine:1, volume kept in /var/lib/docker" in torn_down
    assert "Docker version" in as_root(owned.lab, "target-3", "docker --version")
    program("teardown", "-i", owned.lab.inventory, "--purge-engine")
    assert states(owned.lab)["target-3"] == owned.before["target-3"]
    read = "cat /var/lib/docker/volumes/kept/_data/file; ls /var/lib/docker/image"
    assert as_root(owned.lab, "target-3", read).split() == ["precious", "overlay2"]
    assert "containerd rc " in owned.before["target-3"]
    read = "cat /var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/*"
    assert as_root(owned.lab, "target-3", read).split() == ["precious"]


@pytest.mark.parametrize("tool", ["iptables", "ip6tables"])
def test_firewall_and_forwarding_are_what_they_were(
    owned: OwnedHosts, torn_down: str, tool: str
) -> None:
    assert owned.trouble["target-4"] is None
    assert "target-4" not in torn_down
    before = owned.before["target-4"]
    if f"{tool} -P FORWARD ACCEPT" not in before:
        pytest.skip(f"this machine's kernel has no {tool}")
    made = {f"{tool} -P FORWARD DROP", f"{tool} -N DOCKER", f"{tool} nat -N DOCKER", "docker0"}
    assert made <= set(owned.provisioned["target-4"])  # the engine did change it
    assert not made & set(before)
    assert states(owned.lab)["target-4"] == before


def test_rules_that_the_owner_made_for_the_engine_stay(owned: OwnedHosts, torn_down: str) -> None:
    """On one host they are older than the engine, on the other younger."""
    assert "target-2" not in torn_down
    older = ["iptables -N DOCKER-USER", "iptables -A DOCKER-USER -s 192.0.2.1/32 -j DROP"]
    about_bridge = "iptables -A INPUT -i docker0 -j ACCEPT"
    rules = [line for line in states(owned.lab)["target-4"] if line.startswith("iptables ")]
    assert {*older, about_bridge} <= set(rules)
    assert "iptables -N DOCKER-USER" in owned.provisioned["target-2"]
    after = [line for line in states(owned.lab)["target-2"] if line.startswith("iptables ")]
    before = [line for line in owned.before["target-2"] if line.startswith("iptables ")]
    younger = [older[0], about_bridge, "iptables -A DOCKER-USER -s 192.0.2.2/32 -j DROP"]
    assert sorted(after) == sorted(before + younger)


def test_no_package_is_removed_for_one_that_fwbench_needs(
    owned: OwnedHosts, torn_down: str
) -> None:
    trouble = owned.trouble["target-5"] or ""
    assert "target-5 could not install docker.io" in trouble
    assert "apt would remove its packages" in trouble
    assert "containerd.io" in trouble
    assert "target-5" not in torn_down
    assert states(owned.lab)["target-5"] == owned.before["target-5"]


# What was there of an installation that had been interrupted.
BEGUN = {"media-types ii ", "/var/lib/fwbench", "/var/lib/fwbench/packages"}


def test_what_an_interrupted_installation_of_python_began_is_removed_too(
    owned: OwnedHosts, torn_down: str
) -> None:
    assert owned.trouble["client-1"] is None
    assert {"python3 ii ", "media-types ii "} <= set(owned.provisioned["client-1"])
    assert "client-1" not in torn_down
    before, after = set(owned.before["client-1"]), set(states(owned.lab)["client-1"])
    assert (after - before, before - after) == (set(), BEGUN)


def test_no_package_is_removed_for_python(owned: OwnedHosts, torn_down: str) -> None:
    trouble = owned.trouble["client-2"] or ""
    assert "client-2 could not install python3" in trouble
    assert "apt would remove its packages python-of-mine" in trouble
    assert owned.provisioned["client-2"] == owned.before["client-2"]
    assert "client-2" not in torn_down
    before, after = set(owned.before["client-2"]), set(states(owned.lab)["client-2"])
    assert (after - before, before - after) == (set(), BEGUN)
