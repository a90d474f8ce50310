"""Execute a plan: rigs side by side, the runs of each rig in order; new, resumed or forked."""

import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

import fwbench
from fwbench.errors import SessionError, SuiteError
from fwbench.execution.rig_context import RigContext
from fwbench.execution.rig_runner import Observer, RigRunner, SessionLog, make_event
from fwbench.hosts import changes, lease, preflight
from fwbench.hosts.connector import Connect, ConnectedHosts, HostConnector, merge_errors
from fwbench.loadgen.shares import divide_load
from fwbench.model.contender import Contender
from fwbench.model.host import Rig
from fwbench.model.record import SessionHeader
from fwbench.model.run import Plan, Run
from fwbench.model.suite import Suite
from fwbench.plan import make_plan
from fwbench.ssh.remote import SshRemote
from fwbench.stats.run_result import RunResult
from fwbench.stats.session_results import session_results
from fwbench.storage.store import SessionStore


@dataclass(frozen=True)
class SessionOptions:
    """How a session is executed, whatever its plan: who observes it, and how hosts are reached.

    With `keep_going`, rigs that cannot be used from the start are excluded; otherwise the session
    ends there.
    """

    observer: Observer
    connect: Connect = SshRemote
    keep_going: bool = False


class Session:
    """One plan being executed. `cancel()` ends it soon and leaves nothing on the hosts.

    `unfinished_rigs` has the reason for each rig that was excluded or quarantined.
    """

    def __init__(
        self, header: SessionHeader, plan: Plan, store: SessionStore, options: SessionOptions
    ) -> None:
        self.header, self.plan, self.store, self.options = header, plan, store, options
        self.id = _session_id(store)
        self.unfinished_rigs: dict[str, str] = {}
        self._contenders = {contender.name: contender for contender in header.contenders}
        self._cancelled = threading.Event()
        self._is_resumed = False

    @classmethod
    def new(
        cls,
        suite: Suite,
        contenders: Mapping[str, Contender],
        rigs: Sequence[Rig],
        parent: Path,
        options: SessionOptions,
        *,
        suite_file: Path | None = None,
        overrides: Sequence[str] = (),
    ) -> "Session":
        """Return a session of a whole suite on these rigs, in a new folder below `parent`.

        `overrides` are those with which the suite was read from its file.

        Raises `SuiteError` if a load has too few connections for a rig's clients.
        """
        for load, rig in product(suite.loads, rigs):
            divide_load(load, len(rig.clients))
        now = datetime.now(UTC)
        header = SessionHeader(
            fwbench=fwbench.__version__,
            created_at=now.isoformat(timespec="seconds"),
            suite=suite,
            suite_file=None if suite_file is None else suite_file.absolute(),
            overrides=tuple(overrides),
            contenders=tuple(contenders[name] for name in suite.contenders),
            rigs=tuple(rigs),
            facts=(),
        )
        store = SessionStore(parent / _new_session_id(suite, now))
        return cls(header, make_plan(suite, header.rigs), store, options)

    @classmethod
    def resume(
        cls, store: SessionStore, contenders: Mapping[str, Contender], options: SessionOptions
    ) -> "Session":
        """Return a session that executes its remaining runs, in the same plan and folder.

        Raises `SessionError` if the suite, the contenders or fwbench have changed.
        """
        header, plan = store.load()
        if found := changes.config_changes(header, contenders):
            raise SessionError(changes.changed_message(store.folder, found))
        session = cls(header, plan, store, options)
        session._is_resumed = True
        return session

    @classmethod
    def fork_remaining(
        cls, store: SessionStore, contenders: Mapping[str, Contender], options: SessionOptions
    ) -> "Session":
        """Return a new session for the runs that another one has not executed.

        Its hosts, contenders and images may have changed. Raises `SessionError` if no run remains.
        """
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
        remaining = tuple(run for run in plan.runs if run.id not in done)
        if not remaining:
            raise SessionError(f"{store.folder}: every run has been executed; no run remains")
        forked = SessionStore(store.folder.parent / _new_session_id(before.suite, now))
        return cls(header, Plan(seed=plan.seed, runs=remaining), forked, options)

    def cancel(self) -> None:
        """Have every rig stop and clean up."""
        self._cancelled.set()

    def run(self) -> SessionStore:
        """Execute the runs; return the store, which has a record of each run that ended."""
        with ExitStack() as cleanup:
            done: frozenset[str] = frozenset()
            if self.header.forked_from is not None and not self._is_resumed:
                # Nobody may resume that session meanwhile: its leases are taken over.
                before = SessionStore(self.store.folder.with_name(self.header.forked_from))
                cleanup.enter_context(before.lock())
            if self._is_resumed:
                cleanup.enter_context(self.store.lock())
                done = self._completed_runs()
            runs = {
                rig.name: [run for run in self.plan.runs_of_rig(rig.name) if run.id not in done]
                for rig in self.header.rigs
            }
            rigs = [rig for rig in self.header.rigs if runs[rig.name]]
            if rigs:
                self._run_rigs(rigs, runs, cleanup)
        return self.store

    def _run_rigs(
        self, rigs: Sequence[Rig], runs: Mapping[str, Sequence[Run]], cleanup: ExitStack
    ) -> None:
        """Connect to all hosts, then work through the runs of each rig, all rigs side by side."""
        observer = self.options.observer
        addresses = {rig.name: preflight.load_address(rig.target) for rig in rigs}
        threads = cleanup.enter_context(ThreadPoolExecutor(sum(len(r.hosts) for r in rigs)))
        busy: list[Future[Any]] = []
        observer.say(f"connecting to {', '.join(host.name for r in rigs for host in r.hosts)}")
        connector = HostConnector(self.header, self.store.folder, addresses)
        hosts = connector.connect(rigs, self.options.connect, threads, busy, cleanup)
        usable = [rig for rig in rigs if rig.name not in hosts.errors]
        if hosts.errors and not (self.options.keep_going and usable):
            self._raise(hosts)
        self._write_header(hosts, cleanup)
        connector = replace(connector, header=self.header)  # which has the hosts' facts now
        log = SessionLog(self.store, observer)
        for name, error in hosts.errors.items():
            self._note_unfinished(log, "excluded", name, str(error))
        observer.planned(self.plan, len(self.plan.runs) - sum(map(len, runs.values())))
        earlier = self._earlier_results()
        runners = [
            RigRunner(
                rig=rig.name,
                suite=self.header.suite,
                plan=self.plan,
                runs=runs[rig.name],
                earlier_results=[result for result in earlier if result.rig == rig.name],
                contenders=self._contenders,
                images=hosts.image_ids_of(rig.target),
                context=self._rig_context(rig, hosts, addresses[rig.name]),
                log=log,
                reconnect=partial(connector.reconnect, rig, hosts.remotes),
            )
            for rig in usable
        ]
        running = [threads.submit(self._run_rig, runner) for runner in runners]
        busy += running
        try:
            wait(running, return_when=FIRST_EXCEPTION)
            for future in running:
                if future.done():
                    future.result()
        except BaseException:  # Ctrl-C too: the other rigs stop and clean up first
            self.cancel()
            raise

    def _raise(self, hosts: ConnectedHosts) -> NoReturn:
        error = merge_errors(hosts.errors.values())
        if isinstance(error, SessionError):
            raise SessionError(changes.changed_message(self.store.folder, [str(error)]))
        raise error

    def _run_rig(self, runner: RigRunner) -> None:
        """Execute the runs of one rig; note at once if it was quarantined."""
        if (reason := runner.run()) is not None:
            self._note_unfinished(runner.log, "quarantined", runner.rig, reason)

    def _write_header(self, hosts: ConnectedHosts, cleanup: ExitStack) -> None:
        """Write the header; of a resumed session, add the hosts that were not reached before."""
        known = {facts.host for facts in self.header.facts}
        new = [facts for facts in hosts.facts.values() if facts.host not in known]
        self.header = self.header.model_copy(update={"facts": (*self.header.facts, *new)})
        if self._is_resumed:
            if new:
                self.store.write_header(self.header)
            self.store.append_event(
                make_event("resumed", f"the session was resumed with fwbench {fwbench.__version__}")
            )
            return
        SessionStore.create(self.store.folder)
        self.store.initialise(self.header, self.plan)
        cleanup.enter_context(self.store.lock())

    def _completed_runs(self) -> frozenset[str]:
        """Return the ids of completed runs; repair and note what an interruption left."""
        if (repair := self.store.repair()) is not None:
            reason = f"an incomplete record of {repair.torn_bytes} bytes was removed"
            self.store.append_event(make_event("repaired", reason))
        done = self.store.completed_run_ids()
        for run in self.plan.runs:
            if run.id not in done and self.store.run_folder(run.id).exists():
                kept = self.store.attempt_folder(run.id, self.store.next_attempt(run.id) - 1)
                reason = f"run {run.id} was interrupted; its artifacts are kept in runs/{kept.name}"
                self.store.append_event(make_event("interrupted", reason, run.rig))
        return done

    def _earlier_results(self) -> Sequence[RunResult]:
        """Return the results that decide what remains: a stopping rule and a search need them."""
        suite = self.header.suite
        needed = suite.stop is not None or any(load.search is not None for load in suite.loads)
        return session_results(self.store.attempts()).runs if self._is_resumed and needed else ()

    def _rig_context(self, rig: Rig, hosts: ConnectedHosts, address: str) -> RigContext:
        return RigContext(
            session=self.id,
            target=hosts.remotes[rig.target.name],
            clients=tuple(hosts.remotes[client.name] for client in rig.clients),
            address=address,
            cpus=hosts.facts[rig.target.name].cpu_numbers,
            folder=lease.session_folder(self.id),
            cancelled=self._cancelled.is_set,
        )

    def _note_unfinished(self, log: SessionLog, kind: str, rig: str, reason: str) -> None:
        self.unfinished_rigs[rig] = reason
        log.append_event(make_event(kind, reason, rig))


def _contender_named(contenders: Mapping[str, Contender], name: str) -> Contender:
    if name not in contenders:
        raise SuiteError(f"contender {name} is missing: restore contenders/{name}/contender.yml")
    return contenders[name]


def _session_id(store: SessionStore) -> str:
    """Return the folder's name, which is part of paths and options on hosts."""
    name = store.folder.resolve().name
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", name):
        raise SessionError(f"{store.folder}: is not the name of a session; rename the folder back")
    return name


def _new_session_id(suite: Suite, now: datetime) -> str:
    return f"{suite.name}-{now:%Y%m%dt%H%M%S}{now.microsecond // 1000:03}"
