"""`doctor.check_hosts` over a real sshd."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sshd import Server, free_port

from fwbench.hosts import doctor
from fwbench.hosts.doctor import check_hosts
from fwbench.model.host import Client, Host, Rig, Target
from fwbench.model.host_check import NOT_YET, HostCheck
from fwbench.ssh.remote import Completed, SshRemote

LEFT_BEHIND = Path("/var/tmp")
SUDO = '#!/bin/sh\nshift 2\nexec "$@"\n'


@pytest.fixture(autouse=True)
def _sudo(sshd: Server, tmp_path: Path) -> Iterator[Path]:
    """Lets everybody in, and writes down what it was asked for."""
    program, log = sshd.programs / "sudo", tmp_path / "sudo.log"
    program.write_text(SUDO.replace("shift", f'echo "$@" >> {log}\nshift', 1))
    program.chmod(0o755)
    yield log
    program.unlink()


@pytest.fixture
def rig(host: Callable[..., Host]) -> Callable[..., Rig]:
    def make(**of_client: object) -> Rig:
        target = Target(
            **dict(host(name="t", instance_type="c7i.large", price_per_hour=0.1)),
            load_address="127.0.0.1",
        )
        client = Client(**dict(host(name="c", **of_client)))
        return Rig(name="r", target=target, clients=(client,))

    return make


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What provisioning leaves on a host, which this machine may have already."""
    folder = tmp_path / "state-folder"
    monkeypatch.setattr(doctor, "STATE_FOLDER", str(folder))
    return folder


def of(found: tuple[HostCheck, ...]) -> dict[str, HostCheck]:
    return {examined.host.name: examined for examined in found}


def test_hosts_tell_what_they_are_and_nothing_stays_on_them(
    rig: Callable[..., Rig], tmp_path: Path
) -> None:
    before = set(LEFT_BEHIND.glob("fwbench-*"))
    found = of(check_hosts([rig()]))
    assert found["t"].facts is not None
    assert (found["t"].facts.instance_type, found["t"].facts.price_per_hour) == ("c7i.large", 0.1)
    assert found["t"].facts.network_path is None
    assert found["c"].facts is not None
    assert found["c"].facts.network_path == "this host itself"
    assert "/var/tmp/fwbench-session-doctor-" in (tmp_path / "sudo.log").read_text()
    assert {p for p in LEFT_BEHIND.glob("fwbench-session-doctor-*") if p not in before} == set()


def test_a_host_in_trouble_does_not_hide_the_others(rig: Callable[..., Rig]) -> None:
    found = of(check_hosts([rig(port=free_port())]))
    assert found["t"].error is None
    assert found["c"].error is not None
    assert "does not answer SSH" in found["c"].error


def test_an_address_that_is_none_is_its_targets_trouble(rig: Callable[..., Rig]) -> None:
    good = rig()
    target = good.target.model_copy(update={"load_address": "nobody.invalid"})
    found = of(check_hosts([good.model_copy(update={"target": target})]))
    assert "set fwbench_load_address" in (found["t"].error or "")
    assert found["c"].error is None
    assert found["c"].facts is not None
    assert found["c"].facts.network_path is None


def test_a_host_is_provisioned_if_it_has_fwbenchs_folder(
    rig: Callable[..., Rig], state_folder: Path
) -> None:
    assert {check.missing for check in check_hosts([rig()])} == {NOT_YET}
    state_folder.mkdir()
    assert {check.missing for check in check_hosts([rig()])} == {None}


def test_a_host_without_python_lacks_it_and_is_reachable_all_the_same(
    rig: Callable[..., Rig], state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = SshRemote.execute

    def without_python(remote: SshRemote, argv: Sequence[str], **options: Any) -> Completed:
        words = ["/nowhere/python3", *argv[1:]] if argv[0] == "python3" else argv
        return execute(remote, words, **options)

    monkeypatch.setattr(SshRemote, "execute", without_python)
    bare = check_hosts([rig()])
    state_folder.mkdir()
    purged = check_hosts([rig()])
    assert [(check.facts, check.error) for check in (*bare, *purged)] == [(None, None)] * 4
    assert [check.missing for check in bare] == [NOT_YET] * 2
    assert [check.missing for check in purged] == ["There is no python3."] * 2
