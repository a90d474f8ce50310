"""Call the installed program, and access the lab's hosts without fwbench's own code."""

import signal
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from fwbench.providers.lab.docker import docker

# All hosts of a lab share the CPUs of one machine, which may be a virtual machine itself. h2load
# then waits for a CPU, or CPU time is stolen. Tests accept runs that are invalid only for this.
SHARED_CPU_FINDINGS = {"client-starved", "background-load", "steal"}
ACCEPTED_EXITS = (0, 8)  # all runs are valid, or some are invalid


@dataclass(frozen=True)
class Program:
    """The installed `fwbench`, called from an unrelated folder."""

    command: Path
    environment: Mapping[str, str]
    folder: Path

    def __call__(
        self, *arguments: str | Path, exits: int | tuple[int, ...] = 0
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [self.command, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        allowed = exits if isinstance(exits, tuple) else (exits,)
        assert result.returncode in allowed, (
            f"{arguments} exited {result.returncode}:\n{result.stderr[-5000:]}"
        )
        assert "Traceback" not in result.stderr
        return result

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.command, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell starts background jobs with SIGINT ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


@dataclass(frozen=True)
class Lab:
    """A running lab, and access to its hosts without fwbench's code."""

    inventory: Path

    @property
    def hosts(self) -> dict[str, dict[str, object]]:
        groups = yaml.safe_load(self.inventory.read_text())["all"]["children"]
        return {name: host for group in groups.values() for name, host in group["hosts"].items()}

    @property
    def targets(self) -> list[str]:
        return [name for name in self.hosts if name.startswith("target-")]

    def container(self, host: str) -> str:
        """Return the name of the host's container on this machine."""
        return f"fwbench-{self.inventory.parent.name}-{host}"

    def exec(self, host: str, *argv: str) -> str:
        """Return a command's output on a host, executed by Docker because SSH may be down."""
        return docker("exec", self.container(host), *argv)

    def ssh(
        self, host: str, command: str, stdin: str = "", *, user: str = "admin"
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
            input=stdin,
            capture_output=True,
            text=True,
        )

    def run(self, host: str, command: str, stdin: str = "") -> str:
        result = self.ssh(host, command, stdin)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def leftovers(self) -> dict[str, str]:
        """Return what sessions left on each host: containers, folders, load generators."""
        command = (
            "sudo docker ps --all --quiet 2>/dev/null;"
            " ls -d /var/tmp/fwbench-* /run/fwbench 2>/dev/null;"
            " pgrep -a h2load; pgrep -af 'agent[.]pyz'; true"
        )
        hosts = list(self.hosts)
        with ThreadPoolExecutor(len(hosts)) as pool:
            outputs = pool.map(lambda host: self.run(host, command).strip(), hosts)
        return {host: output for host, output in zip(hosts, outputs, strict=True) if output}
