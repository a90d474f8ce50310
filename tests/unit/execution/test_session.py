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
TIMEOUT_S = 5
EARLY_RELEASE_TIMEOUT_S = 0.1  # how long tests wait for the release of a host in use

OnCall = Callable[[FakeHost, str], None]


class RecordingWatcher:
    """A watcher that records its calls, and calls `on_end` after each run."""

    def __init__(self, on_end: Callable[[Record], None] = lambda _: None) -> None:
        self.messages: list[str] = []
        self.on_end = on_end

    def say(self, text: str) -> None:
        self.messages.append(text)

    def planned(self, plan: Plan, executed: int) -> None:
        self.messages.append(f"planned {len(plan.runs)}, executed {executed}")

    def started(self, run: Run) -> None:
        self.messages.append(f"started {run.id}")

    def ended(self, record: Record) -> None:
        self.messages.append(f"ended {record.run.id}")
        self.on_end(record)


class Harness:
    """A session with hosts in memory, which tests can inspect afterwards."""

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
        self.watcher = RecordingWatcher(on_end)
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

    def resume(self, *, keep_going: bool = False, fork: bool = False) -> SessionStore:
        """Resume or fork the session, with new connections to new hosts."""
        self.watcher.on_end = lambda _: None
        self.on_call = lambda *_: None
        create_session = Session.fork_remaining if fork else Session.resume
        options = SessionOptions(self.watcher, self._connect, keep_going)
        self.session = create_session(self.store, CONTENDERS, options)
        return self.session.run()

    def assert_clean(self) -> None:
        for host in self.hosts.values():
            assert host.is_clean, host.asked
            assert host.closed

    def _connect(self, host: Host) -> Any:
        fake = FakeHost(host.name, on_call=lambda host, call: self.on_call(host, call))
        fake.facts = dict(self.facts)
        fake.held_by = self.held_by.get(host.name)
        self.hosts[host.name] = fake
        return fake


class InterruptAfter:
    """Interrupt a session, as Ctrl-C does, after the given number of records."""

    def __init__(self, after: int) -> None:
        self.remaining = after

    def __call__(self, _: Record) -> None:
        self.remaining -= 1
        if not self.remaining:
            raise KeyboardInterrupt


def test_records_are_in_the_order_of_the_plan(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    store = harness.run()
    plan = make_plan(harness.suite, harness.rigs)
    assert store.plan() == plan
    assert [record.run for record in store.records()] == list(plan.runs)
    assert {
        record.verdict.status for record in store.records() if contender_of(record) == "flask"
    } == {"valid"}


def contender_of(record: Record) -> str:
    return record.run.trial.contender


def test_header_has_suite_rigs_contenders_and_facts(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    session_header = harness.run().header()
    assert (session_header.suite, session_header.rigs) == (harness.suite, harness.rigs)
    assert [contender.name for contender in session_header.contenders] == ["flask", "fastapi"]
    assert [facts.host for facts in session_header.facts] == ["one-target", "one-client"]


def test_folder_is_named_after_suite_and_time(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.run()
    assert harness.store.folder.parent == tmp_path
    assert harness.store.folder.name == harness.session.id
    assert harness.session.id.startswith("published-2")


def test_each_run_has_its_raw_files(tmp_path: Path) -> None:
    store = Harness(tmp_path).run()
    for record in store.records():
        assert (store.run_folder(record.run.id) / "client-1" / "load.json").exists()


def test_started_image_is_the_one_in_the_facts(tmp_path: Path) -> None:
    harness = Harness(tmp_path, contenders=("flask",), baseline=None, blocks=1)
    harness.run()
    calls = harness.hosts["one-target"].asked
    assert [call.split()[-1] for call in calls if "docker run" in call] == ["sha256:flask"]


def test_watcher_is_notified_of_every_run(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blocks=1)
    runs = [run.id for run in make_plan(harness.suite, harness.rigs).runs]
    harness.run()
    assert harness.watcher.messages == [
        "connecting to one-target, one-client",
        "planned 2, executed 0",
        f"started {runs[0]}",
        f"ended {runs[0]}",
        f"started {runs[1]}",
        f"ended {runs[1]}",
    ]


def test_session_leaves_clean_hosts(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.run()
    harness.assert_clean()


def test_session_folder_on_a_host_has_mode_700(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.run()
    commands = [call for host in harness.hosts.values() for call in host.asked if "mkdir" in call]
    assert commands
    assert all(call.startswith("mkdir -m 700 /var/tmp/fwbench-session-") for call in commands)


def test_rigs_run_in_parallel(tmp_path: Path) -> None:
    """Each rig's first load waits for that of the other. In sequence, they would time out."""
    barrier = threading.Barrier(2, timeout=TIMEOUT_S)
    waited = set()

    def wait_for_other(host: FakeHost, call: str) -> None:
        if " load " in call and host.name not in waited:
            waited.add(host.name)
            barrier.wait()

    harness = Harness(tmp_path, rigs=(rig("a"), rig("b")), on_call=wait_for_other)
    store = harness.run()
    assert waited == {"a-client", "b-client"}
    for name in ("a", "b"):
        runs = [record.run for record in store.records() if record.run.rig == name]
        assert runs == list(store.plan().runs_of_rig(name))
    harness.assert_clean()


def test_failed_run_is_recorded_and_the_next_one_executed(tmp_path: Path) -> None:
    failed = []

    def refuse_once(host: FakeHost, call: str) -> None:
        host.engine_says = ""
        if "docker run" in call and not failed:
            failed.append(call)
            host.engine_says = "no space left on device"

    harness = Harness(tmp_path, on_call=refuse_once)
    records = harness.run().records()
    assert [record.observation.failure is None for record in records] == [False, True, True, True]
    assert records[0].verdict.status == "invalid"
    assert harness.store.lost_attempts() == []
    harness.assert_clean()


def test_run_is_repeated_after_a_lost_connection(tmp_path: Path) -> None:
    lost = []

    def lose_once(host: FakeHost, call: str) -> None:
        host.lost = "docker run" in call and not lost
        if host.lost:
            lost.append(call)

    harness = Harness(tmp_path, on_call=lose_once)
    store = harness.run()
    assert [record.run for record in store.records()] == list(store.plan().runs)
    assert [record.attempt for record in store.records()] == [2, 1, 1, 1]
    assert [record.attempt for record in store.lost_attempts()] == [1]
    harness.assert_clean()


def test_cancelled_session_keeps_its_records(tmp_path: Path) -> None:
    harness = Harness(tmp_path, on_end=lambda _: harness.session.cancel())
    store = harness.run()
    assert len(store.records()) == 1
    assert len(store.plan().runs) == 4
    assert sum(call.startswith("started ") for call in harness.watcher.messages) == 1
    harness.assert_clean()


def test_cancelled_run_is_not_recorded(tmp_path: Path) -> None:
    def cancel(_: FakeHost, call: str) -> None:
        if " load " in call:
            harness.session.cancel()

    harness = Harness(tmp_path, on_call=cancel)
    assert harness.run().records() == []
    harness.assert_clean()


def test_ctrl_c_keeps_records_and_leaves_clean_hosts(tmp_path: Path) -> None:
    def interrupt(_: Record) -> None:
        raise KeyboardInterrupt

    harness = Harness(tmp_path, on_end=interrupt)
    with pytest.raises(KeyboardInterrupt):
        harness.run()
    assert len(harness.store.records()) == 1
    harness.assert_clean()


def test_rig_cleans_up_before_its_hosts_are_released(tmp_path: Path) -> None:
    """Rig a interrupts the session while rig b executes a run."""
    a_has_ended = threading.Event()

    def wait_for_a(host: FakeHost, call: str) -> None:
        if host.name == "b-client" and " load " in call:
            assert a_has_ended.wait(TIMEOUT_S)
            host.gone.wait(EARLY_RELEASE_TIMEOUT_S)

    def end(record: Record) -> None:
        if record.run.rig == "a":
            a_has_ended.set()
            raise KeyboardInterrupt

    harness = Harness(tmp_path, rigs=(rig("a"), rig("b")), on_call=wait_for_a, on_end=end)
    with pytest.raises(KeyboardInterrupt):
        harness.run()
    calls = harness.hosts["b-client"].asked
    release_index = next(n for n, call in enumerate(calls) if " release " in call)
    assert release_index == len(calls) - 1, "a host was called after its release"
    records_of_b = [each for each in harness.store.records() if each.run.rig == "b"]
    assert len(records_of_b) < 4, "rig b continued"
    harness.assert_clean()


def test_unreachable_host_ends_the_session_and_others_are_clean(
    tmp_path: Path,
) -> None:
    """The other host connects only later, and is still cleaned up."""
    refused = threading.Event()

    def refuse(host: FakeHost, call: str) -> None:
        if host.name == "one-target":
            host.lost = True
            refused.set()
        elif "mkdir" in call:
            assert refused.wait(TIMEOUT_S)
            host.gone.wait(EARLY_RELEASE_TIMEOUT_S)

    harness = Harness(tmp_path, on_call=refuse)
    with pytest.raises(HostError, match="one-target: the connection was lost"):
        harness.run()
    assert not harness.store.folder.exists()
    assert harness.hosts["one-client"].is_clean


def test_failed_preflight_leaves_no_session(tmp_path: Path) -> None:
    harness = Harness(tmp_path, facts=FACTS | {"versions": {}})
    with pytest.raises(NotReadyError, match="one-client: there is no h2load"):
        harness.run()
    assert list(tmp_path.iterdir()) == []
    harness.assert_clean()


def test_failure_to_write_a_record_ends_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SessionError("records.jsonl: No space left on device")

    monkeypatch.setattr(SessionStore, "append_record", full)
    harness = Harness(tmp_path)
    with pytest.raises(SessionError, match="No space left"):
        harness.run()
    harness.assert_clean()


def test_host_lost_at_the_end_does_not_fail_the_session(tmp_path: Path) -> None:
    def lose(host: FakeHost, call: str) -> None:
        host.lost = " release " in call

    harness = Harness(tmp_path, on_call=lose)
    assert len(harness.run().records()) == 4


def test_unresolvable_load_address_is_refused_before_connecting(
    tmp_path: Path,
) -> None:
    one = rig()
    nameless = one.target.model_copy(update={"load_address": "nobody.invalid"})
    harness = Harness(tmp_path, rigs=(one.model_copy(update={"target": nameless}),))
    with pytest.raises(FwbenchError, match=r"one-target: .nobody\.invalid. does not resolve"):
        harness.run()
    assert harness.hosts == {}


@pytest.mark.parametrize(
    ("p99_ms", "offered"),
    [(50, [400, 565.69, 672.72]), (1, [400, 282.84, 237.84])],
    ids=["all hold", "none holds"],
)
def test_each_search_step_depends_on_the_steps_before_it(
    tmp_path: Path, p99_ms: float, offered: list[float]
) -> None:
    search = Search(p99_ms=p99_ms, lowest=200, highest=800, steps=3)
    load = Load(connections=10, duration_s=1, search=search)
    harness = Harness(tmp_path, loads=(load,), contenders=("flask",), baseline=None)
    store = harness.run()
    records = store.records()
    assert [record.observation.offered_rate for record in records] == offered * 2
    for record, rate in zip(records, offered * 2, strict=True):
        commands = json.loads((store.run_folder(record.run.id) / "commands.json").read_text())
        assert f"--rps={rate / 10:.9g}" in commands["load"][0]["argv"]


def test_stopping_rule_ends_a_rig_before_its_last_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fake runs do not differ, so every interval is narrow at the first interim analysis."""
    same_endpoints = FASTAPI.model_copy(update={"endpoints": {"hello": HELLO}})
    monkeypatch.setitem(CONTENDERS, "fastapi", same_endpoints)
    rule = StoppingRule(within_percent=5)
    harness = Harness(tmp_path, blocks=12, stop=rule, preset=Preset.STANDARD)
    store = harness.run()
    assert {record.run.block for record in store.records()} == set(range(1, 11))
    assert any("narrow enough after 10 blocks" in message for message in harness.watcher.messages)
    harness.assert_clean()


# Resuming


@pytest.mark.parametrize("after", [1, 2, 3])
def test_resume_continues_where_the_session_was_interrupted(tmp_path: Path, after: int) -> None:
    harness = Harness(tmp_path, on_end=InterruptAfter(after))
    with pytest.raises(KeyboardInterrupt):
        harness.run()
    before = harness.store.records()
    assert len(before) == after
    store = harness.resume()
    assert store.folder == harness.store.folder
    assert [record.run for record in store.records()] == list(store.plan().runs)
    assert store.records()[:after] == before
    assert f"planned 4, executed {after}" in harness.watcher.messages
    assert [each.kind for each in store.events()] == ["resumed"]
    harness.assert_clean()


def test_interrupted_run_is_repeated_and_its_files_kept(tmp_path: Path) -> None:
    def interrupt(_: FakeHost, call: str) -> None:
        if " load " in call:
            raise KeyboardInterrupt

    harness = Harness(tmp_path, on_call=interrupt)
    with pytest.raises(KeyboardInterrupt):
        harness.run()
    run = harness.session.plan.runs[0].id
    store = harness.resume()
    assert (store.attempt_folder(run, 1) / "commands.json").exists()
    assert (store.run_folder(run) / "client-1" / "load.json").exists()
    assert [record.attempt for record in store.records()] == [2, 1, 1, 1]
    assert [each.kind for each in store.events()] == ["interrupted", "resumed"]
    assert run in store.events()[0].reason


def test_torn_record_is_removed_and_its_run_repeated(tmp_path: Path) -> None:
    harness = Harness(tmp_path, on_end=InterruptAfter(2))
    with pytest.raises(KeyboardInterrupt):
        harness.run()
    path = harness.store.folder / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    store = harness.resume()
    assert [record.run for record in store.records()] == list(store.plan().runs)
    assert {each.kind for each in store.events()} == {"repaired", "interrupted", "resumed"}


def test_resume_of_a_finished_session_contacts_no_host(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.run()
    harness.hosts.clear()
    assert len(harness.resume().records()) == 4
    assert harness.hosts == {}


def test_resume_refuses_a_changed_host_and_executes_nothing(tmp_path: Path) -> None:
    harness = Harness(tmp_path, on_end=InterruptAfter(1))
    with pytest.raises(KeyboardInterrupt):
        harness.run()
    harness.facts = FACTS | {"kernel": "6.99.0"}
    with pytest.raises(
        SessionError,
        match=r"one-target: kernel was .*, now it is 6\.99\.0; one-client: kernel was .* --fork",
    ):
        harness.resume()
    assert len(harness.store.records()) == 1
    harness.assert_clean()


def test_fork_executes_the_remaining_runs_on_changed_hosts(tmp_path: Path) -> None:
    harness = Harness(tmp_path, on_end=InterruptAfter(1))
    with pytest.raises(KeyboardInterrupt):
        harness.run()
    harness.facts = FACTS | {"kernel": "6.99.0"}
    fork = harness.resume(fork=True)
    assert fork.folder != harness.store.folder
    assert fork.header().forked_from == harness.store.folder.name
    assert {facts.kernel for facts in fork.header().facts} == {"6.99.0"}
    executed = [record.run for store in (harness.store, fork) for record in store.records()]
    assert executed == list(harness.store.plan().runs)
    for host in harness.hosts.values():  # the lease of the first session may not have expired
        assert any(
            call.endswith(f"release /var/tmp/fwbench-session-{harness.store.folder.name}")
            for call in host.asked
        )


def test_fork_of_a_finished_session_is_refused(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.run()
    with pytest.raises(SessionError, match="every run has been executed"):
        harness.resume(fork=True)


def test_resume_refuses_another_version_of_fwbench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness(tmp_path, on_end=InterruptAfter(1))
    with pytest.raises(KeyboardInterrupt):
        harness.run()
    monkeypatch.setattr("fwbench.__version__", "99.0")
    with pytest.raises(SessionError, match=r"fwbench was .*, now it is 99\.0"):
        harness.resume()


def test_session_is_executed_by_one_process_at_a_time(tmp_path: Path) -> None:
    harness = Harness(tmp_path, on_end=InterruptAfter(1))
    with pytest.raises(KeyboardInterrupt):
        harness.run()
    with harness.store.lock(), pytest.raises(SessionError, match="is executing this session"):
        harness.resume()


# Rigs that cannot be used


def refuse_a(host: FakeHost, _: str) -> None:
    host.lost = host.name == "a-target"


def test_unusable_rig_ends_the_session_before_it_begins(tmp_path: Path) -> None:
    harness = Harness(tmp_path, rigs=(rig("a"), rig("b")), on_call=refuse_a)
    with pytest.raises(LostError, match="a-target: the connection was lost"):
        harness.run()
    assert not harness.store.folder.exists()
    assert harness.hosts["b-target"].is_clean


def test_unusable_rig_is_excluded_with_keep_going(tmp_path: Path) -> None:
    harness = Harness(tmp_path, rigs=(rig("a"), rig("b")), on_call=refuse_a, keep_going=True)
    store = harness.run()
    assert {record.run.rig for record in store.records()} == {"b"}
    assert len(store.records()) == 4
    assert list(harness.session.unfinished_rigs) == ["a"]
    (event,) = store.events()
    assert (event.kind, event.rig) == ("excluded", "a")
    assert "a-target: the connection was lost" in event.reason


def test_resume_uses_an_excluded_rig_that_has_recovered(tmp_path: Path) -> None:
    harness = Harness(tmp_path, rigs=(rig("a"), rig("b")), on_call=refuse_a, keep_going=True)
    harness.run()
    store = harness.resume()
    assert len(store.records()) == 8
    assert {facts.host for facts in store.header().facts} == {
        "a-target",
        "a-client",
        "b-target",
        "b-client",
    }
    assert harness.session.unfinished_rigs == {}


def test_session_without_a_usable_rig_ends_despite_keep_going(tmp_path: Path) -> None:
    def refuse(host: FakeHost, _: str) -> None:
        host.lost = host.name.endswith("target")

    harness = Harness(tmp_path, rigs=(rig("a"), rig("b")), on_call=refuse, keep_going=True)
    with pytest.raises(LostError, match=r"a-target: .*; b-target: "):
        harness.run()


def test_failing_rig_is_quarantined_and_the_other_continues(
    tmp_path: Path,
) -> None:
    def refuse(host: FakeHost, _: str) -> None:
        host.engine_says = "no such runtime" if host.name == "a-target" else ""

    harness = Harness(tmp_path, rigs=(rig("a"), rig("b")), on_call=refuse)
    store = harness.run()
    rigs = [record.run.rig for record in store.records()]
    assert (rigs.count("a"), rigs.count("b")) == (3, 4)
    assert "failed 3 times in a row" in harness.session.unfinished_rigs["a"]
    assert [(each.kind, each.rig) for each in store.events()] == [("quarantined", "a")]
    harness.assert_clean()


def test_host_leased_to_another_session_is_refused_by_name(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.held_by["one-target"] = {
        "session": "smoke-1",
        "owner": "ann on laptop (process 7)",
        "until": 1764000000.0,
        "boot_id": "b",
    }
    with pytest.raises(
        NotReadyError, match=r"one-target: is in use by session smoke-1 of ann on laptop"
    ):
        harness.run()
    harness.assert_clean()


def test_both_clients_of_a_rig_are_observed(tmp_path: Path) -> None:
    two = rig().model_copy(
        update={"clients": tuple(Client(name=n, address="192.0.2.2") for n in ("c1", "c2"))}
    )
    harness = Harness(tmp_path, rigs=(two,), blocks=1)
    store = harness.run()
    for record in store.records():
        assert [side.host for side in record.observation.clients] == ["c1", "c2"]
    harness.assert_clean()


def test_load_with_fewer_connections_than_clients_is_refused(
    tmp_path: Path,
) -> None:
    two = rig().model_copy(
        update={"clients": tuple(Client(name=n, address="192.0.2.2") for n in ("c1", "c2"))}
    )
    with pytest.raises(SuiteError, match="connection"):
        Harness(tmp_path, rigs=(two,), loads=(Load(connections=1, requests=100),))
