"""Failures that users and networks cause: one error message, an exit code, and clean hosts."""

import json
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab_program import ACCEPTED_EXITS, Lab, Program

from fwbench.execution.session import Session, SessionOptions
from fwbench.inventory.rigs import parse_rigs
from fwbench.model.contender import Contender, Contract
from fwbench.model.host import Rig
from fwbench.model.load import Load
from fwbench.model.preset import Preset
from fwbench.model.record import Record
from fwbench.model.run import Plan, Run
from fwbench.model.setting import Limits
from fwbench.model.suite import Suite
from fwbench.provisioning.inventory import Inventory, list_inventory


def changed_inventory(lab: Lab, folder: Path, **variables: object) -> Path:
    """Write an inventory of the first rig, with these variables of its target; return its path."""
    inventory = yaml.safe_load(lab.inventory.read_text())
    groups = inventory["all"]["children"]
    for group, host in (("targets", "target-1"), ("clients", "client-1")):
        groups[group]["hosts"] = {host: groups[group]["hosts"][host]}
    groups["targets"]["hosts"]["target-1"] |= variables
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory))
    return path


def error_message(program: Program, *arguments: str | Path, exits: int) -> str:
    """Return the only error message that a command prints."""
    lines = program(*arguments, exits=exits).stderr.splitlines()
    messages = [line for line in lines if line.startswith("fwbench: ")]
    assert len(messages) == 1, lines
    return messages[0]


COMMANDS = (["doctor"], ["provision"], ["run", "smoke"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
class TestUnusableHost:
    def test_closed_port_is_reported(
        self, program: Program, ready: Lab, tmp_path: Path, command: list[str]
    ) -> None:
        inventory = changed_inventory(ready, tmp_path, ansible_port=1)
        message = error_message(program, *command, "-i", inventory, exits=5)
        assert "target-1: 127.0.0.1:1 does not answer SSH" in message

    def test_refused_login_is_reported(
        self, program: Program, ready: Lab, tmp_path: Path, command: list[str]
    ) -> None:
        inventory = changed_inventory(ready, tmp_path, ansible_user="somebody-else")
        message = error_message(program, *command, "-i", inventory, exits=5)
        assert "target-1: " in message
        assert "refuses the login of somebody-else" in message

    def test_changed_host_key_is_reported(
        self, program: Program, ready: Lab, tmp_path: Path, command: list[str]
    ) -> None:
        inventory = yaml.safe_load(ready.inventory.read_text())
        known_hosts = Path(inventory["all"]["vars"]["fwbench_known_hosts"])
        first_key, other_key = (line.split() for line in known_hosts.read_text().splitlines()[:2])
        forged = tmp_path / "known_hosts"
        forged.write_text(
            "".join(
                f"{' '.join([name, *other_key[1:]])}\n"
                for name in {str(line.split()[0]) for line in known_hosts.read_text().splitlines()}
            )
        )
        assert first_key != other_key
        inventory["all"]["vars"]["fwbench_known_hosts"] = str(forged)
        path = tmp_path / "forged.yml"
        path.write_text(yaml.safe_dump(inventory))
        stderr = program(*command, "-i", path, exits=5).stderr
        assert "shows another host key than before" in stderr
        assert str(forged) in stderr


def test_port_in_use_is_reported_before_first_run(
    program: Program, ready: Lab, tmp_path: Path
) -> None:
    inventory = changed_inventory(ready, tmp_path)
    listen = "nohup python3 -m http.server 8002 >/dev/null 2>&1 & echo $!"
    pid = int(ready.run("target-1", listen))
    try:
        message = error_message(program, "run", "smoke", "-i", inventory, "-o", tmp_path, exits=7)
        assert "target-1: port 8002 is in use, fastapi needs it" in message
    finally:
        ready.run("target-1", f"kill {pid}")
    assert list(tmp_path.iterdir()) == [inventory]


def test_names_and_addresses_are_never_executed_by_a_shell(
    program: Program, ready: Lab, tmp_path: Path
) -> None:
    hostile = """tar get'; touch /tmp/pwned; $(touch /tmp/pwned) `touch /tmp/pwned` "&|"""
    inventory = yaml.safe_load(changed_inventory(ready, tmp_path).read_text())
    targets = inventory["all"]["children"]["targets"]["hosts"]
    targets[hostile] = targets.pop("target-1")
    path = tmp_path / "hostile; $(touch pwned).yml"
    path.write_text(yaml.safe_dump(inventory))
    output = tmp_path / "a 'b' $(c)"
    result = program("run", "smoke", "-i", path, "-o", output, exits=ACCEPTED_EXITS)
    assert "flask" in result.stdout
    for host in ("target-1", "client-1"):
        assert ready.ssh(host, "ls /tmp/pwned").returncode != 0
    assert not Path("/tmp/pwned").exists()
    assert not (program.folder / "pwned").exists()

    targets[hostile]["ansible_host"] = "-oProxyCommand=touch /tmp/pwned"
    path.write_text(yaml.safe_dump(inventory))
    error_message(program, "run", "smoke", "-i", path, exits=4)
    assert not Path("/tmp/pwned").exists()


class SilentObserver:
    """An observer that ignores everything."""

    def say(self, text: str) -> None: ...
    def planned(self, plan: Plan, executed: int) -> None: ...
    def started(self, run: Run) -> None: ...
    def ended(self, record: Record) -> None: ...


@pytest.fixture
def rig(ready: Lab) -> Rig:
    """Return the lab's first rig."""
    first, _ = parse_rigs(list_inventory(Inventory((ready.inventory,))), "the lab")
    return first


@pytest.fixture
def build_contender(ready: Lab) -> Iterator[Any]:
    """Yield a function that builds a contender: Flask's image with another command."""
    built = []

    def build(name: str, command: list[str]) -> Contender:
        built.append(name)
        dockerfile = f"FROM fwbench/flask:current\nCMD {json.dumps(command)}\n"
        tag = f"fwbench/{name}:current"
        ready.run(
            "target-1",
            f"printf %s {shlex.quote(dockerfile)} | sudo docker build --tag {tag} - >/dev/null &&"
            f" id=$(sudo docker image inspect --format '{{{{.Id}}}}' {tag}) &&"
            ' sed "s/\\"image_id\\": .*/\\"image_id\\": \\"$id\\",/;'
            f' s/\\"name\\": .*/\\"name\\": \\"{name}\\",/"'
            f" /var/lib/fwbench/images/flask.json | sudo tee /var/lib/fwbench/images/{name}.json",
        )
        return Contender(
            name=name,
            summary=name,
            port=8001,
            workers=4,
            processes=1,
            endpoints={"hello": Contract(path="/", content_type="text/plain", body="hello")},
        )

    yield build
    for name in built:
        ready.run(
            "target-1",
            f"sudo docker rmi --force fwbench/{name}:current >/dev/null;"
            f" sudo rm /var/lib/fwbench/images/{name}.json",
        )


def record_of(contender: Contender, rig: Rig, sessions: Path) -> Record:
    """Return the record of a session's only run."""
    suite = Suite(
        name="broken",
        question="Is the failure reported?",
        contenders=(contender.name,),
        loads=(Load(connections=2, duration_s=1),),
        limits=(Limits(cpus=1, memory="128m"),),
        preset=Preset.SMOKE,
        start_timeout_s=4,
    )
    store = Session.new(
        suite, {contender.name: contender}, [rig], sessions, SessionOptions(SilentObserver())
    ).run()
    (record,) = store.records()
    return record


def evidence_by_code(record: Record) -> dict[str, str]:
    return {finding.code: finding.evidence for finding in record.verdict.findings}


def test_contender_that_crashes_at_start_is_invalid(
    build_contender: Any, rig: Rig, ready: Lab, sessions: Path
) -> None:
    record = record_of(
        build_contender("crashing", ["python3", "-c", "raise SystemExit(3)"]), rig, sessions
    )
    assert record.verdict.status == "invalid"
    assert "exit code: 3" in evidence_by_code(record)["container-stopped"]
    assert record.observation.load is None
    assert ready.leftovers() == {}


def test_contender_that_never_answers_is_invalid(
    build_contender: Any, rig: Rig, ready: Lab, sessions: Path
) -> None:
    record = record_of(build_contender("mute", ["sleep", "600"]), rig, sessions)
    assert record.verdict.status == "invalid"
    assert "never-ready" in evidence_by_code(record)
    assert record.observation.load is None
    assert ready.leftovers() == {}


def test_contender_with_wrong_answer_is_invalid(
    build_contender: Any, rig: Rig, ready: Lab, sessions: Path
) -> None:
    server = ["python3", "-m", "http.server", "8001", "--directory", "/opt/venv"]
    record = record_of(build_contender("liar", server), rig, sessions)
    assert record.verdict.status == "invalid"
    assert "content type" in evidence_by_code(record)["contract-broken"]
    assert ready.leftovers() == {}


@pytest.mark.parametrize("after_s", [0.7, 1, 1.6, 2.2, 3, 4.5, 6])
def test_ctrl_c_keeps_the_session_and_cleans_the_hosts(
    program: Program, ready: Lab, tmp_path: Path, after_s: float
) -> None:
    process = program.start("run", "smoke", "-i", ready.inventory, "-o", tmp_path)
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    if process.returncode == -signal.SIGINT:  # on a slow machine, Python is still importing
        assert "connecting" not in stderr
        assert list(tmp_path.iterdir()) == []
        return
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1] == "fwbench: interrupted"
    for session in tmp_path.iterdir():
        assert str(session) in stderr
        assert (session / "plan.json").exists()
        # Completed runs may be invalid because the hosts share CPUs.
        program("report", session, exits=ACCEPTED_EXITS)
    assert ready.leftovers() == {}


def test_ctrl_c_interrupts_provisioning(program: Program, ready: Lab) -> None:
    process = program.start("provision", "-i", ready.inventory)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "fwbench: interrupted"
    program("provision", "-i", ready.inventory)
