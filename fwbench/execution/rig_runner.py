"""One rig's runs, in order: each executed, judged and recorded before the next one."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from fwbench.checks.evaluate import judge
from fwbench.errors import FwbenchError, LostError
from fwbench.execution.rig_context import Bench, CancelledError
from fwbench.execution.run import execute
from fwbench.hosts import lease
from fwbench.model.contender import Contender
from fwbench.model.event import Event
from fwbench.model.load import Load
from fwbench.model.record import Record
from fwbench.model.run import Plan, Run
from fwbench.model.suite import Suite
from fwbench.stats.search import held, next_rate
from fwbench.stats.summarise import narrow_enough
from fwbench.storage.store import Store

FAILURES = 3
RETURN_S = 60.0
NAP_S = 1.0


class Watcher(Protocol):
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
class Log:
    """Where all rigs of a session leave what they have: one at a time."""

    store: Store
    watcher: Watcher
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def record(self, record: Record) -> None:
        """Keep a record, then tell of it."""
        with self._writing:
            self.store.append(record)
        self.watcher.ended(record)

    def note(self, event: Event) -> None:
        """Keep an event, then tell of it."""
        with self._writing:
            self.store.note(event)
        self.watcher.say(f"{event.rig}: {event.why}" if event.rig else event.why)


@dataclass(frozen=True)
class Rounds:
    """The runs of one rig that are still to be executed; `before` are the records of the others.

    `come_back` enters every host of the rig anew. It raises `LostError` where one does not answer,
    and any other `FwbenchError` where the rig cannot be used any more.
    """

    rig: str
    suite: Suite
    plan: Plan
    runs: Sequence[Run]
    before: Sequence[Record]
    contenders: Mapping[str, Contender]
    images: Mapping[str, str]
    bench: Bench
    log: Log
    come_back: Callable[[], None]

    def go(self) -> str | None:
        """Execute the runs; why the rig was set aside before their end, or None if it was not.

        An attempt that is lost for a reason outside the measurement is recorded as failed, and the
        run is attempted again. Every other failure is what came of the run. Three failures in a row
        set the rig aside.
        """
        try:
            self._go()
        except _SetAsideError as why:
            return str(why)
        return None

    def _go(self) -> None:
        done, failures = list(self.before), 0
        for run in self.runs:
            if done and done[-1].run.block != run.block and self._is_enough(done):
                return
            record = None
            while record is None or record.observation.lost:
                record = self._attempt(run, done)
                if record is None:
                    return
                failure = record.observation.failure
                failures = failures + 1 if failure else 0
                if failures == FAILURES:
                    raise _SetAsideError(_in_a_row(failure))
                if record.observation.lost:
                    failures = self._return(failures)
            done.append(record)

    def _is_enough(self, done: Sequence[Record]) -> bool:
        ended = narrow_enough(self.suite, self.plan, self.rig, done)
        if ended is not None:
            self.log.watcher.say(f"{self.rig}: {ended}")
        return ended is not None

    def _attempt(self, run: Run, done: Sequence[Record]) -> Record | None:
        """Execute a run once and record what came of it; None where somebody wants to stop."""
        if self.bench.cancelled():
            return None
        attempt = self.log.store.next_attempt(run.id)
        self.log.watcher.started(run)
        contender = self.contenders[run.trial.contender]
        try:
            observation = execute(
                run,
                _load(run, done),
                contender,
                self.images[contender.name],
                self.suite.start_timeout_s,
                self.bench,
                self.log.store.run_folder(run.id),
            )
        except CancelledError:
            return None
        if observation.failure is not None and not observation.lost and self._is_put_out():
            observation = observation.model_copy(update={"lost": True})
        verdict = judge(run, contender, observation, self.suite.thresholds)
        record = Record(run=run, attempt=attempt, observation=observation, verdict=verdict)
        self.log.record(record)
        return record

    def _is_put_out(self) -> bool:
        """Whether a host no longer has the session: nobody renewed its lease in time.

        The controller's machine slept, say, with a load under way.
        """
        try:
            return not all(lease.has(host, self.bench.folder) for host in self.bench.hosts)
        except LostError:
            return True
        except FwbenchError:
            return False

    def _return(self, failures: int) -> int:
        """Wait until all hosts are back; each minute without them is a failure in a row more."""
        until = self.bench.clock() + RETURN_S
        while not self.bench.cancelled():
            try:
                self.come_back()
                break
            except LostError as error:
                if self.bench.clock() > until:
                    failures, until = failures + 1, self.bench.clock() + RETURN_S
                if failures == FAILURES:
                    raise _SetAsideError(_in_a_row(str(error))) from error
            except FwbenchError as error:
                raise _SetAsideError(str(error)) from error
            self.bench.sleep(NAP_S)
        return failures


class _SetAsideError(Exception):
    """The rig is to be used no more in this session, and why."""


def _in_a_row(failure: str | None) -> str:
    return f"failed {FAILURES} times in a row, the last time so: {failure}"


def event(kind: str, why: str, rig: str | None = None) -> Event:
    """Something that happens now."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Event.model_validate({"at": at, "kind": kind, "rig": rig, "why": why})


def _load(run: Run, done: Iterable[Record]) -> Load:
    """What a run puts on its contender; a step of a search goes by those before it in its block."""
    load = run.trial.load
    if load.search is None:
        return load
    before = [r for r in done if r.run.block == run.block and r.run.trial == run.trial]
    return load.at(next_rate(load.search, [held(record, load.search) for record in before]))
