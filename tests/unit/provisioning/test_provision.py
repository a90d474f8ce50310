"""Many hosts at once: a bad host does not stop the others, and is reported."""

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fwbench.cli import hosts as commands
from fwbench.cli.main import main
from fwbench.errors import HostError, LostError, NotReadyError
from fwbench.hosts import lease
from fwbench.model.host import Client, Host, Rig, Target
from fwbench.model.play import HostResult, PlayResult
from fwbench.provisioning import provision
from fwbench.provisioning.inventory import Inventory


def rig(number: int) -> Rig:
    target = Target(name=f"target-{number}", address="192.0.2.1", load_address="192.0.2.1")
    client = Client(name=f"client-{number}", address="192.0.2.2")
    return Rig(name=f"rig-{number}", target=target, clients=(client,))


RIGS = (rig(1), rig(2), rig(3))
HOSTS = tuple(host for each in RIGS for host in each.hosts)


class FakeHosts:
    """Stand-ins for SSH and the playbook: some hosts are unreachable, others in use or failing."""

    def __init__(self) -> None:
        self.unreachable: dict[str, HostError] = {}
        self.in_use: dict[str, NotReadyError] = {}
        self.task_errors: dict[str, str] = {}
        self.foreign_engine_data: dict[str, tuple[str, ...]] = {}
        self.played_hosts: list[list[str]] = []
        self.barrier = threading.Barrier(1)

    def remote(self, host: Host) -> "FakeHosts.Remote":
        return self.Remote(self, host)

    def play(
        self, _name: str, _inventory: Inventory, expected: Sequence[str], **arguments: Any
    ) -> PlayResult:
        self.played_hosts.append(list(expected))
        self.variables, self.is_dry_run = arguments["variables"], arguments["check"]
        return PlayResult(
            hosts=tuple(
                HostResult(
                    host=host,
                    changed=2,
                    error=self.task_errors.get(host),
                    foreign_engine_data=self.foreign_engine_data.get(host, ()),
                )
                for host in expected
            )
        )

    class Remote:
        def __init__(self, hosts: "FakeHosts", host: Host) -> None:
            self._hosts, self._host = hosts, host

        def __enter__(self) -> "FakeHosts.Remote":
            return self

        def __exit__(self, *_: object) -> None: ...

        def check(self, argv: Sequence[str]) -> None:
            assert argv == ["true"]
            self._hosts.barrier.wait(timeout=10)
            if error := self._hosts.unreachable.get(self._host.name):
                raise error

        def check_unused(self) -> None:
            self.check(["true"])
            if error := self._hosts.in_use.get(self._host.name):
                raise error


@pytest.fixture
def fake_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHosts]:
    hosts = FakeHosts()
    monkeypatch.setattr(provision, "SshRemote", hosts.remote)
    monkeypatch.setattr(provision, "play", hosts.play)
    monkeypatch.setattr(lease, "check_unused", lambda remote: remote.check_unused())
    monkeypatch.setattr(commands, "load_rigs", lambda _: RIGS)
    before = signal.getsignal(signal.SIGTERM)
    yield hosts
    signal.signal(signal.SIGTERM, before)


def unreachable_error(host: str) -> LostError:
    return LostError(f"{host}: 192.0.2.1:22 does not answer SSH: no route")


def fwbench(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "-i", "hosts.yml"])


def last_error_line(result: Result) -> str:
    return result.stderr.splitlines()[-1]


def table(result: Result) -> Mapping[str, list[str]]:
    """Return the cells of each host's row, by the host's name."""
    return {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[2:]}


# Connections


def test_all_hosts_are_checked_in_parallel(fake_hosts: FakeHosts) -> None:
    fake_hosts.barrier = threading.Barrier(len(HOSTS))  # breaks unless all hosts wait at once
    assert provision.check_connections(HOSTS) == {}


def test_every_unreachable_host_is_named(fake_hosts: FakeHosts) -> None:
    fake_hosts.unreachable = {
        "client-1": unreachable_error("client-1"),
        "target-3": HostError("target-3: shows another host key than before"),
    }
    with pytest.raises(HostError) as caught:
        provision.check_connections(HOSTS)
    assert str(caught.value) == (
        "client-1: 192.0.2.1:22 does not answer SSH: no route; "
        "target-3: shows another host key than before"
    )
    assert caught.value.exit_code == 5
    assert list(provision.check_connections(HOSTS, keep_going=True)) == ["client-1", "target-3"]


# Commands


@pytest.mark.usefixtures("fake_hosts")
def test_provision_of_healthy_hosts_succeeds() -> None:
    result = fwbench("provision")
    assert result.exit_code == 0
    assert list(table(result)) == [host.name for host in HOSTS]
    assert table(result)["client-2"] == ["rig-2", "ok", "2"]


def test_unreachable_host_stops_commands_before_any_change(fake_hosts: FakeHosts) -> None:
    fake_hosts.unreachable = {"target-2": unreachable_error("target-2")}
    for command in ("provision", "teardown"):
        result = fwbench(command)
        assert result.exit_code == 5
        assert result.stderr == f"fwbench: {unreachable_error('target-2')}\n"
    assert fake_hosts.played_hosts == []


IN_USE = "client-2: is in use by session s of somebody"


def test_teardown_refuses_a_host_in_use_before_any_change(
    fake_hosts: FakeHosts,
) -> None:
    fake_hosts.in_use = {"client-2": NotReadyError(IN_USE)}
    for arguments in ((), ("--check",), ("--purge-engine",)):
        result = fwbench("teardown", *arguments)
        assert result.exit_code == 7
        assert last_error_line(result) == f"fwbench: {IN_USE}"
    assert fake_hosts.played_hosts == []
    fake_hosts.unreachable = {"target-3": unreachable_error("target-3")}
    result = fwbench("teardown")
    assert result.exit_code == 5
    assert IN_USE in last_error_line(result)
    assert "target-3: " in last_error_line(result)


def test_teardown_with_keep_going_skips_a_host_in_use(fake_hosts: FakeHosts) -> None:
    fake_hosts.in_use = {"client-2": NotReadyError(IN_USE)}
    result = fwbench("teardown", "--keep-going")
    assert fake_hosts.played_hosts == [[host.name for host in HOSTS if host.name != "client-2"]]
    assert result.exit_code == 11
    assert IN_USE in last_error_line(result)


def test_provision_does_not_check_whether_a_host_is_in_use(fake_hosts: FakeHosts) -> None:
    fake_hosts.in_use = {"client-2": NotReadyError(IN_USE)}
    assert fwbench("provision").exit_code == 0


def test_provision_installs_load_generators_of_suite_and_options(
    fake_hosts: FakeHosts, tmp_path: Path
) -> None:
    suite = tmp_path / "mine.yml"
    suite.write_text(
        "name: mine\nquestion: Q?\ncontenders: [flask]\n"
        "loads: [{generator: wrk, connections: 1, duration_s: 1}]\n"
    )
    for options in (["--suite", str(suite)], ["--loadgen", "wrk", "--loadgen", "h2load"]):
        assert fwbench("provision", *options).exit_code == 0
        assert fake_hosts.variables == {"fwbench_loadgens": ["h2load", "wrk"]}
    assert fwbench("provision").exit_code == 0
    assert fake_hosts.variables == {}


def test_keep_going_skips_and_reports_an_unreachable_host(fake_hosts: FakeHosts) -> None:
    fake_hosts.unreachable = {"target-2": unreachable_error("target-2")}
    result = fwbench("provision", "--keep-going")
    assert fake_hosts.played_hosts == [[host.name for host in HOSTS if host.name != "target-2"]]
    assert list(table(result)) == [host.name for host in HOSTS]
    assert table(result)["target-2"] == ["rig-2", "skipped:", "see", "below", "0"]
    assert result.exit_code == 11
    assert last_error_line(result) == (
        "fwbench: excluded: rig-2 (target-2: 192.0.2.1:22 does not answer SSH: no route)"
    )


def test_failed_host_is_an_error_and_other_hosts_finish(
    fake_hosts: FakeHosts,
) -> None:
    fake_hosts.task_errors = {"client-1": "Install: no network", "target-3": "Build: disk full"}
    result = fwbench("provision")
    assert table(result)["client-1"] == ["rig-1", "failed:", "see", "below", "2"]
    assert table(result)["target-1"] == ["rig-1", "ok", "2"]
    assert result.exit_code == 6
    assert (
        last_error_line(result)
        == "fwbench: client-1: Install: no network; target-3: Build: disk full"
    )


def test_keep_going_excludes_the_rig_of_a_failed_host(fake_hosts: FakeHosts) -> None:
    fake_hosts.task_errors = {"client-1": "Install: no network", "target-1": "Install: no disk"}
    fake_hosts.unreachable = {"target-3": unreachable_error("target-3")}
    result = fwbench("provision", "--keep-going")
    assert result.exit_code == 11
    assert last_error_line(result) == (
        "fwbench: excluded: rig-1 (target-1: Install: no disk; client-1: Install: no network), "
        "rig-3 (target-3: 192.0.2.1:22 does not answer SSH: no route)"
    )


@pytest.mark.parametrize("reachable", [True, False])
def test_keep_going_without_a_complete_rig_is_an_error(
    fake_hosts: FakeHosts, reachable: bool
) -> None:
    unreachable = (
        ("client-1", "target-2", "client-3") if reachable else tuple(h.name for h in HOSTS)
    )
    fake_hosts.unreachable = {host: unreachable_error(host) for host in unreachable}
    result = fwbench("provision", "--keep-going")
    assert result.exit_code == 6
    assert all(f"{host}: " in last_error_line(result) for host in unreachable)
    assert [host for host, cells in table(result).items() if cells[1] == "skipped:"] == [
        host.name for host in HOSTS if host.name in unreachable
    ]
    assert len(fake_hosts.played_hosts) == (1 if reachable else 0)


@pytest.mark.parametrize("keep_going", [True, False])
def test_play_without_failures_is_no_provisioning_error(keep_going: bool) -> None:
    result = PlayResult(hosts=tuple(HostResult(host=host.name, changed=0) for host in HOSTS))
    assert provision.provisioning_error(result, RIGS, keep_going=keep_going) is None


def test_teardown_that_keeps_an_engine_lists_its_contents(fake_hosts: FakeHosts) -> None:
    fake_hosts.foreign_engine_data = {
        "target-2": ("container web in /var/lib/docker", "namespace k8s.io in containerd")
    }
    result = fwbench("teardown")
    assert result.exit_code == 12
    assert table(result)["target-2"][1:5] == ["ok,", "engine", "kept:", "see"]
    contents = "target-2: container web in /var/lib/docker; namespace k8s.io in containerd"
    assert contents in last_error_line(result)
    assert "--purge-engine" in last_error_line(result)


def test_exit_code_of_a_failed_host_precedes_that_of_a_kept_engine(fake_hosts: FakeHosts) -> None:
    fake_hosts.foreign_engine_data = {"target-2": ("container web in /var/lib/docker",)}
    fake_hosts.task_errors = {"client-1": "Remove the packages: no"}
    assert fwbench("teardown").exit_code == 6


@pytest.mark.parametrize(("arguments", "purges"), [((), False), (("--purge-engine",), True)])
def test_engine_is_purged_only_with_purge_engine(
    fake_hosts: FakeHosts, arguments: tuple[str, ...], purges: bool
) -> None:
    fwbench("teardown", *arguments)
    assert fake_hosts.variables == {"docker_engine_purge": purges}


@pytest.mark.parametrize(
    ("option", "is_dry_run"), [((), False), (("--check",), True), (("--dry-run",), True)]
)
@pytest.mark.parametrize("command", ["provision", "teardown"])
def test_check_and_dry_run_are_the_same_option(
    fake_hosts: FakeHosts, command: str, option: tuple[str, ...], is_dry_run: bool
) -> None:
    assert fwbench(command, *option).exit_code == 0
    assert fake_hosts.is_dry_run is is_dry_run
