"""Execute runs with a fault: a server that misbehaves, or a harmful command during the load."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from lab_program import Lab
from repository import ROOT

from fwbench.config.suites import load_contenders
from fwbench.execution.session import Session, SessionOptions
from fwbench.model.contender import Contender, Contract
from fwbench.model.host import Rig
from fwbench.model.load import Load
from fwbench.model.record import Record
from fwbench.model.run import Plan, Run
from fwbench.model.setting import Limits
from fwbench.model.suite import Suite
from fwbench.storage.store import SessionStore

SERVER = Path(__file__).with_name("oracle_server.py")
CONTENDERS = load_contenders(ROOT / "contenders")

# Names of folders and containers begin with `fwbench-` and this.
NAME = "faults"
# The file on the client with the load generator's pid.
LOAD_PID = f"/var/tmp/fwbench-session-{NAME}-*/*/load.pid"

LOAD = Load(connections=4, warm_up_s=1, duration_s=2)
LIMITS = Limits(cpus=1, memory="256m")


class SilentObserver:
    """An observer that ignores everything."""

    def say(self, text: str) -> None: ...
    def planned(self, plan: Plan, executed: int) -> None: ...
    def started(self, run: Run) -> None: ...
    def ended(self, record: Record) -> None: ...


class Oracle:
    """A factory of contenders of the oracle server, with images on the first target."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.contenders: dict[str, Contender] = {}
        folder = lab.run("target-1", "mktemp -d").strip()
        lab.run("target-1", f"cat > {folder}/server.py", SERVER.read_text())
        self._build("oracle", "FROM fwbench/flask:current\nCOPY server.py /srv/", folder)
        lab.run("target-1", f"rm -r {folder}")

    def __call__(self, *arguments: str) -> Contender:
        """Return the contender that executes the oracle server with these arguments."""
        name = "-".join(["oracle", *arguments]).replace("--", "").replace(".", "-")
        if name not in self.contenders:
            command = json.dumps(["python3", "/srv/server.py", *arguments])
            self._build(name, f"FROM fwbench/oracle:current\nCMD {command}")
            self.contenders[name] = Contender(
                name=name,
                summary="a server whose latencies are known",
                port=8001,
                workers=1,
                processes=2 if "--worker" in arguments else 1,
                endpoints={"hello": Contract(path="/", content_type="text/plain", body="hello")},
            )
        return self.contenders[name]

    def remove(self) -> None:
        """Remove the images and their records from the target."""
        for name in (*self.contenders, "oracle"):
            self.lab.run(
                "target-1",
                f"sudo docker rmi --force fwbench/{name}:current >/dev/null;"
                f" sudo rm /var/lib/fwbench/images/{name}.json",
            )

    def _build(self, name: str, dockerfile: str, folder: str = "") -> None:
        """Build an image and write its record, as provisioning does, from the record of Flask."""
        tag = f"fwbench/{name}:current"
        context = f"--file=- {folder}" if folder else "-"
        self.lab.run(
            "target-1",
            f"sudo docker build --tag {tag} {context} >/dev/null &&"
            f" id=$(sudo docker image inspect --format '{{{{.Id}}}}' {tag}) &&"
            ' sed "s/\\"image_id\\": .*/\\"image_id\\": \\"$id\\",/;'
            f' s/\\"name\\": .*/\\"name\\": \\"{name}\\",/"'
            f" /var/lib/fwbench/images/flask.json | sudo tee /var/lib/fwbench/images/{name}.json",
            dockerfile,
        )


class FaultyRig:
    """A rig on which tests execute runs and inject faults."""

    def __init__(self, lab: Lab, rig: Rig, sessions: Path) -> None:
        self.lab, self.rig, self.sessions = lab, rig, sessions
        self.store: SessionStore | None = None

    def records(
        self, contenders: Mapping[str, Contender], load: Load, limits: Limits, blocks: int
    ) -> Sequence[Record]:
        """Return the records of a whole session."""
        suite = Suite(
            name=NAME,
            question="Which findings does this fault cause?",
            contenders=tuple(contenders),
            loads=(load,),
            limits=(limits,),
            blocks=blocks,
            start_timeout_s=6,
        )
        self.store = Session.new(
            suite, contenders, [self.rig], self.sessions, SessionOptions(SilentObserver())
        ).run()
        return self.store.records()

    def record(
        self, contender: Contender | str, load: Load = LOAD, limits: Limits = LIMITS
    ) -> Record:
        """Return the record of one run, of a contender or the name of a bundled one."""
        if isinstance(contender, str):
            contender = CONTENDERS[contender]
        (record,) = self.records({contender.name: contender}, load, limits, blocks=1)
        for code, evidence in codes(record).items():
            print(f"{code}: {evidence}")  # pytest shows it if the test fails
        return record

    def run_folder(self, record: Record) -> Path:
        """Return the folder with the raw files of a run of the last session."""
        assert self.store is not None
        return self.store.run_folder(record.run.id)

    @contextmanager
    def changed(self, host: str, command: str, *, back: str) -> Iterator[None]:
        """Execute a command on a host, and afterwards the command that undoes it."""
        try:
            self.lab.run(host, command)
            yield
        finally:
            self.lab.run(host, back)

    @contextmanager
    def meanwhile(self, host: str, command: str, *, after_s: float = 1.5) -> Iterator[None]:
        """Execute a command on a host when the load has run for `after_s` seconds."""
        await_load = f"timeout 20 sh -c 'until ls {LOAD_PID} 2>/dev/null; do sleep 0.02; done'"

        def inject() -> None:
            self.lab.run("client-1", await_load)
            time.sleep(after_s)
            self.lab.run(host, command)

        with ThreadPoolExecutor(1) as thread:
            injection = thread.submit(inject)
            yield
            injection.result(timeout=30)


def codes(record: Record) -> dict[str, str]:
    """Return the findings' evidence, by code."""
    return {finding.code: finding.evidence for finding in record.verdict.findings}
