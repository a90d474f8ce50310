"""The program and the lab as the tests see them: by their outsides."""

import signal
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from fwbench.providers.lab.docker import docker

# All hosts of a lab share the CPUs of one machine, which may itself be one of many on another. The
# kernel then lets h2load wait, and CPUs are taken away: a run is invalid for that alone, rightly.
OF_SHARED_CPUS = {"client-starved", "background-load", "steal"}
SOUND = (0, 8)  # all valid, or invalid for that


@dataclass(frozen=True)
class Program:
    """The installed `fwbench`, always called from a folder that has nothing to do with it."""

    command: Path
    environment: Mapping[str, str]
    anywhere: Path

    def __call__(
        self, *arguments: str | Path, exits: int | tuple[int, ...] = 0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.command, *arguments],
            cwd=self.anywhere,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        allowed = exits if isinstance(exits, tuple) else (exits,)
        assert done.returncode in allowed, (
            f"{arguments} exited {done.returncode}:\n{done.stderr[-5000:]}"
        )
        assert "Traceback" not in done.stderr
        return done

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.command, *arguments],
            cwd=self.anywhere,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Whoever runs the tests in the background may have it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


@dataclass(frozen=True)
class Lab:
    """A lab that is up, and a way into its hosts that is not fwbench's own."""

    inventory: Path

    @property
    def hosts(self) -> dict[str, dict[str, object]]:
        groups = yaml.safe_load(self.inventory.read_text())["all"]["children"]
        return {name: host for group in groups.values() for name, host in group["hosts"].items()}

    @property
    def targets(self) -> list[str]:
        return [name for name in self.hosts if name.startswith("target-")]

    def container(self, host: str) -> str:
        """The host as this machine's engine knows it."""
        return f"fwbench-{self.inventory.parent.name}-{host}"

    def within(self, host: str, *argv: str) -> str:
        """What a command prints on a host that may not answer SSH now."""
        return docker("exec", self.container(host), *argv)

    def ssh(
        self, host: str, command: str, given: str = "", *, user: str = "admin"
    ) -> subprocess.CompletedProcess[str]:
        variables = yaml.safe_load(self.inventory.read_text())["all"]["vars"]
        return subprocess.run(
            [
                "ssh",
                "-oBatchMode=yes",
                "-oStrictHostKeyChecking=yes",
                f"-oUserKnownHostsFile={variables['fwbench_known_hosts']}",
                f"-i{variables['ansible_ssh_private_key_file']}",
                f"-p{self.hosts[host]['ansible_port']}",
                f"{user}@127.0.0.1",
                command,
            ],
            input=given,
            capture_output=True,
            text=True,
        )

    def ask(self, host: str, command: str, given: str = "") -> str:
        done = self.ssh(host, command, given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def leftovers(self) -> dict[str, str]:
        """What a session may have forgotten on each host: containers, folders, load."""
        look = (
            "sudo docker ps --all --quiet 2>/dev/null;"
            " ls -d /var/tmp/fwbench-* /run/fwbench 2>/dev/null;"
            " pgrep -a h2load; pgrep -af 'agent[.]pyz'; true"
        )
        hosts = list(self.hosts)
        with ThreadPoolExecutor(len(hosts)) as pool:
            found = pool.map(lambda host: self.ask(host, look).strip(), hosts)
        return {host: text for host, text in zip(hosts, found, strict=True) if text}
