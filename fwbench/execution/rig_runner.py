"""One rig's runs, in order: each executed, judged and recorded before the next one."""

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
    """Somebody who wants to know what is happening. Called from several threads."""

    def say(self, text: str) -> None:
        """A step is being taken."""

    def planned(self, plan: Plan, executed: int) -> None:
        """All runs are known, and how many of them an earlier part of the session executed."""

    def started(self, run: Run) -> None:
        """A run begins."""

    def ended(self, record: Record) -> None:
        """A run, or an attempt at one, is recorded."""


@dataclass(frozen=True)
class SessionLog:
    """Where all rigs of a session leave what they have: one at a time."""

    store: SessionStore
    observer: Observer
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def append_record(self, record: Record) -> None:
        """Keep a record, then tell of it."""
        with self._writing:
            self.store.append_record(record)
        self.observer.ended(record)

    def append_event(self, event: Event) -> None:
        """Keep an event, then tell of it."""
        with self._writing:
            self.store.append_event(event)
        self.observer.say(f"{event.rig}: {event.reason}" if event.rig else event.reason)


@dataclass(frozen=True)
class RigRunner:
    """The runs of one rig that are still to be executed, and the results of the earlier ones.

    `come_back` enters every host of the rig anew. It raises `LostError` where one does not answer,
    and any other `FwbenchError` where the rig cannot be used any more.
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
        """Execute the runs; why the rig was set aside before their end, or None if it was not.

        An attempt that is lost for a reason outside the measurement is recorded as failed, and the
        run is attempted again. Every other failure is what came of the run. Three failures in a row
        set the rig aside.
        """
        try:
            self._run_all()
        except _QuarantinedError as why:
            return str(why)
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
        ended = stopping_reason(self.suite, self.plan.trials, self.rig, done)
        if ended is not None:
            self.log.observer.say(f"{self.rig}: {ended}")
        return ended is not None

    def _attempt(self, run: Run, done: Sequence[RunResult]) -> Record | None:
        """Execute a run once and record what came of it; None where somebody wants to stop."""
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
        """Whether a host no longer has the session: nobody renewed its lease in time.

        The controller's machine slept, say, with a load under way.
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
        """Wait until all hosts are back; each minute without them is a failure in a row more."""
        until = self.context.clock() + RECONNECT_TIMEOUT_S
        while not self.context.cancelled():
            try:
                self.reconnect()
                break
            except LostError as error:
                if self.context.clock() > until:
                    failures, until = failures + 1, self.context.clock() + RECONNECT_TIMEOUT_S
                if failures == MAX_CONSECUTIVE_FAILURES:
                    raise _QuarantinedError(_consecutive_failures(str(error))) from error
            except FwbenchError as error:
                raise _QuarantinedError(str(error)) from error
            self.context.sleep(POLL_INTERVAL_S)
        return failures


class _QuarantinedError(Exception):
    """The rig is to be used no more in this session, and why."""


def _consecutive_failures(failure: str | None) -> str:
    return f"failed {MAX_CONSECUTIVE_FAILURES} times in a row, the last time so: {failure}"


def make_event(kind: str, reason: str, rig: str | None = None) -> Event:
    """Something that happens now."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Event.model_validate({"at": at, "kind": kind, "rig": rig, "reason": reason})


def _load_of(run: Run, done: Iterable[RunResult]) -> Load:
    """What a run puts on its contender; a step of a search goes by those before it in its block."""
    load = run.trial.load
    if load.search is None:
        return load
    before = [r.passed for r in done if r.block == run.block and r.trial == run.trial]
    return load.at_rate(next_rate(load.search, before))
