"""The loop: rigs side by side, each with its own runs in order; begun, or gone on with."""

import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import fwbench
from fwbench.errors import SessionError, SuiteError
from fwbench.execution.rig_context import RigContext
from fwbench.execution.rig_runner import Observer, RigRunner, SessionLog, make_event
from fwbench.hosts import changes, lease, preflight
from fwbench.hosts.connector import Connect, ConnectedHosts, HostConnector, merge_errors
from fwbench.loadgen.shares import divide_load
from fwbench.model.contender import Contender
from fwbench.model.host import Rig
from fwbench.model.record import Record, SessionHeader
from fwbench.model.run import Plan, Run
from fwbench.model.suite import Suite
from fwbench.plan import make_plan
from fwbench.ssh.remote import SshRemote
from fwbench.storage.store import SessionStore


class Session:
    """One plan being executed. `cancel()` ends it soon and leaves nothing on the hosts.

    `left_out` says of every rig that was not used to its end why; with `keep_going` also of those
    that could not be used from the beginning, which end the session otherwise.
    """

    def __init__(
        self,
        header: SessionHeader,
        plan: Plan,
        store: SessionStore,
        watcher: Observer,
        *,
        connect: Connect = SshRemote,
        keep_going: bool = False,
    ) -> None:
        self.header, self.plan, self.store = header, plan, store
        self.watcher, self.connect, self.keep_going = watcher, connect, keep_going
        self.id = _session_id(store)
        self.left_out: dict[str, str] = {}
        self._contenders = {contender.name: contender for contender in header.contenders}
        self._cancelled = threading.Event()
        self._begun = False

    @classmethod
    def new(
        cls,
        suite: Suite,
        contenders: Mapping[str, Contender],
        rigs: Sequence[Rig],
        parent: Path,
        watcher: Observer,
        *,
        suite_file: Path | None = None,
        connect: Connect = SshRemote,
        keep_going: bool = False,
    ) -> "Session":
        """All of a suite, between these rigs, in a folder of its own below `parent`.

        Raises `SuiteError` where a load has too few connections for a rig's clients.
        """
        for load, rig in product(suite.loads, rigs):
            divide_load(load, len(rig.clients))
        now = datetime.now(UTC)
        header = SessionHeader(
            fwbench=fwbench.__version__,
            created_at=now.isoformat(timespec="seconds"),
            suite=suite,
            suite_file=None if suite_file is None else suite_file.absolute(),
            contenders=tuple(contenders[name] for name in suite.contenders),
            rigs=tuple(rigs),
            facts=(),
        )
        store = SessionStore(parent / _new_session_id(suite, now))
        plan = make_plan(suite, header.rigs)
        return cls(header, plan, store, watcher, connect=connect, keep_going=keep_going)

    @classmethod
    def resume(
        cls,
        store: SessionStore,
        contenders: Mapping[str, Contender],
        watcher: Observer,
        *,
        connect: Connect = SshRemote,
        keep_going: bool = False,
    ) -> "Session":
        """What a session has not executed yet, in the same plan and folder.

        Raises `SessionError` where the suite, the contenders or fwbench have changed.
        """
        header, plan = store.load()
        if found := changes.config_changes(header, contenders):
            raise SessionError(changes.changed_message(store.folder, found))
        session = cls(header, plan, store, watcher, connect=connect, keep_going=keep_going)
        session._begun = True
        return session

    @classmethod
    def fork_remaining(
        cls,
        store: SessionStore,
        contenders: Mapping[str, Contender],
        watcher: Observer,
        *,
        connect: Connect = SshRemote,
        keep_going: bool = False,
    ) -> "Session":
        """What a session has not executed, as a new session beside it: for a changed world."""
        (before, plan), done = store.load(), store.completed_run_ids()
        now = datetime.now(UTC)
        header = before.model_copy(
            update={
                "fwbench": fwbench.__version__,
                "created_at": now.isoformat(timespec="seconds"),
                "suite_file": None,
                "contenders": tuple(
                    _contender_named(contenders, name) for name in before.suite.contenders
                ),
                "facts": (),
                "forked_from": store.folder.name,
            }
        )
        rest = tuple(run for run in plan.runs if run.id not in done)
        if not rest:
            raise SessionError(f"{store.folder}: every run is executed; there is no rest")
        return cls(
            header,
            Plan(seed=plan.seed, runs=rest),
            SessionStore(store.folder.parent / _new_session_id(before.suite, now)),
            watcher,
            connect=connect,
            keep_going=keep_going,
        )

    def cancel(self) -> None:
        """Let every rig stop what it is doing and clean up."""
        self._cancelled.set()

    def run(self) -> SessionStore:
        """Execute what is to be executed; the store has a record of every run that ended."""
        with ExitStack() as leaving:
            done: frozenset[str] = frozenset()
            if self.header.forked_from is not None and not self._begun:
                # Nobody may go on with that session meanwhile; its leases are taken over.
                before = SessionStore(self.store.folder.with_name(self.header.forked_from))
                leaving.enter_context(before.lock())
            if self._begun:
                leaving.enter_context(self.store.lock())
                done = self._completed_runs()
            runs = {
                rig.name: [run for run in self.plan.runs_of_rig(rig.name) if run.id not in done]
                for rig in self.header.rigs
            }
            rigs = [rig for rig in self.header.rigs if runs[rig.name]]
            if rigs:
                addresses = {rig.name: preflight.load_address(rig.target) for rig in rigs}
                threads = leaving.enter_context(ThreadPoolExecutor(sum(len(r.hosts) for r in rigs)))
                self._rig_runners(rigs, runs, addresses, threads, leaving)
        return self.store

    def _rig_runners(
        self,
        rigs: Sequence[Rig],
        runs: Mapping[str, Sequence[Run]],
        addresses: Mapping[str, str],
        threads: ThreadPoolExecutor,
        leaving: ExitStack,
    ) -> None:
        busy: list[Future[Any]] = []
        self.watcher.say(f"connecting to {', '.join(host.name for r in rigs for host in r.hosts)}")
        visit = HostConnector(self.header, self.store.folder, addresses)
        arrived = visit.connect(rigs, self.connect, threads, busy, leaving)
        usable = [rig for rig in rigs if rig.name not in arrived.errors]
        if arrived.errors and not (self.keep_going and usable):
            trouble = merge_errors(arrived.errors.values())
            if isinstance(trouble, SessionError):
                raise SessionError(changes.changed_message(self.store.folder, [str(trouble)]))
            raise trouble
        self._write_header(arrived, leaving)
        visit = replace(visit, header=self.header)  # which knows the hosts now
        log = SessionLog(self.store, self.watcher)
        for name, trouble in arrived.errors.items():
            self._exclude_rig(log, "excluded", name, str(trouble))
        executed = len(self.plan.runs) - sum(map(len, runs.values()))
        self.watcher.planned(self.plan, executed)
        before = self._earlier_records()
        running = [
            threads.submit(
                self._execute,
                RigRunner(
                    rig=rig.name,
                    suite=self.header.suite,
                    plan=self.plan,
                    runs=runs[rig.name],
                    earlier_records=[record for record in before if record.run.rig == rig.name],
                    contenders=self._contenders,
                    images=arrived.image_ids_of(rig.target),
                    context=self._rig_context(rig, arrived, addresses[rig.name]),
                    log=log,
                    reconnect=partial(visit.reconnect, rig, arrived.remotes),
                ),
            )
            for rig in usable
        ]
        busy += running
        try:
            wait(running, return_when=FIRST_EXCEPTION)
            for future in running:
                if future.done():
                    future.result()
        except BaseException:  # Ctrl-C too: the other rigs stop and clean up before it goes on
            self.cancel()
            raise

    def _execute(self, rounds: RigRunner) -> None:
        """Execute one rig's runs, and say at once where it was set aside."""
        if (why := rounds.run()) is not None:
            self._exclude_rig(rounds.log, "quarantined", rounds.rig, why)

    def _write_header(self, arrived: ConnectedHosts, leaving: ExitStack) -> None:
        """Write down what is known now; of a session that goes on, the hosts it had not met."""
        known = {facts.host for facts in self.header.facts}
        new = [facts for facts in arrived.facts.values() if facts.host not in known]
        self.header = self.header.model_copy(update={"facts": (*self.header.facts, *new)})
        if self._begun:
            if new:
                self.store.write_header(self.header)
            self.store.append_event(
                make_event("resumed", f"the session was resumed with fwbench {fwbench.__version__}")
            )
            return
        SessionStore.create(self.store.folder)
        self.store.initialise(self.header, self.plan)
        leaving.enter_context(self.store.lock())

    def _completed_runs(self) -> frozenset[str]:
        """The runs that are over, once what an end at a bad moment left is whole and noted."""
        if (repaired := self.store.repair()) is not None:
            why = f"{repaired.torn_bytes} bytes of a record that was not whole were taken off"
            self.store.append_event(make_event("repaired", why))
        done = self.store.completed_run_ids()
        for run in self.plan.runs:
            if run.id not in done and self.store.run_folder(run.id).exists():
                kept = self.store.attempt_folder(run.id, self.store.next_attempt(run.id) - 1)
                why = f"run {run.id} was interrupted; what it left is kept in runs/{kept.name}"
                self.store.append_event(make_event("interrupted", why, run.rig))
        return done

    def _earlier_records(self) -> Sequence[Record]:
        """The records that decide what is still to be done: those of a rule, or of a search."""
        suite = self.header.suite
        matter = suite.stop is not None or any(load.search is not None for load in suite.loads)
        return self.store.records() if self._begun and matter else ()

    def _rig_context(self, rig: Rig, arrived: ConnectedHosts, address: str) -> RigContext:
        return RigContext(
            session=self.id,
            target=arrived.remotes[rig.target.name],
            clients=tuple(arrived.remotes[client.name] for client in rig.clients),
            address=address,
            cpus=arrived.facts[rig.target.name].cpu_numbers,
            folder=lease.session_folder(self.id),
            cancelled=self._cancelled.is_set,
        )

    def _exclude_rig(self, log: SessionLog, kind: str, rig: str, why: str) -> None:
        self.left_out[rig] = why
        log.append_event(make_event(kind, why, rig))


def _contender_named(contenders: Mapping[str, Contender], name: str) -> Contender:
    if name not in contenders:
        raise SuiteError(f"there is no contender {name} any more")
    return contenders[name]


def _session_id(store: SessionStore) -> str:
    """A session is called as its folder is: on hosts its name is part of paths and options."""
    name = store.folder.resolve().name
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", name):
        raise SessionError(f"{store.folder}: is no name of a session; call the folder as it was")
    return name


def _new_session_id(suite: Suite, now: datetime) -> str:
    return f"{suite.name}-{now:%Y%m%dt%H%M%S}{now.microsecond // 1000:03}"
