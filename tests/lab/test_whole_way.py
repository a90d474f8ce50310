"""Provisioning, runs and reports with real SSH, Docker, Ansible and h2load."""

import json
from pathlib import Path

import pytest
from lab_program import ACCEPTED_EXITS, SHARED_CPU_FINDINGS, Lab, Program

from fwbench.checks.evaluate import evaluate_run
from fwbench.collection import artifacts, files
from fwbench.model.record import Record
from fwbench.model.verdict import Level
from fwbench.stats.summary import Summary
from fwbench.storage.store import SessionStore

RELEASES = {"target-1": "13", "client-1": "13", "target-2": "12", "client-2": "12"}


@pytest.fixture(scope="module")
def smoke(program: Program, ready: Lab, tmp_path_factory: pytest.TempPathFactory) -> SessionStore:
    """Return a session of the smoke suite."""
    return _run(program, ready, "smoke", tmp_path_factory.mktemp("smoke"), exits=ACCEPTED_EXITS)


@pytest.fixture(scope="module")
def published(
    program: Program, ready: Lab, tmp_path_factory: pytest.TempPathFactory
) -> SessionStore:
    """Return a session of the published experiment."""
    return _run(program, ready, "published", tmp_path_factory.mktemp("published"), exits=8)


def _run(
    program: Program, lab: Lab, suite: str | Path, sessions: Path, exits: int | tuple[int, ...]
) -> SessionStore:
    program("run", suite, "-i", lab.inventory, "-o", sessions, exits=exits)
    (session,) = sessions.iterdir()
    return SessionStore(session)


def invalid_codes(record: Record) -> set[str]:
    return {f.code for f in record.verdict.findings if f.level is Level.INVALID}


def test_lab_hosts_resemble_cloud_hosts(bare: Lab) -> None:
    for host, release in RELEASES.items():
        assert f'VERSION_ID="{release}"' in bare.run(host, "cat /etc/os-release")
        assert bare.run(host, "id -un").strip() == "admin"
        assert bare.run(host, "sudo -n id -un").strip() == "root"
        assert bare.ssh(host, "true", user="root").returncode == 255
    assert len({str(host["ansible_port"]) for host in bare.hosts.values()}) == len(RELEASES)
    assert all(
        str(host["fwbench_load_address"]).startswith("198.18.") for host in bare.hosts.values()
    )


def test_second_lab_up_changes_nothing(program: Program, bare: Lab) -> None:
    before = bare.inventory.read_text()
    name = bare.inventory.parent.name
    again = program("lab", "up", "--name", name, "--targets", "2", "--clients", "2")
    assert again.stderr.strip() == "the lab is up; its inventory is"
    assert bare.inventory.read_text() == before


def test_doctor_reports_every_host_as_ok(program: Program, ready: Lab) -> None:
    stdout = program("doctor", "-i", ready.inventory).stdout
    for host in RELEASES:
        (line,) = [line for line in stdout.splitlines() if line.startswith(host)]
        assert " ok " in line
        assert ("Docker" if "target" in host else "h2load") in line
        assert line.endswith(" yes")


def test_second_provisioning_changes_nothing(program: Program, ready: Lab) -> None:
    for option in ([], ["--check"]):
        stdout = program("provision", "-i", ready.inventory, *option).stdout
        for host in RELEASES:
            (line,) = [line for line in stdout.splitlines() if line.startswith(host)]
            assert line.split() == [host, f"rig-{host[-1]}", "ok", "0"]


def test_both_releases_have_the_same_images(smoke: SessionStore) -> None:
    targets = [facts for facts in smoke.header().facts if facts.host.startswith("target-")]
    assert len(targets) == 2
    assert len({facts.engine for facts in targets}) == 2
    first, second = ({image.name: image.image_id for image in facts.images} for facts in targets)
    assert first == second
    assert set(first) == {"flask", "fastapi"}


def test_smoke_suite_is_valid_on_both_releases(smoke: SessionStore) -> None:
    records = smoke.records()
    assert len(records) == 4
    assert all(invalid_codes(record) <= SHARED_CPU_FINDINGS for record in records)
    for record in records:
        load = record.observation.load
        assert load is not None
        assert load.log is not None
        assert load.log.successful_rows > 1000


def test_facts_contain_all_versions(smoke: SessionStore) -> None:
    for facts in smoke.header().facts:
        assert facts.kernel
        assert facts.cpu_model
        if facts.host.startswith("target-"):
            for image in facts.images:
                assert "debian 13" in image.base or "python:3.13-slim" in image.base
                assert any(line.startswith("gunicorn==") for line in image.packages)
        else:
            assert facts.versions["h2load"]


def test_results_can_be_reproduced_from_the_session_folder(smoke: SessionStore) -> None:
    contenders = {contender.name: contender for contender in smoke.header().contenders}
    for record in smoke.records():
        reread = artifacts.read_artifacts(smoke.run_folder(record.run.id), record.load)
        assert reread.load == record.observation.load
        assert reread.container_after == record.observation.container_after
        contender = contenders[record.run.trial.contender]
        assert evaluate_run(record.run, contender, record.observation) == record.verdict
        commands = json.loads((smoke.run_folder(record.run.id) / files.COMMANDS).read_text())
        assert "--memory=512m" in commands["contender"]
        assert commands["load"][0]["argv"][0] == "h2load"


def test_published_experiment_is_valid_only_for_flask(published: SessionStore) -> None:
    for record in published.records():
        codes = invalid_codes(record)
        if record.run.trial.contender == "flask":
            assert codes <= SHARED_CPU_FINDINGS
        else:
            assert record.verdict.status == "invalid"
            assert "oom-kill" in codes
            container = record.observation.container_after
            assert container is not None
            assert container.oom_kills is not None
            assert container.oom_kills > 0


def test_published_experiment_gets_no_ratio(program: Program, published: SessionStore) -> None:
    report = program("report", published.folder, exits=8).stdout
    assert "oom-kill (invalid): fastapi" in report
    assert "fastapi / flask:" not in report.replace("fastapi / flask: no ratio", "")
    assert max(map(len, report.replace(str(published.folder), "").splitlines())) <= 100


def test_published_experiment_uses_the_published_settings(published: SessionStore) -> None:
    for record in published.records():
        commands = json.loads((published.run_folder(record.run.id) / files.COMMANDS).read_text())
        assert commands["load"][0]["argv"][:4] == ["h2load", "--h1", "-n1000", "-c40"]
        assert {"--cpus=1", "--memory=100m"} <= set(commands["contender"])


LOADS = """\
name: every-kind
question: Does every kind of load and setting work?
contenders: [flask]
baseline: flask
endpoints: [json]
loads:
  - {connections: 20, rate: 200, warm_up_s: 1, duration_s: 6}
  - connections: 20
    search: {p99_ms: 40, lowest: 50, highest: 20000, steps: 3}
    duration_s: 2
limits:
  - {cpus: 0.5, memory: 256m}
concurrency: [{workers: 1, threads: 8}]
networks: [published, host]
preset: smoke
"""


@pytest.fixture(scope="module")
def every_kind(
    program: Program, ready: Lab, tmp_path_factory: pytest.TempPathFactory
) -> SessionStore:
    """Return a session with every kind of load and setting."""
    place = tmp_path_factory.mktemp("kinds")
    (place / "suite.yml").write_text(LOADS)
    return _run(program, ready, place / "suite.yml", place / "sessions", exits=ACCEPTED_EXITS)


def test_every_kind_of_load_and_setting_is_executed(every_kind: SessionStore) -> None:
    records = every_kind.records()
    assert len(records) == 2 * 2 * (1 + 3)
    for record in records:
        step_findings = {"rate-not-reached", "loadgen-timeout"} if record.run.step else set()
        assert invalid_codes(record) <= SHARED_CPU_FINDINGS | step_findings
        commands = json.loads((every_kind.run_folder(record.run.id) / files.COMMANDS).read_text())
        argv = commands["contender"]
        assert {"--env=FWBENCH_WORKERS=1", "--env=FWBENCH_THREADS=8", "--cpus=0.5"} <= set(argv)
        assert ("--network=host" in argv) is (record.run.trial.network == "host")
        container = record.observation.container_before
        assert container is not None
        assert len(container.processes) == 2


def test_fixed_rate_is_offered_and_its_latencies_are_corrected(every_kind: SessionStore) -> None:
    for record in every_kind.records():
        load = record.observation.load
        if record.run.step is None and load is not None and load.log is not None:
            assert load.log.rows == pytest.approx(200 * 6, rel=0.02)
            assert load.log.corrected_latency is not None
            assert load.log.corrected_latency.p50_us is not None


def test_search_starts_in_the_middle_and_changes_its_rate(every_kind: SessionStore) -> None:
    steps = [record for record in every_kind.records() if record.run.step]
    assert {record.observation.offered_rate for record in steps if record.run.step == 1} == {1000.0}
    assert len({record.observation.offered_rate for record in steps}) > 1


def test_both_hosts_have_telemetry_and_their_clocks_are_compared(smoke: SessionStore) -> None:
    for record in smoke.records():
        observation = record.observation
        assert observation.target is not None
        assert observation.target.container is not None
        assert observation.target.container.cores is not None
        assert observation.target.container.cores > 0.1
        (client,) = observation.clients
        assert client.usage is not None
        assert any(thread.cores > 0 for thread in client.usage.threads)
        assert client.clock is not None
        assert abs(client.clock.client_minus_target_s) <= client.clock.uncertainty_s + 0.05
        for host in (observation.target, client.usage):
            assert host.sampler_cores is not None
            assert host.sampler_cores < 0.05


def test_session_is_reported_as_json_and_hdr(program: Program, every_kind: SessionStore) -> None:
    folder = every_kind.folder
    summary = Summary.model_validate_json(
        program("report", folder, "--format", "json", exits=ACCEPTED_EXITS).stdout
    )
    assert summary.executed == len(every_kind.records())
    assert program("report", folder, "--format", "hdr", exits=ACCEPTED_EXITS).stdout.startswith(
        "#["
    )


def test_runs_leave_nothing_on_the_hosts(
    ready: Lab, smoke: SessionStore, published: SessionStore
) -> None:
    assert smoke.records()
    assert published.records()
    assert ready.leftovers() == {}
