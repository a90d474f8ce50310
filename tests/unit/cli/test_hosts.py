"""What the commands for hosts print where, and their exit codes."""

import signal
from collections.abc import Iterator, Sequence

import pytest
from builders import client_facts, rig, target_facts
from click.testing import CliRunner, Result

from fwbench.cli import hosts as commands
from fwbench.cli.main import main
from fwbench.hosts.cleanup import AgentCleanup, CleanupResult
from fwbench.model.host_check import NOT_YET, HostCheck
from fwbench.provisioning.playbook import HostResult, PlayResult

TARGET, CLIENT = rig().hosts


@pytest.fixture(autouse=True)
def _one_rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(commands, "load_rigs", lambda _: (rig(),))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def fwbench(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def examine(monkeypatch: pytest.MonkeyPatch, target: HostCheck, client: HostCheck) -> list[str]:
    """Let the doctor find this; return the hosts that it verifies, on which nothing is missing."""
    verified: list[str] = []

    def verify(checks: Sequence[HostCheck], *_: object) -> Sequence[HostCheck]:
        verified.extend(check.host.name for check in checks)
        return checks

    monkeypatch.setattr("fwbench.hosts.doctor.check_hosts", lambda _: (target, client))
    monkeypatch.setattr("fwbench.hosts.doctor.verify_hosts", verify)
    return verified


def target_check(**changes: str) -> HostCheck:
    facts = None if "error" in changes else target_facts(TARGET.name)
    return HostCheck(host=TARGET, rig="one", is_target=True, facts=facts, **changes)


def client_check(**changes: str) -> HostCheck:
    facts = client_facts(CLIENT.name)
    return HostCheck(host=CLIENT, rig="one", is_target=False, facts=facts, **changes)


def test_the_doctor_ends_well_where_all_hosts_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = examine(monkeypatch, target_check(), client_check())
    done = fwbench("doctor", "-i", "hosts.yml")
    assert done.exit_code == 0
    assert done.stderr == f"verification of {TARGET.name}, {CLIENT.name}\n"
    assert [line.split()[-1] for line in done.stdout.splitlines()[2:]] == ["yes", "yes"]
    assert verified == [TARGET.name, CLIENT.name]


def test_the_next_command_names_the_load_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    examine(monkeypatch, target_check(), client_check(missing="lacks wrk"))
    done = fwbench("doctor", "-i", "hosts.yml", "--loadgen", "wrk")
    assert done.exit_code == 7
    assert "run `fwbench provision -i hosts.yml --loadgen wrk`" in done.stderr


def test_an_unknown_load_generator_is_named_with_all_that_exist() -> None:
    done = fwbench("provision", "-i", "hosts.yml", "--loadgen", "ab")
    assert done.exit_code == 2
    assert "no load generator is called 'ab'; fwbench has h2load, wrk" in done.stderr


def test_hosts_before_provisioning_have_a_code_and_the_next_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verified = examine(monkeypatch, target_check(missing=NOT_YET), client_check(missing=NOT_YET))
    done = fwbench("doctor", "-i", "my hosts.yml", "--targets", "a,b")
    assert done.exit_code == 7
    assert done.stderr == (
        f"fwbench: not provisioned yet: {TARGET.name}, {CLIENT.name}; run"
        " `fwbench provision -i 'my hosts.yml' --targets a,b`\n"
    )
    assert [line.split()[-2:] for line in done.stdout.splitlines()[2:]] == [["not", "yet"]] * 2
    assert verified == []  # it has nothing to run Ansible for


def test_a_host_that_lacks_something_is_named_and_what_it_lacks_is_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FWBENCH_INVENTORY", "hosts.yml")
    examine(monkeypatch, target_check(missing="No Docker engine answers."), client_check())
    done = fwbench("doctor")
    assert done.exit_code == 7
    assert done.stderr.splitlines()[-1] == (
        f"fwbench: not provisioned completely: {TARGET.name}; run `fwbench provision`"
    )
    assert done.stdout.endswith(f"\n\n{TARGET.name}: No Docker engine answers.\n")


def test_a_host_that_is_broken_counts_more_than_one_that_lacks_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examine(monkeypatch, target_check(error="t: no sudo"), client_check(missing=NOT_YET))
    done = fwbench("doctor", "-i", "hosts.yml")
    assert (done.exit_code, done.stderr) == (5, "fwbench: t: no sudo\n")
    assert "failed: see below" in done.stdout
    assert "not yet" in done.stdout


# The answer alone is on standard output


@pytest.mark.parametrize("words", [("provision",), ("teardown",), ("provision", "--dry-run")])
def test_the_answer_of_a_playbook_is_a_table(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [HostResult(host=host.name, changed=1) for host in rig().hosts]

    def play(*_: object, on_task: object, **__: object) -> PlayResult:
        assert callable(on_task)
        on_task("Install something")
        return PlayResult(hosts=tuple(results))

    monkeypatch.setattr("fwbench.provisioning.provision.check_connections", lambda *_, **__: {})
    monkeypatch.setattr("fwbench.provisioning.provision.run_playbook", play)
    done = fwbench(*words, "-i", "hosts.yml")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        *["host", "-" * max(len(TARGET.name), len(CLIENT.name))],
        *[TARGET.name, CLIENT.name],
    ]
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{words[0]} of {TARGET.name}, {CLIENT.name}: ")
    assert second.endswith("task 1: Install something")


def test_the_answer_of_prune_is_a_table_and_a_host_that_failed_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nothing = AgentCleanup(
        removed=(),
        live_sessions=(),
        orphan_containers=0,
        abandoned_folders=0,
        provisioning_folders=0,
        unremovable=0,
    )
    results = [
        CleanupResult(host=TARGET.name, result=nothing),
        CleanupResult(host=CLIENT.name, error=f"{CLIENT.name}: no route"),
    ]
    monkeypatch.setattr("fwbench.hosts.cleanup.clean_hosts", lambda *_, **__: results)
    done = fwbench("prune", "-i", "hosts.yml")
    assert (done.exit_code, done.stderr) == (5, f"fwbench: {CLIENT.name}: no route\n")
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == [TARGET.name, CLIENT.name]
    assert done.stdout.splitlines()[2].endswith("nothing")


def test_of_a_lab_the_path_of_its_inventory_is_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`$(fwbench lab up)` is that path."""

    def up(*words: object) -> str:
        say = words[-1]
        assert callable(say)
        say("starting")
        return "hosts.yml"

    monkeypatch.setattr("fwbench.providers.lab.hosts.Lab.up", up)
    done = fwbench("lab", "up")
    assert (done.exit_code, done.stdout) == (0, "hosts.yml\n")
    assert done.stderr == "starting\nthe lab is up; its inventory is\n"


def test_of_a_lab_that_goes_there_is_progress_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "fwbench.providers.lab.hosts.Lab.down", lambda _lab, say, **_: say("removing")
    )
    done = fwbench("lab", "down")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "removing\n")
