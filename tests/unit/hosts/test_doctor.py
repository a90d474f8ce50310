"""What a host lacks, as the playbook says; the logins are in tests/remote/test_doctor.py."""

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
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The playbooks that were run, on which hosts; some of these fail."""
    calls: list[tuple[Any, ...]] = []
    failing = {
        "lacks": {"error": "Assert that h2load is installed: lacks has no h2load: see: here."},
        "odd": {"error": "Read the state: MODULE FAILURE"},
        "lost": {"error": "Connect: no route", "unreachable": True},
        "forged": {"error": "Connect: another key", "key_refused": True},
    }

    def play(name: str, inventory: Inventory, hosts: Sequence[Host], **_: object) -> PlayResult:
        names = [host.name for host in hosts]
        calls.append((name, inventory, names))
        results = (HostResult(host=host, changed=0, **failing.get(host, {})) for host in names)
        return PlayResult(hosts=tuple(results))

    monkeypatch.setattr(doctor, "run_playbook", play)
    return calls


def test_only_hosts_that_a_login_found_provisioned_are_verified(played: list[Any]) -> None:
    checks = [check("well"), check("bare", missing=NOT_YET), check("broken", error="no sudo")]
    assert verify_hosts(checks, INVENTORY) == tuple(checks)
    assert played == [("verify.yml", INVENTORY, ["well"])]


def test_without_a_provisioned_host_there_is_no_playbook(played: list[Any]) -> None:
    checks = [check("bare", missing=NOT_YET), check("broken", error="no sudo")]
    assert verify_hosts(checks, INVENTORY) == tuple(checks)
    assert played == []


@pytest.mark.usefixtures("played")
def test_what_fails_is_missing_unless_the_host_was_lost() -> None:
    checks = [check(name) for name in ("lacks", "odd", "lost", "forged")]
    found = verify_hosts(checks, INVENTORY)
    assert [(each.missing, each.error) for each in found] == [
        ("lacks has no h2load: see: here.", None),
        ("Read the state: MODULE FAILURE", None),
        (None, "lost: Connect: no route"),
        (None, "forged: Connect: another key"),
    ]
