"""Test what the playbook reports as missing; tests/remote/test_doctor.py tests the logins."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fwbench.hosts import doctor
from fwbench.hosts.doctor import verify_hosts
from fwbench.model.host import Client, Host
from fwbench.model.host_check import NOT_YET, HostCheck
from fwbench.provisioning.inventory import Inventory
from fwbench.provisioning.playbook import HostResult, PlayResult

INVENTORY = Inventory((Path("hosts.yml"),))


def check(name: str, **changes: str) -> HostCheck:
    host = Client(name=name, address=name)
    return HostCheck(host=host, rig="r", is_target=False, **changes)


@pytest.fixture
def playbook_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Replace playbooks, which fail on some hosts; return the list of their calls."""
    calls: list[tuple[Any, ...]] = []
    failing = {
        "lacks": {"error": "Assert that h2load is installed: lacks has no h2load: see: here."},
        "odd": {"error": "Read the state: MODULE FAILURE"},
        "lost": {"error": "Connect: no route", "unreachable": True},
        "forged": {"error": "Connect: another key", "key_refused": True},
    }

    def run_playbook(
        name: str, inventory: Inventory, hosts: Sequence[Host], **_: object
    ) -> PlayResult:
        names = [host.name for host in hosts]
        calls.append((name, inventory, names))
        results = (HostResult(host=host, changed=0, **failing.get(host, {})) for host in names)
        return PlayResult(hosts=tuple(results))

    monkeypatch.setattr(doctor, "run_playbook", run_playbook)
    return calls


def test_only_provisioned_hosts_are_verified(playbook_calls: list[Any]) -> None:
    checks = [check("well"), check("bare", missing=NOT_YET), check("broken", error="no sudo")]
    assert verify_hosts(checks, INVENTORY) == tuple(checks)
    assert playbook_calls == [("verify.yml", INVENTORY, ["well"])]


def test_no_playbook_is_run_without_a_provisioned_host(playbook_calls: list[Any]) -> None:
    checks = [check("bare", missing=NOT_YET), check("broken", error="no sudo")]
    assert verify_hosts(checks, INVENTORY) == tuple(checks)
    assert playbook_calls == []


@pytest.mark.usefixtures("playbook_calls")
def test_failed_task_counts_as_missing_unless_host_is_lost() -> None:
    checks = [check(name) for name in ("lacks", "odd", "lost", "forged")]
    results = verify_hosts(checks, INVENTORY)
    assert [(result.missing, result.error) for result in results] == [
        ("lacks has no h2load: see: here.", None),
        ("Read the state: MODULE FAILURE", None),
        (None, "lost: Connect: no route"),
        (None, "forged: Connect: another key"),
    ]
