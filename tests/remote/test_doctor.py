"""`doctor.examine` over a real sshd."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import Server, free_port

from fwbench.hosts.doctor import check_hosts
from fwbench.model.host import Client, Host, Rig, Target
from fwbench.model.host_check import HostCheck

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
