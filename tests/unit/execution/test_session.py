import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import COUNTED, FASTAPI, FLASK, HELLO, header, rig, suite
from fakes import FakeHost

from fwbench.errors import (
    FwbenchError,
    HostError,
    LostError,
    NotReadyError,
    SessionError,
    SuiteError,
)
from fwbench.execution.session import Session, SessionOptions
from fwbench.model.host import Client, Host, Rig
from fwbench.model.load import Load, Search
from fwbench.model.preset import Preset
from fwbench.model.record import Record
from fwbench.model.run import Plan, Run
from fwbench.model.suite import StoppingRule
from fwbench.plan import make_plan
from fwbench.storage.store import SessionStore

CONTENDERS = {"fastapi": FASTAPI, "flask": FLASK}
IMAGES = [
    {
        "name": name,
        "image_id": f"sha256:{name}",
        "base": "python:3.13-slim",
        "base_origin": "registry",
        "packages": [],
    }
    for name in CONTENDERS
]
FACTS: Mapping[str, Any] = header().facts[0].model_dump(mode="json", exclude={"host"}) | {
    "images": IMAGES,
    "versions": {"h2load": "h2load nghttp2/1.64.0"},
}
PATIENCE_S = 5
LEFT_TOO_EARLY_S = 0.1  # as long as this, hosts are given a chance to be left while they are in use

OnCall = Callable[[FakeHost, str], None]


class Watching:
    """A watcher that remembers, and does what a test wants at the end of a run."""

    def __init__(self, on_end: Callable[[Record], None] = lambda _: None) -> None:
        self.seen: list[str] = []
        self.on_end = on_end

    def say(self, text: str) -> None:
        self.seen.append(text)

    def planned(self, plan: Plan, executed: int) -> None:
        self.seen.append(f"planned {len(plan.runs)}, executed {executed}")

    def started(self, run: Run) -> None:
        self.seen.append(f"started {run.id}")

    def ended(self, record: Record) -> None:
        self.seen.append(f"ended {record.run.id}")
        self.on_end(record)


class World:
    """A session between hosts in memory, which stay to be looked at when it is over."""

    def __init__(
        self,
        parent: Path,
        *,
        rigs: Sequence[Rig] = (rig(),),
        blocks: int = 2,
        on_call: OnCall = lambda *_: None,
        on_end: Callable[[Record], None] = lambda _: None,
        facts: Mapping[str, Any] = FACTS,
        keep_going: bool = False,
        **changes: Any,
    ) -> None:
        self.hosts: dict[str, FakeHost] = {}
        self.rigs = tuple(rigs)
        self.on_call, self.facts, self.keep_going = on_call, facts, keep_going
        self.held_by: dict[str, dict[str, Any]] = {}
        self.watcher = Watching(on_end)
        self.suite = suite(
            **{"loads": (COUNTED,), "preset": Preset.SMOKE, "blocks": blocks, **changes}
        )
        self.session = Session.new(
            self.suite,
            CONTENDERS,
            self.rigs,
            parent,
            SessionOptions(self.watcher, self._connect, keep_going),
        )
        self.store = self.session.store

    def run(self) -> SessionStore:
        return self.session.run()

    def resume(self, *, keep_going: bool = False, new: bool = False) -> SessionStore:
        """Go on with the session, with fresh connections to hosts that are as they were left."""
        self.watcher.on_end = lambda _: None
        self.on_call = lambda *_: None
        take_up = Session.fork_remaining if new else Session.resume
        options = SessionOptions(self.watcher, self._connect, keep_going)
        self.session = take_up(self.store, CONTENDERS, options)
        return self.session.run()

    def assert_clean(self) -> None:
        for host in self.hosts.values():
            assert host.is_clean, host.asked
            assert host.closed

    def _connect(self, host: Host) -> Any:
        fake = FakeHost(host.name, on_call=lambda host, what: self.on_call(host, what))
        fake.facts = dict(self.facts)
        fake.held_by = self.held_by.get(host.name)
        self.hosts[host.name] = fake
        return fake


class Interrupts:
    """Ends a session with Ctrl-C after so many records."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, _: Record) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_every_planned_run_has_a_record_in_the_plans_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    store = world.run()
    plan = make_plan(world.suite, world.rigs)
    assert store.plan() == plan
    assert [record.run for record in store.records()] == list(plan.runs)
    assert {record.verdict.status for record in store.records() if _of(record) == "flask"} == {
        "valid"
    }


def _of(record: Record) -> str:
    return record.run.trial.contender


def test_the_header_says_who_what_and_where(tmp_path: Path) -> None:
    world = World(tmp_path)
    seen = world.run().header()
    assert (seen.suite, seen.rigs) == (world.suite, world.rigs)
    assert [contender.name for contender in seen.contenders] == ["flask", "fastapi"]
    assert [facts.host for facts in seen.facts] == ["one-target", "one-client"]


def test_a_session_has_a_folder_of_its_own_named_after_suite_and_time(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    assert world.store.folder.parent == tmp_path
    assert world.store.folder.name == world.session.id
    assert world.session.id.startswith("published-2")


def test_each_run_has_its_raw_files(tmp_path: Path) -> None:
    store = World(tmp_path).run()
    for record in store.records():
        assert (store.run_folder(record.run.id) / "client-1" / "load.json").exists()


def test_the_image_that_runs_is_the_one_that_the_facts_describe(tmp_path: Path) -> None:
    world = World(tmp_path, contenders=("flask",), baseline=None, blocks=1)
    world.run()
    asked = world.hosts["one-target"].asked
    assert [what.split()[-1] for what in asked if "docker run" in what] == ["sha256:flask"]


def test_the_watcher_is_told_of_every_run(tmp_path: Path) -> None:
    world = World(tmp_path, blocks=1)
    runs = [run.id for run in make_plan(world.suite, world.rigs).runs]
    world.run()
    assert world.watcher.seen == [
        "connecting to one-target, one-client",
        "planned 2, executed 0",
        f"started {runs[0]}",
        f"ended {runs[0]}",
        f"started {runs[1]}",
        f"ended {runs[1]}",
    ]


def test_hosts_are_left_as_they_were(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    world.assert_clean()


def test_the_sessions_folder_on_a_host_is_its_users_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    made = [what for host in world.hosts.values() for what in host.asked if "mkdir" in what]
    assert made
    assert all(what.startswith("mkdir -m 700 /var/tmp/fwbench-session-") for what in made)


def test_rigs_work_side_by_side(tmp_path: Path) -> None:
    """Each rig's first load waits for that of the other: one after the other would never meet."""
    both = threading.Barrier(2, timeout=PATIENCE_S)
    met = set()

    def meet(host: FakeHost, what: str) -> None:
        if " load " in what and host.name not in met:
            met.add(host.name)
            both.wait()

    world = World(tmp_path, rigs=(rig("a"), rig("b")), on_call=meet)
    store = world.run()
    assert met == {"a-client", "b-client"}
    for name in ("a", "b"):
        mine = [record.run for record in store.records() if record.run.rig == name]
        assert mine == list(store.plan().runs_of_rig(name))
    world.assert_clean()


def test_a_failed_run_is_recorded_and_the_next_one_executed(tmp_path: Path) -> None:
    failed = []

    def refuse_once(host: FakeHost, what: str) -> None:
        host.engine_says = ""
        if "docker run" in what and not failed:
            failed.append(what)
            host.engine_says = "no space left on device"

    world = World(tmp_path, on_call=refuse_once)
    records = world.run().records()
    assert [record.observation.failure is None for record in records] == [False, True, True, True]
    assert records[0].verdict.status == "invalid"
    assert world.store.lost_attempts() == []
    world.assert_clean()


def test_a_run_whose_connection_broke_is_executed_again(tmp_path: Path) -> None:
    lost = []

    def lose_once(host: FakeHost, what: str) -> None:
        host.lost = "docker run" in what and not lost
        if host.lost:
            lost.append(what)

    world = World(tmp_path, on_call=lose_once)
    store = world.run()
    assert [record.run for record in store.records()] == list(store.plan().runs)
    assert [record.attempt for record in store.records()] == [2, 1, 1, 1]
    assert [record.attempt for record in store.lost_attempts()] == [1]
    world.assert_clean()


def test_a_cancelled_session_keeps_what_was_recorded(tmp_path: Path) -> None:
    world = World(tmp_path, on_end=lambda _: world.session.cancel())
    store = world.run()
    assert len(store.records()) == 1
    assert len(store.plan().runs) == 4
    assert sum(what.startswith("started ") for what in world.watcher.seen) == 1
    world.assert_clean()


def test_a_run_that_is_cancelled_is_not_recorded(tmp_path: Path) -> None:
    def cancel(_: FakeHost, what: str) -> None:
        if " load " in what:
            world.session.cancel()

    world = World(tmp_path, on_call=cancel)
    assert world.run().records() == []
    world.assert_clean()


def test_ctrl_c_keeps_what_was_recorded_and_leaves_clean_hosts(tmp_path: Path) -> None:
    def interrupt(_: Record) -> None:
        raise KeyboardInterrupt

    world = World(tmp_path, on_end=interrupt)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    assert len(world.store.records()) == 1
    world.assert_clean()


def test_a_rig_may_clean_up_before_its_hosts_are_left(tmp_path: Path) -> None:
    """One rig's end ends the session, while another one's run is under way."""
    a_has_ended = threading.Event()

    def wait_for_a(host: FakeHost, what: str) -> None:
        if host.name == "b-client" and " load " in what:
            assert a_has_ended.wait(PATIENCE_S)
            host.gone.wait(LEFT_TOO_EARLY_S)

    def end(record: Record) -> None:
        if record.run.rig == "a":
            a_has_ended.set()
            raise KeyboardInterrupt

    world = World(tmp_path, rigs=(rig("a"), rig("b")), on_call=wait_for_a, on_end=end)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    asked = world.hosts["b-client"].asked
    left = next(n for n, what in enumerate(asked) if " release " in what)
    assert left == len(asked) - 1, "something was asked of a host after it was left"
    of_b = [each for each in world.store.records() if each.run.rig == "b"]
    assert len(of_b) < 4, "the other rig went on"
    world.assert_clean()


def test_a_host_that_does_not_answer_ends_the_session_and_the_others_are_left_clean(
    tmp_path: Path,
) -> None:
    """The other one arrives only later, and still nothing of ours stays on it."""
    refused = threading.Event()

    def refuse(host: FakeHost, what: str) -> None:
        if host.name == "one-target":
            host.lost = True
            refused.set()
        elif "mkdir" in what:
            assert refused.wait(PATIENCE_S)
            host.gone.wait(LEFT_TOO_EARLY_S)

    world = World(tmp_path, on_call=refuse)
    with pytest.raises(HostError, match="one-target: the connection was lost"):
        world.run()
    assert not world.store.folder.exists()
    assert world.hosts["one-client"].is_clean


def test_a_host_that_is_not_ready_leaves_no_session(tmp_path: Path) -> None:
    world = World(tmp_path, facts=FACTS | {"versions": {}})
    with pytest.raises(NotReadyError, match="one-client: there is no h2load"):
        world.run()
    assert list(tmp_path.iterdir()) == []
    world.assert_clean()


def test_a_record_that_cannot_be_written_ends_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SessionError("records.jsonl: No space left on device")

    monkeypatch.setattr(SessionStore, "append_record", full)
    world = World(tmp_path)
    with pytest.raises(SessionError, match="No space left"):
        world.run()
    world.assert_clean()


def test_a_host_that_is_lost_at_the_end_does_not_spoil_the_session(tmp_path: Path) -> None:
    def lose(host: FakeHost, what: str) -> None:
        host.lost = " release " in what

    world = World(tmp_path, on_call=lose)
    assert len(world.run().records()) == 4


def test_a_target_without_an_address_to_load_is_refused_before_any_host_is_asked(
    tmp_path: Path,
) -> None:
    one = rig()
    nameless = one.target.model_copy(update={"load_address": "nobody.invalid"})
    world = World(tmp_path, rigs=(one.model_copy(update={"target": nameless}),))
    with pytest.raises(FwbenchError, match=r"one-target: .nobody\.invalid. does not resolve"):
        world.run()
    assert world.hosts == {}


@pytest.mark.parametrize(
    ("p99_ms", "offered"),
    [(50, [400, 565.69, 672.72]), (1, [400, 282.84, 237.84])],
    ids=["all hold", "none holds"],
)
def test_each_step_of_a_search_goes_by_those_before_it(
    tmp_path: Path, p99_ms: float, offered: list[float]
) -> None:
    search = Search(p99_ms=p99_ms, lowest=200, highest=800, steps=3)
    load = Load(connections=10, duration_s=1, search=search)
    world = World(tmp_path, loads=(load,), contenders=("flask",), baseline=None)
    store = world.run()
    records = store.records()
    assert [record.observation.offered_rate for record in records] == offered * 2
    for record, rate in zip(records, offered * 2, strict=True):
        commands = json.loads((store.run_folder(record.run.id) / "commands.json").read_text())
        assert f"--rps={rate / 10:.9g}" in commands["load"][0]["argv"]


def test_a_rig_stops_before_its_last_block_once_its_rule_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory every run is like the others: all intervals are narrow at the first look."""
    alike = FASTAPI.model_copy(update={"endpoints": {"hello": HELLO}})
    monkeypatch.setitem(CONTENDERS, "fastapi", alike)
    rule = StoppingRule(within_percent=5)
    world = World(tmp_path, blocks=12, stop=rule, preset=Preset.STANDARD)
    store = world.run()
    assert {record.run.block for record in store.records()} == set(range(1, 11))
    assert any("narrow enough after 10 blocks" in said for said in world.watcher.seen)
    world.assert_clean()


# Going on


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_session_goes_on_where_it_was_interrupted(tmp_path: Path, after: int) -> None:
    world = World(tmp_path, on_end=Interrupts(after))
    with pytest.raises(KeyboardInterrupt):
        world.run()
    before = world.store.records()
    assert len(before) == after
    store = world.resume()
    assert store.folder == world.store.folder
    assert [record.run for record in store.records()] == list(store.plan().runs)
    assert store.records()[:after] == before
    assert f"planned 4, executed {after}" in world.watcher.seen
    assert [each.kind for each in store.events()] == ["resumed"]
    world.assert_clean()


def test_a_run_that_was_under_way_is_repeated_and_what_it_left_kept(tmp_path: Path) -> None:
    def interrupt(_: FakeHost, what: str) -> None:
        if " load " in what:
            raise KeyboardInterrupt

    world = World(tmp_path, on_call=interrupt)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    run = world.session.plan.runs[0].id
    store = world.resume()
    assert (store.attempt_folder(run, 1) / "commands.json").exists()
    assert (store.run_folder(run) / "client-1" / "load.json").exists()
    assert [record.attempt for record in store.records()] == [2, 1, 1, 1]
    assert [each.kind for each in store.events()] == ["interrupted", "resumed"]
    assert run in store.events()[0].reason


def test_a_torn_record_is_taken_off_and_its_run_repeated(tmp_path: Path) -> None:
    world = World(tmp_path, on_end=Interrupts(2))
    with pytest.raises(KeyboardInterrupt):
        world.run()
    path = world.store.folder / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    store = world.resume()
    assert [record.run for record in store.records()] == list(store.plan().runs)
    assert {each.kind for each in store.events()} == {"repaired", "interrupted", "resumed"}


def test_a_session_that_is_over_asks_no_host(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    world.hosts.clear()
    assert len(world.resume().records()) == 4
    assert world.hosts == {}


def test_a_host_that_changed_is_refused_and_nothing_executed(tmp_path: Path) -> None:
    world = World(tmp_path, on_end=Interrupts(1))
    with pytest.raises(KeyboardInterrupt):
        world.run()
    world.facts = FACTS | {"kernel": "6.99.0"}
    with pytest.raises(
        SessionError,
        match=r"one-target: kernel was .*, now it is 6\.99\.0; one-client: kernel was .* --fork",
    ):
        world.resume()
    assert len(world.store.records()) == 1
    world.assert_clean()


def test_the_rest_of_a_session_in_a_changed_world_is_a_new_session(tmp_path: Path) -> None:
    world = World(tmp_path, on_end=Interrupts(1))
    with pytest.raises(KeyboardInterrupt):
        world.run()
    world.facts = FACTS | {"kernel": "6.99.0"}
    rest = world.resume(new=True)
    assert rest.folder != world.store.folder
    assert rest.header().forked_from == world.store.folder.name
    assert {facts.kernel for facts in rest.header().facts} == {"6.99.0"}
    executed = [record.run for store in (world.store, rest) for record in store.records()]
    assert executed == list(world.store.plan().runs)
    for host in world.hosts.values():  # whose lease may run still
        assert any(
            what.endswith(f"release /var/tmp/fwbench-session-{world.store.folder.name}")
            for what in host.asked
        )


def test_there_is_no_rest_of_a_session_that_is_over(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    with pytest.raises(SessionError, match="every run has been executed"):
        world.resume(new=True)


def test_another_version_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, on_end=Interrupts(1))
    with pytest.raises(KeyboardInterrupt):
        world.run()
    monkeypatch.setattr("fwbench.__version__", "99.0")
    with pytest.raises(SessionError, match=r"fwbench was .*, now it is 99\.0"):
        world.resume()


def test_a_session_is_executed_by_one_program_at_a_time(tmp_path: Path) -> None:
    world = World(tmp_path, on_end=Interrupts(1))
    with pytest.raises(KeyboardInterrupt):
        world.run()
    with world.store.lock(), pytest.raises(SessionError, match="is executing this session"):
        world.resume()


# Rigs that cannot be used


def refuse_a(host: FakeHost, _: str) -> None:
    host.lost = host.name == "a-target"


def test_a_rig_that_cannot_be_used_ends_the_session_before_it_begins(tmp_path: Path) -> None:
    world = World(tmp_path, rigs=(rig("a"), rig("b")), on_call=refuse_a)
    with pytest.raises(LostError, match="a-target: the connection was lost"):
        world.run()
    assert not world.store.folder.exists()
    assert world.hosts["b-target"].is_clean


def test_a_rig_that_cannot_be_used_is_left_out_if_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, rigs=(rig("a"), rig("b")), on_call=refuse_a, keep_going=True)
    store = world.run()
    assert {record.run.rig for record in store.records()} == {"b"}
    assert len(store.records()) == 4
    assert list(world.session.unfinished_rigs) == ["a"]
    (event,) = store.events()
    assert (event.kind, event.rig) == ("excluded", "a")
    assert "a-target: the connection was lost" in event.reason


def test_a_rig_that_was_left_out_is_taken_up_once_it_is_healed(tmp_path: Path) -> None:
    world = World(tmp_path, rigs=(rig("a"), rig("b")), on_call=refuse_a, keep_going=True)
    world.run()
    store = world.resume()
    assert len(store.records()) == 8
    assert {facts.host for facts in store.header().facts} == {
        "a-target",
        "a-client",
        "b-target",
        "b-client",
    }
    assert world.session.unfinished_rigs == {}


def test_no_rig_at_all_ends_the_session_even_so(tmp_path: Path) -> None:
    def refuse(host: FakeHost, _: str) -> None:
        host.lost = host.name.endswith("target")

    world = World(tmp_path, rigs=(rig("a"), rig("b")), on_call=refuse, keep_going=True)
    with pytest.raises(LostError, match=r"a-target: .*; b-target: "):
        world.run()


def test_a_rig_that_fails_again_and_again_is_set_aside_and_the_other_goes_on(
    tmp_path: Path,
) -> None:
    def refuse(host: FakeHost, _: str) -> None:
        host.engine_says = "no such runtime" if host.name == "a-target" else ""

    world = World(tmp_path, rigs=(rig("a"), rig("b")), on_call=refuse)
    store = world.run()
    of = [record.run.rig for record in store.records()]
    assert (of.count("a"), of.count("b")) == (3, 4)
    assert "failed 3 times in a row" in world.session.unfinished_rigs["a"]
    assert [(each.kind, each.rig) for each in store.events()] == [("quarantined", "a")]
    world.assert_clean()


def test_a_host_that_another_session_has_is_refused_with_its_name(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.held_by["one-target"] = {
        "session": "smoke-1",
        "owner": "ann on laptop (process 7)",
        "until": 1764000000.0,
        "boot_id": "b",
    }
    with pytest.raises(
        NotReadyError, match=r"one-target: is in use by session smoke-1 of ann on laptop"
    ):
        world.run()
    world.assert_clean()


def test_two_clients_of_a_rig_are_both_asked(tmp_path: Path) -> None:
    two = rig().model_copy(
        update={"clients": tuple(Client(name=n, address="192.0.2.2") for n in ("c1", "c2"))}
    )
    world = World(tmp_path, rigs=(two,), blocks=1)
    store = world.run()
    for record in store.records():
        assert [side.host for side in record.observation.clients] == ["c1", "c2"]
    world.assert_clean()


def test_a_load_with_too_few_connections_for_the_clients_is_refused_at_once(
    tmp_path: Path,
) -> None:
    two = rig().model_copy(
        update={"clients": tuple(Client(name=n, address="192.0.2.2") for n in ("c1", "c2"))}
    )
    with pytest.raises(SuiteError, match="connection"):
        World(tmp_path, rigs=(two,), loads=(Load(connections=1, requests=100),))
