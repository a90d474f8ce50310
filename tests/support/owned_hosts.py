"""Hosts whose owners had engines, data, settings and packages before provisioning.

Each host of the lab has another history.
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
# An image of the owner's, imported without a registry. Its name begins like those of fwbench.
IMAGE = (
    "tar -chf - /bin/sleep $(ldd /bin/sleep | grep -o '/[^ ]*') 2>/dev/null"
    " | docker import - fwbench/mine:1"
)
START = "(ulimit -n 1048576 2>/dev/null || echo 'ulimit() { :; }' >>/etc/default/docker)"
# containerd may remove unreferenced content before it has a label, so the script tries again.
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
AWAIT_ENGINE = "for n in $(seq 60); do docker version >/dev/null 2>&1 && break; sleep 0.5; done"


def rules_for_an_engine(tool: str, source: str) -> str:
    """Return commands that add an owner's rules, to DOCKER-USER and about docker0."""
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


# What the owner of each host did before provisioning.
BEFORE_PROVISIONING = {
    # A stopped engine that is not started at boot, with an exited container and a volume.
    "target-1": f"""
        {START}; {INSTALL} docker.io docker-cli; service docker start; {AWAIT_ENGINE}
        {IMAGE}; docker run --name fwbench-old fwbench/mine:1 /bin/sleep 0
        docker volume create fwbench-data; service docker stop; update-rc.d docker disable
    """,
    # A containerd that is in use, without an engine and its settings. Teardown keeps iptables,
    # because the owner installed it, so the rules can be listed.
    "target-2": f"""
        {INSTALL} containerd iptables; rm -r /etc/docker; {CONTAINERD}
    """,
    # The data of an engine and a containerd that were removed.
    "target-3": f"""
        {START}; {INSTALL} docker.io docker-cli; service docker start; {AWAIT_ENGINE}
        {IMAGE}; docker volume create kept; echo precious >/var/lib/docker/volumes/kept/_data/file
        service docker stop; {CONTAINERD}
        pkill -x containerd; apt-get remove -qq --yes docker.io containerd
    """,
    # A firewall with the policy ACCEPT, and rules for a future engine; packet forwarding is off.
    # If the kernel can, the engine's settings make it add rules for IPv6 too. There are settings
    # of containerd, whose package was never installed.
    "target-4": f"""
        mkdir /etc/containerd; echo precious=1 >/etc/containerd/config.toml
        {INSTALL} iptables; sysctl -qw net.ipv4.ip_forward=0
        iptables -P FORWARD ACCEPT; iptables -N DOCKER-OWNER
        iptables -A FORWARD -j DOCKER-OWNER; {rules_for_an_engine("iptables", "192.0.2.1/32")}
        if ip6tables -P FORWARD ACCEPT; then
            ip6tables -N DOCKER-OWNER; ip6tables -A FORWARD -j DOCKER-OWNER
            {rules_for_an_engine("ip6tables", "2001:db8::1/128")}
            sed -i '1a "ipv6": true, "fixed-cidr-v6": "2001:db8:1::/64",' /etc/docker/daemon.json
            sed -i '1a "experimental": true, "ip6tables": true,' /etc/docker/daemon.json
        fi
    """,
    # A package of the owner's that conflicts with the engine's.
    "target-5": package("containerd.io", "Conflicts: containerd"),
    # A running engine with a running container.
    "target-6": f"""
        {START}; {INSTALL} docker.io docker-cli; service docker start; {AWAIT_ENGINE}
        {IMAGE}; docker run --detach --name web fwbench/mine:1 /bin/sleep 36000
    """,
    # No Python, and an interrupted installation of Python by fwbench.
    "client-1": NO_PYTHON,
    # The same, and a package of the owner's that conflicts with Python.
    "client-2": f"{NO_PYTHON} {package('owners-python', 'Conflicts: python3-minimal')}",
}

# What the owner does after provisioning.
AFTER_PROVISIONING = {
    # Settings for the engine, rules for its containers, and a package that depends on either of
    # two packages that fwbench installed.
    "target-2": f"""
        {rules_for_an_engine("iptables", "192.0.2.2/32")}
        mkdir -p /etc/docker; echo '{{"debug": true}}' >/etc/docker/daemon.json
        echo '# mine' >>/etc/default/docker
        {package("owners-tool", "Depends: docker-cli | tini")}
    """,
    # A program in containerd's folder for additional programs.
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
# The lines of STATE about running services.
RUNNING_SERVICE = re.compile(r"\d+ (dockerd|containerd)|web .*")


def as_root(lab: Lab, host: str, command: str) -> str:
    return lab.run(host, f"sudo sh -c {shlex.quote(command)}")


def states(lab: Lab) -> dict[str, list[str]]:
    return {host: as_root(lab, host, STATE).splitlines() for host in BEFORE_PROVISIONING}


def execute(lab: Lab, scripts: Mapping[str, str]) -> None:
    """Execute a script on each host, on all hosts in parallel."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: as_root(lab, host, f"set -e; {scripts[host]}"), scripts))


def running_services(state: list[str]) -> list[str]:
    """Return the running engines and the running container; a restart changes their lines."""
    return [line for line in state if RUNNING_SERVICE.fullmatch(line)]


class OwnedHosts:
    """The hosts, their states before and after the engine's role, and the role's errors."""

    @classmethod
    def prepare(cls, program: Program, name: str, place: Path) -> "OwnedHosts":
        arguments = ["--targets", "6", "--clients", "6", "--os", "debian:13"]
        return cls(bring_up(program, name, arguments), place)

    def __init__(self, lab: Lab, place: Path) -> None:
        self.lab = lab
        execute(lab, BEFORE_PROVISIONING)
        self.before = states(lab)
        self.errors = self._install_engines(place)
        self.provisioned = states(lab)
        execute(lab, AFTER_PROVISIONING)

    def _install_engines(self, place: Path) -> Mapping[str, str | None]:
        host_role, engine_role = (
            {"ansible.builtin.include_role": {"name": name}} for name in ROLES
        )
        role_play = {
            "hosts": "all",
            "strategy": "ansible.builtin.free",
            "become": True,
            "gather_facts": False,
            "tasks": [host_role, {**engine_role, "when": "'targets' in group_names"}],
        }
        (place / "engines.yml").write_text(yaml.safe_dump([role_play]))
        inventory = Inventory((self.lab.inventory,))
        rigs = parse_rigs(list_inventory(inventory), str(self.lab.inventory))
        hosts = [host for rig in rigs for host in rig.hosts if host.name in BEFORE_PROVISIONING]
        result = run_playbook(str(place / "engines.yml"), inventory, hosts)
        return {host.host: host.error for host in result.hosts}
