"""What users and networks do to a session: one clear sentence, an exit code, and nothing left."""

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


def changed(lab: Lab, into: Path, **variables: object) -> Path:
    """A copy of the inventory in which the first rig's target has other variables."""
    inventory = yaml.safe_load(lab.inventory.read_text())
    groups = inventory["all"]["children"]
    for group, host in (("targets", "target-1"), ("clients", "client-1")):
        groups[group]["hosts"] = {host: groups[group]["hosts"][host]}
    groups["targets"]["hosts"]["target-1"] |= variables
    path = into / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory))
    return path


def complaint(program: Program, *arguments: str | Path, exits: int) -> str:
    """The one sentence in which a command says what is wrong."""
    told = program(*arguments, exits=exits).stderr.splitlines()
    sentences = [line for line in told if line.startswith("fwbench: ")]
    assert len(sentences) == 1, told
    return sentences[0]


COMMANDS = (["doctor"], ["provision"], ["run", "smoke"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
class TestAHostThat:
    def test_does_not_answer(
        self, program: Program, ready: Lab, tmp_path: Path, command: list[str]
    ) -> None:
        inventory = changed(ready, tmp_path, ansible_port=1)
        said = complaint(program, *command, "-i", inventory, exits=5)
        assert "target-1: 127.0.0.1:1 does not answer SSH" in said

    def test_refuses_the_key(
        self, program: Program, ready: Lab, tmp_path: Path, command: list[str]
    ) -> None:
        inventory = changed(ready, tmp_path, ansible_user="somebody-else")
        said = complaint(program, *command, "-i", inventory, exits=5)
        assert "target-1: " in said
        assert "refuses the login of somebody-else" in said

    def test_shows_another_host_key_than_before(
        self, program: Program, ready: Lab, tmp_path: Path, command: list[str]
    ) -> None:
        known = yaml.safe_load(ready.inventory.read_text())["all"]["vars"]["fwbench_known_hosts"]
        ours, other = (line.split() for line in Path(known).read_text().splitlines()[:2])
        forged = tmp_path / "known_hosts"
        forged.write_text(
            "".join(
                f"{' '.join([name, *other[1:]])}\n"
                for name in {str(line.split()[0]) for line in Path(known).read_text().splitlines()}
            )
        )
        assert ours != other
        hosts = yaml.safe_load(ready.inventory.read_text())
        hosts["all"]["vars"]["fwbench_known_hosts"] = str(forged)
        path = tmp_path / "forged.yml"
        path.write_text(yaml.safe_dump(hosts))
        told = program(*command, "-i", path, exits=5).stderr
        assert "shows another host key than before" in told
        assert str(forged) in told


def test_a_port_in_use_is_named_before_the_first_run(
    program: Program, ready: Lab, tmp_path: Path
) -> None:
    inventory = changed(ready, tmp_path)
    listen = "nohup python3 -m http.server 8002 >/dev/null 2>&1 & echo $!"
    pid = int(ready.run("target-1", listen))
    try:
        said = complaint(program, "run", "smoke", "-i", inventory, "-o", tmp_path, exits=7)
        assert "target-1: port 8002 is in use, fastapi needs it" in said
    finally:
        ready.run("target-1", f"kill {pid}")
    assert list(tmp_path.iterdir()) == [inventory]


def test_names_and_addresses_are_data_and_never_shell(
    program: Program, ready: Lab, tmp_path: Path
) -> None:
    hostile = """tar get'; touch /tmp/pwned; $(touch /tmp/pwned) `touch /tmp/pwned` "&|"""
    inventory = yaml.safe_load(changed(ready, tmp_path).read_text())
    targets = inventory["all"]["children"]["targets"]["hosts"]
    targets[hostile] = targets.pop("target-1")
    path = tmp_path / "hostile; $(touch pwned).yml"
    path.write_text(yaml.safe_dump(inventory))
    told = program("run", "smoke", "-i", path, "-o", tmp_path / "a 'b' $(c)", exits=ACCEPTED_EXITS)
    assert "flask" in told.stdout
    for host in ("target-1", "client-1"):
        assert ready.ssh(host, "ls /tmp/pwned").returncode != 0
    assert not Path("/tmp/pwned").exists()
    assert not (program.folder / "pwned").exists()

    targets[hostile]["ansible_host"] = "-oProxyCommand=touch /tmp/pwned"
    path.write_text(yaml.safe_dump(inventory))
    complaint(program, "run", "smoke", "-i", path, exits=4)
    assert not Path("/tmp/pwned").exists()


class Silent:
    """Nobody watches."""

    def say(self, text: str) -> None: ...
    def planned(self, plan: Plan, executed: int) -> None: ...
    def started(self, run: Run) -> None: ...
    def ended(self, record: Record) -> None: ...


@pytest.fixture
def rig(ready: Lab) -> Rig:
    first, _ = parse_rigs(list_inventory(Inventory((ready.inventory,))), "the lab")
    return first


@pytest.fixture
def broken(ready: Lab) -> Iterator[Any]:
    """Makes an image on the first target out of Flask's, with another command."""
    made = []

    def make(name: str, command: list[str]) -> Contender:
        made.append(name)
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

    yield make
    for name in made:
        ready.run(
            "target-1",
            f"sudo docker rmi --force fwbench/{name}:current >/dev/null;"
            f" sudo rm /var/lib/fwbench/images/{name}.json",
        )


def only_record(contender: Contender, rig: Rig, into: Path) -> Record:
    suite = Suite(
        name="broken",
        question="What becomes of it?",
        contenders=(contender.name,),
        loads=(Load(connections=2, duration_s=1),),
        limits=(Limits(cpus=1, memory="128m"),),
        preset=Preset.SMOKE,
        start_timeout_s=4,
    )
    store = Session.new(
        suite, {contender.name: contender}, [rig], into, SessionOptions(Silent())
    ).run()
    (record,) = store.records()
    return record


def codes(record: Record) -> dict[str, str]:
    return {finding.code: finding.evidence for finding in record.verdict.findings}


def test_a_contender_that_crashes_at_start(
    broken: Any, rig: Rig, ready: Lab, sessions: Path
) -> None:
    record = only_record(
        broken("crashing", ["python3", "-c", "raise SystemExit(3)"]), rig, sessions
    )
    assert record.verdict.status == "invalid"
    assert "exit code: 3" in codes(record)["container-stopped"]
    assert record.observation.load is None
    assert ready.leftovers() == {}


def test_a_contender_that_never_answers(broken: Any, rig: Rig, ready: Lab, sessions: Path) -> None:
    record = only_record(broken("mute", ["sleep", "600"]), rig, sessions)
    assert record.verdict.status == "invalid"
    assert "never-ready" in codes(record)
    assert record.observation.load is None
    assert ready.leftovers() == {}


def test_a_contender_with_a_wrong_answer(broken: Any, rig: Rig, ready: Lab, sessions: Path) -> None:
    server = ["python3", "-m", "http.server", "8001", "--directory", "/opt/venv"]
    record = only_record(broken("liar", server), rig, sessions)
    assert record.verdict.status == "invalid"
    assert "content type" in codes(record)["contract-broken"]
    assert ready.leftovers() == {}


@pytest.mark.parametrize("after_s", [0.7, 1, 1.6, 2.2, 3, 4.5, 6])
def test_ctrl_c_keeps_the_session_and_leaves_nothing(
    program: Program, ready: Lab, tmp_path: Path, after_s: float
) -> None:
    running = program.start("run", "smoke", "-i", ready.inventory, "-o", tmp_path)
    time.sleep(after_s)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    if running.returncode == -signal.SIGINT:  # on a slow machine Python was still importing
        assert "connecting" not in told
        assert list(tmp_path.iterdir()) == []
        return
    assert running.returncode == 130, told
    assert "Traceback" not in told
    assert told.splitlines()[-1] == "fwbench: interrupted"
    for session in tmp_path.iterdir():
        assert str(session) in told
        assert (session / "plan.json").exists()
        # The runs that ended before may be invalid because the hosts share CPUs.
        program("report", session, exits=ACCEPTED_EXITS)
    assert ready.leftovers() == {}


def test_ctrl_c_ends_provisioning_too(program: Program, ready: Lab) -> None:
    running = program.start("provision", "-i", ready.inventory)
    time.sleep(4)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert told.splitlines()[-1] == "fwbench: interrupted"
    program("provision", "-i", ready.inventory)
