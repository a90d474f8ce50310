"""Output streams and exit codes of the commands for hosts."""

import signal
from collections.abc import Iterator, Sequence

import pytest
from builders import client_facts, rig, target_facts
from click.testing import CliRunner, Result

from fwbench.cli import hosts as commands
from fwbench.cli.main import main
from fwbench.hosts.cleanup import AgentCleanup, CleanupResult
from fwbench.loadgen.registry import LOADGENS
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


def fwbench(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def mock_checks(monkeypatch: pytest.MonkeyPatch, target: HostCheck, client: HostCheck) -> list[str]:
    """Replace the checks of `doctor`; return a list of the hosts that it verifies with Ansible."""
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


def test_doctor_exits_0_if_all_hosts_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = mock_checks(monkeypatch, target_check(), client_check())
    result = fwbench("doctor", "-i", "hosts.yml")
    assert result.exit_code == 0
    assert result.stderr == f"verification of {TARGET.name}, {CLIENT.name}\n"
    assert [line.split()[-1] for line in result.stdout.splitlines()[2:]] == ["yes", "yes"]
    assert verified == [TARGET.name, CLIENT.name]


def test_suggested_command_names_the_load_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    mock_checks(monkeypatch, target_check(), client_check(missing="lacks wrk"))
    result = fwbench("doctor", "-i", "hosts.yml", "--loadgen", "wrk")
    assert result.exit_code == 7
    assert "run `fwbench provision -i hosts.yml --loadgen wrk`" in result.stderr


def test_unknown_load_generator_error_lists_all() -> None:
    result = fwbench("provision", "-i", "hosts.yml", "--loadgen", "ab")
    assert result.exit_code == 2
    assert f"no load generator is called 'ab'; fwbench has {', '.join(LOADGENS)}" in result.stderr


def test_unprovisioned_hosts_exit_7_with_the_next_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verified = mock_checks(
        monkeypatch, target_check(missing=NOT_YET), client_check(missing=NOT_YET)
    )
    result = fwbench("doctor", "-i", "my hosts.yml", "--targets", "a,b")
    assert result.exit_code == 7
    assert result.stderr == (
        f"fwbench: not provisioned yet: {TARGET.name}, {CLIENT.name}; run"
        " `fwbench provision -i 'my hosts.yml' --targets a,b`\n"
    )
    assert [line.split()[-2:] for line in result.stdout.splitlines()[2:]] == [["not", "yet"]] * 2
    assert verified == []  # Ansible is not run


def test_incomplete_host_is_named_with_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FWBENCH_INVENTORY", "hosts.yml")
    mock_checks(monkeypatch, target_check(missing="No Docker engine answers."), client_check())
    result = fwbench("doctor")
    assert result.exit_code == 7
    assert result.stderr.splitlines()[-1] == (
        f"fwbench: not provisioned completely: {TARGET.name}; run `fwbench provision`"
    )
    assert result.stdout.endswith(f"\n\n{TARGET.name}: No Docker engine answers.\n")


def test_broken_host_takes_precedence_over_incomplete_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mock_checks(monkeypatch, target_check(error="t: no sudo"), client_check(missing=NOT_YET))
    result = fwbench("doctor", "-i", "hosts.yml")
    assert (result.exit_code, result.stderr) == (5, "fwbench: t: no sudo\n")
    assert "failed: see below" in result.stdout
    assert "not yet" in result.stdout


# Standard output has only the result


@pytest.mark.parametrize("arguments", [("provision",), ("teardown",), ("provision", "--dry-run")])
def test_playbook_result_is_a_table(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [HostResult(host=host.name, changed=1) for host in rig().hosts]

    def play(*_: object, on_task: object, **__: object) -> PlayResult:
        assert callable(on_task)
        on_task("Install something")
        return PlayResult(hosts=tuple(results))

    monkeypatch.setattr("fwbench.provisioning.provision.check_connections", lambda *_, **__: {})
    monkeypatch.setattr("fwbench.provisioning.provision.run_playbook", play)
    result = fwbench(*arguments, "-i", "hosts.yml")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        *["host", "-" * max(len(TARGET.name), len(CLIENT.name))],
        *[TARGET.name, CLIENT.name],
    ]
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{arguments[0]} of {TARGET.name}, {CLIENT.name}: ")
    assert second.endswith("task 1: Install something")


def test_prune_prints_a_table_and_errors_of_failed_hosts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty_cleanup = AgentCleanup(
        removed=(),
        live_sessions=(),
        orphan_containers=0,
        abandoned_folders=0,
        provisioning_folders=0,
        unremovable=0,
    )
    results = [
        CleanupResult(host=TARGET.name, result=empty_cleanup),
        CleanupResult(host=CLIENT.name, error=f"{CLIENT.name}: no route"),
    ]
    monkeypatch.setattr("fwbench.hosts.cleanup.clean_hosts", lambda *_, **__: results)
    result = fwbench("prune", "-i", "hosts.yml")
    assert (result.exit_code, result.stderr) == (5, f"fwbench: {CLIENT.name}: no route\n")
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == [
        TARGET.name,
        CLIENT.name,
    ]
    assert result.stdout.splitlines()[2].endswith("nothing")


def test_lab_up_prints_the_inventory_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A script can use `$(fwbench lab up)` as the inventory."""

    def up(*arguments: object) -> str:
        say = arguments[-1]
        assert callable(say)
        say("starting")
        return "hosts.yml"

    monkeypatch.setattr("fwbench.providers.lab.hosts.Lab.up", up)
    result = fwbench("lab", "up")
    assert (result.exit_code, result.stdout) == (0, "hosts.yml\n")
    assert result.stderr == "starting\nthe lab is up; its inventory is\n"


def test_lab_down_prints_only_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "fwbench.providers.lab.hosts.Lab.down", lambda _lab, say, **_: say("removing")
    )
    result = fwbench("lab", "down")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "removing\n")
