"""Many hosts at once: a bad one neither stops the others nor vanishes."""

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


class World:
    """Hosts of which some cannot be reached, and a playbook that fails on some."""

    def __init__(self) -> None:
        self.unreachable: dict[str, HostError] = {}
        self.used: dict[str, NotReadyError] = {}
        self.failing: dict[str, str] = {}
        self.kept: dict[str, tuple[str, ...]] = {}
        self.played: list[list[str]] = []
        self.meeting = threading.Barrier(1)

    def remote(self, host: Host) -> "World.Remote":
        return self.Remote(self, host)

    def play(
        self, _name: str, _inventory: Inventory, expected: Sequence[str], **given: Any
    ) -> PlayResult:
        self.played.append(list(expected))
        self.variables, self.is_dry_run = given["variables"], given["check"]
        return PlayResult(
            hosts=tuple(
                HostResult(
                    host=host,
                    changed=2,
                    error=self.failing.get(host),
                    foreign_engine_data=self.kept.get(host, ()),
                )
                for host in expected
            )
        )

    class Remote:
        def __init__(self, world: "World", host: Host) -> None:
            self._world, self._host = world, host

        def __enter__(self) -> "World.Remote":
            return self

        def __exit__(self, *_: object) -> None: ...

        def check(self, argv: Sequence[str]) -> None:
            assert argv == ["true"]
            self._world.meeting.wait(timeout=10)
            if error := self._world.unreachable.get(self._host.name):
                raise error

        def check_unused(self) -> None:
            self.check(["true"])
            if error := self._world.used.get(self._host.name):
                raise error


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World()
    monkeypatch.setattr(provision, "SshRemote", made.remote)
    monkeypatch.setattr(provision, "play", made.play)
    monkeypatch.setattr(lease, "check_unused", lambda remote: remote.check_unused())
    monkeypatch.setattr(commands, "load_rigs", lambda _: RIGS)
    before = signal.getsignal(signal.SIGTERM)
    yield made
    signal.signal(signal.SIGTERM, before)


def gone(host: str) -> LostError:
    return LostError(f"{host}: 192.0.2.1:22 does not answer SSH: no route")


def fwbench(*words: str) -> Result:
    return CliRunner().invoke(main, [*words, "-i", "hosts.yml"])


def complaint(done: Result) -> str:
    return done.stderr.splitlines()[-1]


def table(done: Result) -> Mapping[str, list[str]]:
    """The cells behind each host's name."""
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[2:]}


# Meeting


def test_all_hosts_are_met_at_once(world: World) -> None:
    world.meeting = threading.Barrier(len(HOSTS))  # broken, and an error, unless all wait in it
    assert provision.check_connections(HOSTS) == {}


def test_every_host_that_cannot_be_reached_is_named(world: World) -> None:
    world.unreachable = {
        "client-1": gone("client-1"),
        "target-3": HostError("target-3: shows another host key than before"),
    }
    with pytest.raises(HostError) as refused:
        provision.check_connections(HOSTS)
    assert str(refused.value) == (
        "client-1: 192.0.2.1:22 does not answer SSH: no route; "
        "target-3: shows another host key than before"
    )
    assert refused.value.exit_code == 5
    assert list(provision.check_connections(HOSTS, keep_going=True)) == ["client-1", "target-3"]


# The commands


@pytest.mark.usefixtures("world")
def test_all_hosts_well_is_no_error() -> None:
    done = fwbench("provision")
    assert done.exit_code == 0
    assert list(table(done)) == [host.name for host in HOSTS]
    assert table(done)["client-2"] == ["rig-2", "ok", "2"]


def test_a_host_that_cannot_be_reached_ends_it_before_anything_is_changed(world: World) -> None:
    world.unreachable = {"target-2": gone("target-2")}
    for command in ("provision", "teardown"):
        done = fwbench(command)
        assert done.exit_code == 5
        assert done.stderr == f"fwbench: {gone('target-2')}\n"
    assert world.played == []


USED = "client-2: is in use by session s of somebody"


def test_a_teardown_refuses_a_host_that_a_session_uses_before_anything_is_changed(
    world: World,
) -> None:
    world.used = {"client-2": NotReadyError(USED)}
    for words in ((), ("--check",), ("--purge-engine",)):
        done = fwbench("teardown", *words)
        assert done.exit_code == 7
        assert complaint(done) == f"fwbench: {USED}"
    assert world.played == []
    world.unreachable = {"target-3": gone("target-3")}
    done = fwbench("teardown")
    assert done.exit_code == 5
    assert USED in complaint(done)
    assert "target-3: " in complaint(done)


def test_a_teardown_with_keep_going_leaves_a_used_host_alone(world: World) -> None:
    world.used = {"client-2": NotReadyError(USED)}
    done = fwbench("teardown", "--keep-going")
    assert world.played == [[host.name for host in HOSTS if host.name != "client-2"]]
    assert done.exit_code == 11
    assert USED in complaint(done)


def test_provisioning_does_not_ask_whether_a_host_is_used(world: World) -> None:
    world.used = {"client-2": NotReadyError(USED)}
    assert fwbench("provision").exit_code == 0


def test_provisioning_installs_the_load_generators_of_a_suite_and_of_options(
    world: World, tmp_path: Path
) -> None:
    suite = tmp_path / "mine.yml"
    suite.write_text(
        "name: mine\nquestion: Q?\ncontenders: [flask]\n"
        "loads: [{generator: wrk, connections: 1, duration_s: 1}]\n"
    )
    for options in (["--suite", str(suite)], ["--loadgen", "wrk", "--loadgen", "h2load"]):
        assert fwbench("provision", *options).exit_code == 0
        assert world.variables == {"fwbench_loadgens": ["h2load", "wrk"]}
    assert fwbench("provision").exit_code == 0
    assert world.variables == {}


def test_with_keep_going_it_is_left_out_and_shown(world: World) -> None:
    world.unreachable = {"target-2": gone("target-2")}
    done = fwbench("provision", "--keep-going")
    assert world.played == [[host.name for host in HOSTS if host.name != "target-2"]]
    assert list(table(done)) == [host.name for host in HOSTS]
    assert table(done)["target-2"] == ["rig-2", "skipped:", "see", "below", "0"]
    assert done.exit_code == 11
    assert complaint(done) == (
        "fwbench: excluded: rig-2 (target-2: 192.0.2.1:22 does not answer SSH: no route)"
    )


def test_without_keep_going_a_host_that_fails_is_an_error_and_the_others_are_done(
    world: World,
) -> None:
    world.failing = {"client-1": "Install: no network", "target-3": "Build: disk full"}
    done = fwbench("provision")
    assert table(done)["client-1"] == ["rig-1", "failed:", "see", "below", "2"]
    assert table(done)["target-1"] == ["rig-1", "ok", "2"]
    assert done.exit_code == 6
    assert complaint(done) == "fwbench: client-1: Install: no network; target-3: Build: disk full"


def test_with_keep_going_a_host_that_fails_leaves_its_rig_out(world: World) -> None:
    world.failing = {"client-1": "Install: no network", "target-1": "Install: no disk"}
    world.unreachable = {"target-3": gone("target-3")}
    done = fwbench("provision", "--keep-going")
    assert done.exit_code == 11
    assert complaint(done) == (
        "fwbench: excluded: rig-1 (target-1: Install: no disk; client-1: Install: no network), "
        "rig-3 (target-3: 192.0.2.1:22 does not answer SSH: no route)"
    )


@pytest.mark.parametrize("reachable", [True, False])
def test_with_keep_going_and_no_whole_rig_left_nothing_is_ready(
    world: World, reachable: bool
) -> None:
    bad = ("client-1", "target-2", "client-3") if reachable else tuple(h.name for h in HOSTS)
    world.unreachable = {host: gone(host) for host in bad}
    done = fwbench("provision", "--keep-going")
    assert done.exit_code == 6
    assert all(f"{host}: " in complaint(done) for host in bad)
    assert [host for host, cells in table(done).items() if cells[1] == "skipped:"] == [
        host.name for host in HOSTS if host.name in bad
    ]
    assert len(world.played) == (1 if reachable else 0)


@pytest.mark.parametrize("keep_going", [True, False])
def test_where_nothing_is_wrong_nothing_falls_short(keep_going: bool) -> None:
    well = PlayResult(hosts=tuple(HostResult(host=host.name, changed=0) for host in HOSTS))
    assert provision.provisioning_error(well, RIGS, keep_going=keep_going) is None


def test_an_engine_that_stays_is_named_with_what_is_in_it_and_an_exit_code(world: World) -> None:
    world.kept = {
        "target-2": ("container web in /var/lib/docker", "namespace k8s.io in containerd")
    }
    done = fwbench("teardown")
    assert done.exit_code == 12
    assert table(done)["target-2"][1:5] == ["ok,", "engine", "kept:", "see"]
    named = "target-2: container web in /var/lib/docker; namespace k8s.io in containerd"
    assert named in complaint(done)
    assert "--purge-engine" in complaint(done)


def test_a_host_that_failed_comes_before_an_engine_that_stays(world: World) -> None:
    world.kept = {"target-2": ("container web in /var/lib/docker",)}
    world.failing = {"client-1": "Remove the packages: no"}
    assert fwbench("teardown").exit_code == 6


@pytest.mark.parametrize(("words", "purges"), [((), False), (("--purge-engine",), True)])
def test_an_engine_is_purged_only_where_that_is_asked(
    world: World, words: tuple[str, ...], purges: bool
) -> None:
    fwbench("teardown", *words)
    assert world.variables == {"docker_engine_purge": purges}


@pytest.mark.parametrize(
    ("option", "is_dry_run"), [((), False), (("--check",), True), (("--dry-run",), True)]
)
@pytest.mark.parametrize("command", ["provision", "teardown"])
def test_either_name_of_the_option_makes_a_dry_run(
    world: World, command: str, option: tuple[str, ...], is_dry_run: bool
) -> None:
    assert fwbench(command, *option).exit_code == 0
    assert world.is_dry_run is is_dry_run
