"""Hosts whose owners had engines, data, settings and packages before fwbench came.

Each target of the lab is a host with another past.
"""

import re
import shlex
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from lab_fixture import bring_up
from lab_program import Lab, Program

from fwbench.inventory.rigs import parse_rigs
from fwbench.provisioning.inventory import Inventory, list_inventory
from fwbench.provisioning.provision import run_playbook

ROLES = ("fwbench_host", "docker_engine")
INSTALL = (
    "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq;"
    " apt-get install -qq --yes --no-install-recommends -o Dpkg::Options::=--force-confold"
)
# An image of the owner's, without a registry, and his names begin with what is not his.
IMAGE = (
    "tar -chf - /bin/sleep $(ldd /bin/sleep | grep -o '/[^ ]*') 2>/dev/null"
    " | docker import - fwbench/mine:1"
)
START = "(ulimit -n 1048576 2>/dev/null || echo 'ulimit() { :; }' >>/etc/default/docker)"
# What nothing refers to may be collected as garbage before it has its label.
CONTAINERD = """
    setsid containerd >/var/log/containerd.log 2>&1 </dev/null &
    for n in $(seq 60); do ctr version >/dev/null 2>&1 && break; sleep 0.5; done
    ctr namespaces create owner; mine=sha256:$(echo precious | sha256sum | cut -d' ' -f1)
    for n in $(seq 10); do
        echo precious | ctr --namespace owner content ingest mine
        ctr --namespace owner content label $mine containerd.io/gc.root=1 && break
    done
    ctr --namespace owner content ls -q | grep $mine
"""
NO_PYTHON = f"""
    apt-get purge -qq --yes --auto-remove 'python3*' 'libpython3*' media-types
    {INSTALL} media-types
    mkdir -p /var/lib/fwbench/packages; echo media-types >/var/lib/fwbench/packages/python
"""
AWAIT = "for n in $(seq 60); do docker version >/dev/null 2>&1 && break; sleep 0.5; done"


def rules_for_an_engine(tool: str, source: str) -> str:
    """Return commands that add rules of an owner, in Docker's chain for these and about docker0."""
    return (
        f"{tool} -N DOCKER-USER 2>/dev/null || true; {tool} -I DOCKER-USER -s {source} -j DROP;"
        f" {tool} -A INPUT -i docker0 -j ACCEPT"
    )


def package(name: str, relation: str) -> str:
    """Return commands that install an empty package of the owner's."""
    fields = [f"Package: {name}", "Version: 1", "Architecture: all", relation]
    fields += ["Maintainer: Owner <owner@example.org>", "Description: of the owner"]
    control = " ".join(map(shlex.quote, fields))
    return (
        f"mkdir -p /tmp/p/DEBIAN; printf '%s\\n' {control} >/tmp/p/DEBIAN/control;"
        " dpkg-deb --build /tmp/p /tmp/p.deb; dpkg --install /tmp/p.deb"
    )


# What the owner of each host did before fwbench came.
PASTS = {
    # An engine that is stopped and not started at boot, with a container that ended and a volume.
    "target-1": f"""
        {START}; {INSTALL} docker.io docker-cli; service docker start; {AWAIT}
        {IMAGE}; docker run --name fwbench-old fwbench/mine:1 /bin/sleep 0
        docker volume create fwbench-data; service docker stop; update-rc.d docker disable
    """,
    # containerd alone, which works for somebody, and no settings of any engine. Its iptables stays
    # when that of the engine goes, so its rules can be listed.
    "target-2": f"""
        {INSTALL} containerd iptables; rm -r /etc/docker; {CONTAINERD}
    """,
    # An engine and a containerd that were removed, and the data of both kept.
    "target-3": f"""
        {START}; {INSTALL} docker.io docker-cli; service docker start; {AWAIT}
        {IMAGE}; docker volume create kept; echo precious >/var/lib/docker/volumes/kept/_data/file
        service docker stop; {CONTAINERD}
        pkill -x containerd; apt-get remove -qq --yes docker.io containerd
    """,
    # A firewall that lets through what no rule is about, with rules for an engine that it will
    # have, and a host that forwards nothing. Its settings have the engine make rules for IPv6 too,
    # where the kernel can. Those of containerd are where its package would have them, which never
    # was there.
    "target-4": f"""
        mkdir /etc/containerd; echo precious=1 >/etc/containerd/config.toml
        {INSTALL} iptables; sysctl -qw net.ipv4.ip_forward=0
        iptables -P FORWARD ACCEPT; iptables -N DOCKER-OF-MINE
        iptables -A FORWARD -j DOCKER-OF-MINE; {rules_for_an_engine("iptables", "192.0.2.1/32")}
        if ip6tables -P FORWARD ACCEPT; then
            ip6tables -N DOCKER-OF-MINE; ip6tables -A FORWARD -j DOCKER-OF-MINE
            {rules_for_an_engine("ip6tables", "2001:db8::1/128")}
            sed -i '1a "ipv6": true, "fixed-cidr-v6": "2001:db8:1::/64",' /etc/docker/daemon.json
            sed -i '1a "experimental": true, "ip6tables": true,' /etc/docker/daemon.json
        fi
    """,
    # A package of the owner's that does not go together with those of the engine.
    "target-5": package("containerd.io", "Conflicts: containerd"),
    # An engine that runs, with a container that works.
    "target-6": f"""
        {START}; {INSTALL} docker.io docker-cli; service docker start; {AWAIT}
        {IMAGE}; docker run --detach --name web fwbench/mine:1 /bin/sleep 36000
    """,
    # No Python, and an installation of it by fwbench that was interrupted.
    "client-1": NO_PYTHON,
    # The same, and since then a package of the owner's that does not go together with Python.
    "client-2": f"{NO_PYTHON} {package('python-of-mine', 'Conflicts: python3-minimal')}",
}

# What the owner does once fwbench has been there.
SINCE = {
    # Settings for the engine, rules for its containers, and a package that needs one of two that
    # fwbench installed.
    "target-2": f"""
        {rules_for_an_engine("iptables", "192.0.2.2/32")}
        mkdir -p /etc/docker; echo '{{"debug": true}}' >/etc/docker/daemon.json
        echo '# mine' >>/etc/default/docker
        {package("tool-of-mine", "Depends: docker-cli | tini")}
    """,
    # A program where containerd looks for those that it can use.
    "target-4": "echo precious >/opt/containerd/bin/mine",
}

STATE = """
dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n' | sort
find /var/lib/fwbench /etc/docker /etc/containerd /etc/default -maxdepth 1 2>/dev/null | sort
stat -c '%n %a' /var/lib/docker /var/lib/containerd 2>&1; ls -A /var/lib/docker /var/lib/containerd
ls /etc/rc?.d | grep docker; getent group docker
for tool in iptables ip6tables; do
    $tool -S 2>/dev/null | sed "s/^/$tool /"
    $tool -t nat -S 2>/dev/null | grep -i docker | sed "s/^/$tool nat /"
done
sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv6.conf.default.forwarding
ip -br link | cut -d' ' -f1; pgrep -lx 'dockerd|containerd'
docker inspect --format 'web {{.State.StartedAt}} {{.State.Pid}}' web 2>/dev/null; true
"""
RUNS = re.compile(r"\d+ (dockerd|containerd)|web .*")  # those of its lines about what runs


def as_root(lab: Lab, host: str, command: str) -> str:
    return lab.run(host, f"sudo sh -c {shlex.quote(command)}")


def states(lab: Lab) -> dict[str, list[str]]:
    return {host: as_root(lab, host, STATE).splitlines() for host in PASTS}


def have_done(lab: Lab, done: Mapping[str, str]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: as_root(lab, host, f"set -e; {done[host]}"), done))


def runs(state: list[str]) -> list[str]:
    """The engines and the container that run, with what changes when they are started anew."""
    return [line for line in state if RUNS.fullmatch(line)]


class OwnedHosts:
    """The hosts, their states before and after the engine's role, and its errors."""

    @classmethod
    def prepare(cls, program: Program, name: str, place: Path) -> "OwnedHosts":
        arguments = ["--targets", "6", "--clients", "6", "--os", "debian:13"]
        return cls(bring_up(program, name, arguments), place)

    def __init__(self, lab: Lab, place: Path) -> None:
        self.lab = lab
        have_done(lab, PASTS)
        self.before = states(lab)
        self.trouble = self._have_engines(place)
        self.provisioned = states(lab)
        have_done(lab, SINCE)

    def _have_engines(self, place: Path) -> Mapping[str, str | None]:
        host, engine = ({"ansible.builtin.include_role": {"name": name}} for name in ROLES)
        whole = {
            "hosts": "all",
            "strategy": "ansible.builtin.free",
            "become": True,
            "gather_facts": False,
            "tasks": [host, {**engine, "when": "'targets' in group_names"}],
        }
        (place / "engines.yml").write_text(yaml.safe_dump([whole]))
        inventory = Inventory((self.lab.inventory,))
        rigs = parse_rigs(list_inventory(inventory), str(self.lab.inventory))
        hosts = [host for rig in rigs for host in rig.hosts if host.name in PASTS]
        played = run_playbook(str(place / "engines.yml"), inventory, hosts)
        return {host.host: host.error for host in played.hosts}
