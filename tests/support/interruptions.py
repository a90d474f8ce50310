"""A session of many short runs that tests interrupt."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from lab_program import ACCEPTED_EXITS, Lab, Program

from fwbench.model.record import Record
from fwbench.providers.lab.docker import docker
from fwbench.storage.store import SessionStore

TIMEOUT_S = 120
SUITE = """
name: resumable
question: Is anything lost?
contenders: [flask]
loads:
  - {{connections: 4, requests: 200}}
limits:
  - {{cpus: 1, memory: 512m}}
blocks: {blocks}
start_timeout_s: 20
"""


class InterruptedSession:
    """One session, with all its resumptions."""

    def __init__(self, program: Program, lab: Lab, sessions: Path, blocks: int) -> None:
        self.program, self.lab, self.sessions = program, lab, sessions
        sessions.mkdir(parents=True, exist_ok=True)
        self.suite = sessions.parent / "resumable.yml"
        self.suite.write_text(SUITE.format(blocks=blocks))
        self.process: subprocess.Popen[str] | None = None

    def start(self, *options: str, sessions: Path | None = None) -> "subprocess.Popen[str]":
        """Start the session in the background, and wait for its first run."""
        self.sessions = sessions or self.sessions
        self.process = self.program.start(
            "run", self.suite, "-i", self.lab.inventory, "-o", self.sessions, *options
        )
        self.await_run()
        return self.process

    def resume_in_background(self, *options: str) -> "subprocess.Popen[str]":
        """Resume the session in the background."""
        self.process = self.program.start("resume", self.folder, *options)
        return self.process

    def resume(self, *options: str, exits: int | tuple[int, ...] = ACCEPTED_EXITS) -> str:
        """Resume the session to its end; return the program's output."""
        result = self.program("resume", self.folder, *options, exits=exits)
        return result.stdout + result.stderr

    def wait(self) -> tuple[int, str]:
        """Wait for the program's end; return its exit code and its output."""
        assert self.process is not None
        stdout, stderr = self.process.communicate(timeout=600)
        assert "Traceback" not in stderr, stderr
        return self.process.returncode, stdout + stderr

    def abort(self) -> None:
        """Stop what a failed test left running, because the next test needs the hosts."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        if self.lab.leftovers():
            self.program("prune", "-i", self.lab.inventory, "--force")

    @property
    def folder(self) -> Path:
        (folder,) = self.sessions.glob("resumable-*")
        return folder

    @property
    def store(self) -> SessionStore:
        return SessionStore(self.folder)

    @property
    def runs(self) -> Sequence[str]:
        return [run.id for run in self.store.plan().runs]

    def await_run(self, number: int = 1) -> None:
        """Wait until `number` runs have started."""
        deadline = time.monotonic() + TIMEOUT_S
        while len(list(self.sessions.glob("resumable-*/runs/*"))) < number:
            assert self.process is not None
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def assert_nothing_lost(self) -> Sequence[Record]:
        """Assert that each planned run has one record and its raw files, and hosts are clean."""
        store = self.store
        records = store.records()
        assert sorted(record.run.id for record in records) == sorted(self.runs)
        for rig in store.header().rigs:
            recorded = [record.run for record in records if record.run.rig == rig.name]
            assert recorded == list(store.plan().runs_of_rig(rig.name))
        for record in records:
            assert store.run_folder(record.run.id).is_dir()
        for record in store.lost_attempts():
            assert record.observation.failure
            assert record.verdict.status == "invalid"
        self.assert_clean()
        return records

    def summary(self, interruption: str) -> str:
        """Return a line for docs/reliability.md about the session's interruptions."""
        store = self.store
        interrupted = sum(event.kind == "interrupted" for event in store.events())
        records, failed = store.records(), [r for r in store.records() if r.observation.failure]
        return (
            f"{interruption}: {len(self.runs)} planned, {len(records)} recorded,"
            f" {len(failed)} of these as failed; interrupted and repeated: {interrupted};"
            f" lost, kept and repeated: {len(store.lost_attempts())}"
        )

    def assert_clean(self) -> None:
        """Assert that the session left nothing on any host."""
        assert self.lab.leftovers() == {}


@contextmanager
def frozen_connections(ports: Iterable[int]) -> Iterator[None]:
    """Stop all traffic between this machine and the lab's SSH ports."""
    wanted_ports = {str(port) for port in ports}
    proxies = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                argv = (entry / "cmdline").read_text().split("\0")
                if argv[0].endswith("docker-proxy") and wanted_ports & set(argv):
                    proxies.append(int(entry.name))
    if len(proxies) < len(wanted_ports):
        pytest.skip("the engine does not relay published ports by processes")
    try:
        for pid in proxies:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in proxies:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def small_disk(place: Path, kibibytes: int) -> Iterator[Path]:
    """Mount a small file system on this machine."""
    place.mkdir(parents=True)
    size = f"size={kibibytes}k,mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextmanager
def small_disk_of(container: str, kibibytes: int) -> Iterator[None]:
    """Mount a small file system on a host's /var/tmp."""
    pid = docker("inspect", "--format={{.State.Pid}}", container)
    inside = ["nsenter", f"--target={pid}", "--mount"]
    size = f"size={kibibytes}k,mode=1777"
    mount = [*inside, "mount", "-t", "tmpfs", "-o", size, "tmpfs", "/var/tmp"]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run([*inside, "umount", "/var/tmp"], check=True)
