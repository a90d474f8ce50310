"""From bare hosts to a verdict and back, with real SSH, Docker, Ansible and h2load."""

import json
from pathlib import Path

import pytest
from program import Lab, Program

from fwbench import raw
from fwbench.judge import judge
from fwbench.store import Store

RELEASES = {"target-1": "13", "client-1": "13", "target-2": "12", "client-2": "12"}


@pytest.fixture(scope="module")
def smoke(program: Program, ready: Lab, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return _run(program, ready, "smoke", tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="module")
def published(program: Program, ready: Lab, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return _run(program, ready, "published", tmp_path_factory.mktemp("published"), exits=8)


def _run(program: Program, lab: Lab, suite: str, into: Path, exits: int = 0) -> Store:
    program("run", suite, "-i", lab.inventory, "-o", into, exits=exits)
    (session,) = into.iterdir()
    return Store(session)


def test_lab_hosts_are_what_a_cloud_rents_out(bare: Lab) -> None:
    for host, release in RELEASES.items():
        assert f'VERSION_ID="{release}"' in bare.ask(host, "cat /etc/os-release")
        assert bare.ask(host, "id -un").strip() == "admin"
        assert bare.ask(host, "sudo -n id -un").strip() == "root"
        assert bare.ssh(host, "true", user="root").returncode == 255
    assert len({str(host["ansible_port"]) for host in bare.hosts.values()}) == len(RELEASES)
    assert all(
        str(host["fwbench_load_address"]).startswith("198.18.") for host in bare.hosts.values()
    )


def test_a_second_lab_up_changes_nothing(program: Program, bare: Lab) -> None:
    before = bare.inventory.read_text()
    name = bare.inventory.parent.name
    again = program("lab", "up", "--name", name, "--targets", "2", "--clients", "2")
    assert again.stderr.strip() == "the lab is up; its inventory is"
    assert bare.inventory.read_text() == before


def test_doctor_finds_every_host_well(program: Program, ready: Lab) -> None:
    told = program("doctor", "-i", ready.inventory).stdout
    for host in RELEASES:
        (line,) = [line for line in told.splitlines() if line.startswith(host)]
        assert " ok " in line
        assert ("engine" if "target" in host else "h2load") in line


def test_a_second_provisioning_changes_nothing(program: Program, ready: Lab) -> None:
    for option in ([], ["--check"]):
        told = program("provision", "-i", ready.inventory, *option).stdout
        for host in RELEASES:
            (line,) = [line for line in told.splitlines() if line.startswith(host)]
            assert line.split() == [host, "ok", "0"]


def test_verify_confirms_it(program: Program, ready: Lab) -> None:
    program("verify", "-i", ready.inventory)


def test_both_releases_have_the_same_images(smoke: Store) -> None:
    targets = [facts for facts in smoke.header().facts if facts.host.startswith("target-")]
    assert len(targets) == 2
    assert len({facts.engine for facts in targets}) == 2
    first, second = ({image.name: image.image_id for image in facts.images} for facts in targets)
    assert first == second
    assert set(first) == {"flask", "fastapi"}


def test_the_smoke_suite_is_valid_on_both_releases(smoke: Store) -> None:
    records = smoke.records()
    assert len(records) == 4
    assert {record.verdict.word for record in records} == {"valid"}
    for record in records:
        load = record.observation.load
        assert load is not None
        assert load.log is not None
        assert load.log.successful_rows > 1000


def test_the_record_says_what_everything_was_made_of(smoke: Store) -> None:
    for facts in smoke.header().facts:
        assert facts.kernel
        assert facts.cpu_model
        if facts.host.startswith("target-"):
            for image in facts.images:
                assert "debian 13" in image.base or "python:3.13-slim" in image.base
                assert any(line.startswith("gunicorn==") for line in image.packages)
        else:
            assert facts.h2load


def test_every_figure_can_be_checked_from_the_folder(smoke: Store) -> None:
    contenders = {contender.name: contender for contender in smoke.header().contenders}
    for record in smoke.records():
        left = raw.read(smoke.run_folder(record.run.id), record.load)
        assert left.load == record.observation.load
        assert left.container_after == record.observation.container_after
        contender = contenders[record.run.trial.contender]
        assert judge(record.run, contender, record.observation) == record.verdict
        commands = json.loads((smoke.run_folder(record.run.id) / raw.COMMANDS).read_text())
        assert "--memory=512m" in commands["contender"]
        assert commands["load"][0] == "h2load"


def test_published_experiment_flask_is_valid_and_fastapi_is_not(published: Store) -> None:
    for record in published.records():
        codes = {finding.code for finding in record.verdict.findings}
        if record.run.trial.contender == "flask":
            assert record.verdict.word == "valid", codes
        else:
            assert record.verdict.word == "invalid"
            assert "oom-kill" in codes
            after = record.observation.container_after
            assert after is not None
            assert after.oom_kills is not None
            assert after.oom_kills > 0


def test_published_experiment_gets_no_ratio(program: Program, published: Store) -> None:
    told = program("report", published.folder, exits=8).stdout
    assert "oom-kill (invalid): fastapi" in told
    assert "fastapi / flask:" not in told.replace("fastapi / flask: no ratio", "")
    assert max(map(len, told.replace(str(published.folder), "").splitlines())) <= 100


def test_published_experiment_is_loaded_as_published(published: Store) -> None:
    for record in published.records():
        commands = json.loads((published.run_folder(record.run.id) / raw.COMMANDS).read_text())
        assert commands["load"][:4] == ["h2load", "--h1", "-n1000", "-c40"]
        assert {"--cpus=1", "--memory=100m"} <= set(commands["contender"])


def test_runs_leave_nothing_on_the_hosts(ready: Lab, smoke: Store, published: Store) -> None:
    assert smoke.records()
    assert published.records()
    assert ready.leftovers() == {}
