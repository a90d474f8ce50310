"""`doctor.check_hosts` with a real sshd."""

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

SESSIONS_PARENT = Path("/var/tmp")
SUDO = '#!/bin/sh\nshift 2\nexec "$@"\n'


@pytest.fixture(autouse=True)
def _fake_sudo(sshd: Server, tmp_path: Path) -> Iterator[Path]:
    """Install a sudo that logs its arguments and executes the command."""
    program, log = sshd.programs / "sudo", tmp_path / "sudo.log"
    program.write_text(SUDO.replace("shift", f'echo "$@" >> {log}\nshift', 1))
    program.chmod(0o755)
    yield log
    program.unlink()


@pytest.fixture
def rig(host: Callable[..., Host]) -> Callable[..., Rig]:
    def make(**client_fields: object) -> Rig:
        target = Target(
            **dict(host(name="t", instance_type="c7i.large", price_per_hour=0.1)),
            load_address="127.0.0.1",
        )
        client = Client(**dict(host(name="c", **client_fields)))
        return Rig(name="r", target=target, clients=(client,))

    return make


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the folder that provisioning creates, because this machine may have it already."""
    folder = tmp_path / "state-folder"
    monkeypatch.setattr(doctor, "STATE_FOLDER", str(folder))
    return folder


def by_name(checks: tuple[HostCheck, ...]) -> dict[str, HostCheck]:
    return {check.host.name: check for check in checks}


def test_facts_are_collected_and_the_session_folder_is_removed(
    rig: Callable[..., Rig], tmp_path: Path
) -> None:
    before = set(SESSIONS_PARENT.glob("fwbench-*"))
    checks = by_name(check_hosts([rig()]))
    assert checks["t"].facts is not None
    assert (checks["t"].facts.instance_type, checks["t"].facts.price_per_hour) == ("c7i.large", 0.1)
    assert checks["t"].facts.network_path is None
    assert checks["c"].facts is not None
    assert checks["c"].facts.network_path == "this host itself"
    assert "/var/tmp/fwbench-session-doctor-" in (tmp_path / "sudo.log").read_text()
    assert {p for p in SESSIONS_PARENT.glob("fwbench-session-doctor-*") if p not in before} == set()


def test_host_keys_are_those_that_the_hosts_show(rig: Callable[..., Rig]) -> None:
    checks = by_name(check_hosts([rig()]))
    assert checks["t"].host_key is not None
    assert checks["t"].host_key.startswith("ssh-ed25519 SHA256:")
    assert checks["c"].host_key == checks["t"].host_key  # one sshd plays both


def test_failing_host_does_not_hide_the_others(rig: Callable[..., Rig]) -> None:
    checks = by_name(check_hosts([rig(port=free_port())]))
    assert checks["t"].error is None
    assert checks["c"].error is not None
    assert "does not answer SSH" in checks["c"].error


def test_invalid_load_address_is_an_error_of_the_target(rig: Callable[..., Rig]) -> None:
    valid = rig()
    target = valid.target.model_copy(update={"load_address": "nobody.invalid"})
    checks = by_name(check_hosts([valid.model_copy(update={"target": target})]))
    assert "set fwbench_load_address" in (checks["t"].error or "")
    assert checks["c"].error is None
    assert checks["c"].facts is not None
    assert checks["c"].facts.network_path is None


def test_host_with_the_state_folder_is_provisioned(
    rig: Callable[..., Rig], state_folder: Path
) -> None:
    assert {check.missing for check in check_hosts([rig()])} == {NOT_YET}
    state_folder.mkdir()
    assert {check.missing for check in check_hosts([rig()])} == {None}


def test_missing_python_is_reported_without_an_error(
    rig: Callable[..., Rig], state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = SshRemote.execute

    def without_python(remote: SshRemote, argv: Sequence[str], **options: Any) -> Completed:
        command = ["/nowhere/python3", *argv[1:]] if argv[0] == "python3" else argv
        return execute(remote, command, **options)

    monkeypatch.setattr(SshRemote, "execute", without_python)
    unprovisioned = check_hosts([rig()])
    state_folder.mkdir()
    provisioned = check_hosts([rig()])
    assert [(check.facts, check.error) for check in (*unprovisioned, *provisioned)] == [
        (None, None)
    ] * 4
    assert [check.missing for check in unprovisioned] == [NOT_YET] * 2
    assert [check.missing for check in provisioned] == ["There is no python3."] * 2
