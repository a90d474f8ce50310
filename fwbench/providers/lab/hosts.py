"""Create and remove the lab's hosts, and write an Ansible inventory of them."""

import ipaddress
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fwbench import paths
from fwbench.errors import LabError
from fwbench.model.lab import LabHost, Size
from fwbench.providers.lab import engine
from fwbench.providers.lab.docker import docker, inspect, list_names
from fwbench.providers.lab.image import host_image, remove_images
from fwbench.providers.lab.inventory import make_inventory
from fwbench.providers.lab.size import parse_size

# RFC 2544 sets 198.18.0.0/15 aside for benchmarks. The upper half of the first /16 is for bridges
# inside the hosts (host/daemon.json).
NETWORKS = ipaddress.ip_network("198.18.0.0/17")
SYSTEM_CA_CERTS = Path("/usr/local/share/ca-certificates")
SSH_TIMEOUT_S = 60
SIZE_LABEL = "fwbench.lab-size"

# A Docker engine inside a container needs these. --privileged would also request capabilities that
# the machine itself may lack.
NESTED_ENGINE = (
    "--cgroupns=private",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cap-add=NET_ADMIN",
    "--cap-add=SYS_ADMIN",
    "--cap-add=SYS_PTRACE",
    "--volume=/var/lib/docker",
    "--env=LAB_NESTED_ENGINE=1",
)


class Lab:
    """A lab, by its name. Labs with different names are independent."""

    def __init__(self, name: str = "lab") -> None:
        self.name = name
        self.folder = paths.state_folder() / name
        self.inventory = self.folder / "hosts.yml"
        self._label = f"fwbench.lab={name}"
        self._network = f"fwbench-{name}"

    def up(
        self,
        targets: Sequence[Size | None],
        clients: int,
        systems: Sequence[str],
        ca_certs: Sequence[Path],
        say: Callable[[str], None],
    ) -> Path:
        """Start the hosts that are missing, write the inventory, and return its path.

        `targets` contains the size of each target, or None: a new target then has no limits, and an
        existing one keeps its size. Targets, and clients, get the `systems` in turn. Raise
        `LabError` if a host cannot be started, or a target exists with another size.
        """
        engine.ensure(say)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = self._key()
        self._ensure_network()
        requested = [(f"target-{n + 1}", n, size) for n, size in enumerate(targets)]
        requested += [(f"client-{n + 1}", n, None) for n in range(clients)]
        self._check_sizes({name: size for name, _, size in requested if size})
        for name, number, size in requested:
            self._ensure_host(name, systems[number % len(systems)], size, key, say)
        hosts = self.hosts()
        self._await_ssh(hosts)
        self._write_inventory(hosts, ca_certs)
        return self.inventory

    def hosts(self) -> tuple[LabHost, ...]:
        """Return the lab's hosts in order of their names. Raise `LabError` if Docker fails."""
        containers = list_names(["ps", "--all"], self._label, "{{.Names}}")
        return tuple(self._read_host(name) for name in sorted(containers, key=_natural_order))

    def down(self, say: Callable[[str], None], *, everything: bool = False) -> None:
        """Remove hosts, volumes, network and inventory.

        With `everything`, also remove the lab's images and a Docker engine that fwbench installed.
        Raise `LabError` if Docker fails, or the engine cannot be removed; a repeat continues.
        """
        if everything and engine.is_half_removed():
            engine.release(say)
            return
        for name in list_names(["ps", "--all"], self._label, "{{.Names}}"):
            say(f"removing {name}")
            docker("rm", "--force", "--volumes", name)
        if inspect("network", self._network) is not None:
            docker("network", "rm", self._network)
        if self.folder.exists():
            shutil.rmtree(self.folder)
        if everything:
            if list_names(["ps", "--all"], "fwbench.lab", "{{.Names}}"):
                say("the images stay: another lab uses them")
                return
            remove_images()
            engine.release(say)

    def _key(self) -> Path:
        key = self.folder / "key"
        if not key.exists():
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fwbench", "-f", str(key)]
            try:
                subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
            except (OSError, subprocess.CalledProcessError) as error:
                raise LabError(f"ssh-keygen failed; is OpenSSH installed? ({error})") from error
        return key

    def _ensure_network(self) -> None:
        if inspect("network", self._network) is not None:
            return
        in_use = []
        for network in docker("network", "ls", "--quiet").split():
            description = inspect("network", network) or {}
            pools = description.get("IPAM", {}).get("Config") or []
            in_use += [ipaddress.ip_network(pool["Subnet"]) for pool in pools]
        for subnet in NETWORKS.subnets(new_prefix=24):
            if not any(subnet.version == n.version and subnet.overlaps(n) for n in in_use):
                docker(
                    "network",
                    "create",
                    f"--label={self._label}",
                    f"--subnet={subnet}",
                    self._network,
                )
                return
        raise LabError(
            f"every network in {NETWORKS} is in use; `docker network ls` lists them:"
            " remove one with `docker network rm`"
        )

    def _check_sizes(self, sizes: Mapping[str, Size]) -> None:
        """Raise `LabError` if a host exists with another size, before anything is changed."""
        for host in self.hosts():
            size = sizes.get(host.name, host.size)
            if size != host.size:
                raise LabError(
                    f"{host.name} exists as {host.size or 'a host without a size'} and cannot"
                    f" become {size}; run `fwbench lab down --name {self.name}` first"
                )

    def _ensure_host(
        self,
        name: str,
        system: str,
        size: Size | None,
        key: Path,
        say: Callable[[str], None],
    ) -> None:
        container = f"fwbench-{self.name}-{name}"
        description = inspect("container", container)
        if description is None:
            image = host_image(system, say)
            say(f"starting {name} ({system}{f', {size}' if size else ''})")
            docker(
                "run",
                "--detach",
                "--init",
                f"--name={container}",
                f"--hostname={name}",
                f"--network={self._network}",
                f"--publish=127.0.0.1:{_free_port()}:22",
                f"--label={self._label}",
                f"--label=fwbench.lab-system={system}",
                f"--env=LAB_AUTHORIZED_KEY={key.with_suffix('.pub').read_text().strip()}",
                *(NESTED_ENGINE if name.startswith("target-") else ()),
                *(_limits(size) if size else ()),
                image,
            )
        elif not description["State"]["Running"]:
            say(f"starting {name} again")
            docker("start", container)

    def _read_host(self, container: str) -> LabHost:
        description = inspect("container", container)
        if description is None:
            raise LabError(f"the container {container} no longer exists; run `fwbench lab up`")
        ports: dict[str, Any] = description["HostConfig"]["PortBindings"]
        labels = description["Config"]["Labels"]
        networks = description["NetworkSettings"]["Networks"]
        return LabHost(
            name=container.removeprefix(f"fwbench-{self.name}-"),
            system=labels["fwbench.lab-system"],
            running=description["State"]["Running"],
            ssh_port=int(ports["22/tcp"][0]["HostPort"]),
            load_address=networks[self._network]["IPAddress"],
            size=parse_size(labels[SIZE_LABEL]) if SIZE_LABEL in labels else None,
        )

    def _await_ssh(self, hosts: Sequence[LabHost]) -> None:
        deadline = time.monotonic() + SSH_TIMEOUT_S
        for host in hosts:
            while not _answers_ssh(host.ssh_port):
                if time.monotonic() > deadline:
                    log = docker("logs", "--tail=5", f"fwbench-{self.name}-{host.name}")
                    raise LabError(f"{host.name} does not answer SSH; its log ends: {log}")
                time.sleep(0.1)

    def _write_inventory(self, hosts: Sequence[LabHost], ca_certs: Sequence[Path]) -> None:
        """Write known_hosts, with keys read through the Docker engine, and the inventory."""
        lines = []
        for host in hosts:
            container = f"fwbench-{self.name}-{host.name}"
            key = docker("exec", container, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()
            lines.append(f"[127.0.0.1]:{host.ssh_port} {key[0]} {key[1]}\n")
        known_hosts = self.folder / "known_hosts"
        known_hosts.write_text("".join(lines))
        inventory = make_inventory(hosts, self.folder / "key", known_hosts, ca_certs)
        self.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False))


def _natural_order(name: str) -> tuple[str, int]:
    """Return a key that sorts `target-10` after `target-9`."""
    kind, _, number = name.rpartition("-")
    return kind, int(number)


def _limits(size: Size) -> tuple[str, ...]:
    return (
        f"--cpus={size.cpus:g}",
        f"--memory={size.memory}",
        f"--memory-swap={size.memory}",  # equal to the memory: no swap, as on a rented machine
        f"--label={SIZE_LABEL}={size}",
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers_ssh(port: int) -> bool:
    """Return whether an SSH server answers; Docker's proxy accepts connections before it does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
