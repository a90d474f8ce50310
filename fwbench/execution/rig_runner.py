"""Execute the runs of one rig, in order. Each is judged and recorded before the next starts."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from fwbench.checks.evaluate import evaluate_run
from fwbench.errors import FwbenchError, LostError
from fwbench.execution.rig_context import CancelledError, RigContext
from fwbench.execution.run import execute_run
from fwbench.hosts import lease
from fwbench.model.contender import Contender
from fwbench.model.event import Event
from fwbench.model.load import Load
from fwbench.model.record import Record
from fwbench.model.run import Plan, Run
from fwbench.model.suite import Suite
from fwbench.stats.run_result import RunResult, run_result
from fwbench.stats.search import next_rate
from fwbench.stats.summarise import stopping_reason
from fwbench.storage.store import SessionStore

MAX_CONSECUTIVE_FAILURES = 3
RECONNECT_TIMEOUT_S = 60.0
POLL_INTERVAL_S = 1.0


class Observer(Protocol):
    """Receives a session's progress. Its methods are called from several threads."""

    def say(self, text: str) -> None:
        """Show a message about what happens now."""

    def planned(self, plan: Plan, executed: int) -> None:
        """Receive all runs, and the number of runs that were executed before a resumption."""

    def started(self, run: Run) -> None:
        """Receive a run that starts."""

    def ended(self, record: Record) -> None:
        """Receive the record of a run or of a lost attempt."""


@dataclass(frozen=True)
class SessionLog:
    """The session's store and observer, shared by all rigs; one rig at a time writes."""

    store: SessionStore
    observer: Observer
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def append_record(self, record: Record) -> None:
        """Store a record, then pass it to the observer."""
        with self._writing:
            self.store.append_record(record)
        self.observer.ended(record)

    def append_event(self, event: Event) -> None:
        """Store an event, then show it."""
        with self._writing:
            self.store.append_event(event)
        self.observer.say(f"{event.rig}: {event.reason}" if event.rig else event.reason)


@dataclass(frozen=True)
class RigRunner:
    """Executes the remaining `runs` of one rig; `earlier_results` are those of its other runs.

    `reconnect` takes every host of the rig again after one was lost. It raises `LostError` while a
    host does not answer, and any other `FwbenchError` if the rig can no longer be used.
    """

    rig: str
    suite: Suite
    plan: Plan
    runs: Sequence[Run]
    earlier_results: Sequence[RunResult]
    contenders: Mapping[str, Contender]
    images: Mapping[str, str]
    context: RigContext
    log: SessionLog
    reconnect: Callable[[], None]

    def run(self) -> str | None:
        """Execute the runs; return the reason if the rig was quarantined, else None.

        A lost attempt is recorded as failed, and the run is repeated. Any other failure is the
        run's result. Three failures in a row quarantine the rig.
        """
        try:
            self._run_all()
        except _QuarantinedError as error:
            return str(error)
        return None

    def _run_all(self) -> None:
        done, failures = list(self.earlier_results), 0
        for run in self.runs:
            if done and done[-1].block != run.block and self._stopping_rule_met(done):
                return
            record = None
            while record is None or record.observation.infrastructure_failure:
                record = self._attempt(run, done)
                if record is None:
                    return
                failure = record.observation.failure
                failures = failures + 1 if failure else 0
                if failures == MAX_CONSECUTIVE_FAILURES:
                    raise _QuarantinedError(_consecutive_failures(failure))
                if record.observation.infrastructure_failure:
                    failures = self._wait_for_hosts(failures)
            done.append(run_result(record))

    def _stopping_rule_met(self, done: Sequence[RunResult]) -> bool:
        reason = stopping_reason(self.suite, self.plan.trials, self.rig, done)
        if reason is not None:
            self.log.observer.say(f"{self.rig}: {reason}")
        return reason is not None

    def _attempt(self, run: Run, done: Sequence[RunResult]) -> Record | None:
        """Execute a run once; return its record, or None if the session was cancelled."""
        if self.context.cancelled():
            return None
        attempt = self.log.store.next_attempt(run.id)
        self.log.observer.started(run)
        contender = self.contenders[run.trial.contender]
        try:
            observation = execute_run(
                run,
                _load_of(run, done),
                contender,
                self.images[contender.name],
                self.suite.start_timeout_s,
                self.context,
                self.log.store.run_folder(run.id),
            )
        except CancelledError:
            return None
        if (
            observation.failure is not None
            and not observation.infrastructure_failure
            and self._lease_expired()
        ):
            observation = observation.model_copy(update={"infrastructure_failure": True})
        verdict = evaluate_run(run, contender, observation, self.suite.thresholds)
        record = Record(run=run, attempt=attempt, observation=observation, verdict=verdict)
        self.log.append_record(record)
        return record

    def _lease_expired(self) -> bool:
        """Return whether a host has removed the session because its lease was not renewed in time.

        This happens, for example, when the controller sleeps during a load.
        """
        try:
            return not all(
                lease.session_folder_exists(host, self.context.folder)
                for host in self.context.hosts
            )
        except LostError:
            return True
        except FwbenchError:
            return False

    def _wait_for_hosts(self, failures: int) -> int:
        """Wait until all hosts answer again; return the number of failures in a row.

        Each minute without an answer counts as a further failure.
        """
        deadline = self.context.clock() + RECONNECT_TIMEOUT_S
        while not self.context.cancelled():
            try:
                self.reconnect()
                break
            except LostError as error:
                if self.context.clock() > deadline:
                    failures, deadline = failures + 1, self.context.clock() + RECONNECT_TIMEOUT_S
                if failures == MAX_CONSECUTIVE_FAILURES:
                    raise _QuarantinedError(_consecutive_failures(str(error))) from error
            except FwbenchError as error:
                raise _QuarantinedError(str(error)) from error
            self.context.sleep(POLL_INTERVAL_S)
        return failures


class _QuarantinedError(Exception):
    """The reason not to use the rig any more in this session."""


def _consecutive_failures(failure: str | None) -> str:
    return f"failed {MAX_CONSECUTIVE_FAILURES} times in a row; the last failure: {failure}"


def make_event(kind: str, reason: str, rig: str | None = None) -> Event:
    """Return an event with the current time."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Event.model_validate({"at": at, "kind": kind, "rig": rig, "reason": reason})


def _load_of(run: Run, done: Iterable[RunResult]) -> Load:
    """Return the load of a run; a search chooses its rate by the block's earlier steps."""
    load = run.trial.load
    if load.search is None:
        return load
    before = [r.passed for r in done if r.block == run.block and r.trial == run.trial]
    return load.at_rate(next_rate(load.search, before))
