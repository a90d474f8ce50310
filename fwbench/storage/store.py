"""Session folders: a header, a plan, append-only records, and a raw folder for each run.

session.json    who, what, where: the suite, the contenders, the rigs, the facts of the hosts
plan.json       every run, in order
records.jsonl   one line for each executed run, and for each lost attempt
records.torn    the torn end of records.jsonl, if a write was ever interrupted
events.jsonl    one line for each event: resumed, a rig quarantined, …
runs/<id>/      the run's artifacts: commands, h2load's output and log, container's state and log
runs/<id>.lost-1/   the artifacts of its first attempt, if that was lost or interrupted
lock            held by the program that executes the session

Before the first run, the header is written last: a folder that has one is a session.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from fwbench.errors import SessionError
from fwbench.model.base import Frozen
from fwbench.model.event import Event
from fwbench.model.record import Record, SessionHeader
from fwbench.model.run import Plan
from fwbench.storage.files import append_line, move_tail, read_lines, replace_file
from fwbench.storage.parse import is_torn, parse_file, parse_lines
from fwbench.storage.regular_files import open_to_write

HEADER, PLAN, RECORDS, TORN = "session.json", "plan.json", "records.jsonl", "records.torn"
EVENTS, RUNS, LOCK = "events.jsonl", "runs", "lock"
FILES = frozenset({HEADER, PLAN, RECORDS, TORN, EVENTS, LOCK})  # those of a session's folder


class _Part(BaseModel):
    """A part of a record. The rest is skipped, which is several times as fast."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _RunPart(_Part):
    id: str


class _ObservationPart(_Part):
    infrastructure_failure: bool = False


class _RecordPart(_Part):
    run: _RunPart
    observation: _ObservationPart


class Repair(Frozen):
    """A repair of the records: how many bytes of a torn line were removed from their end."""

    torn_bytes: int


class SessionStore:
    """One session's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path) -> "SessionStore":
        """Create the folder, private to the user; `SessionError` if it exists or cannot be made."""
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise SessionError(
                f"{folder}: no session folder can be made: {error.strerror}"
            ) from error
        return cls(folder)

    def initialise(self, header: SessionHeader, plan: Plan) -> None:
        """Write what is known before the first run: no records, the plan, the header."""
        replace_file(self._records, "")
        replace_file(self.folder / PLAN, plan.model_dump_json(indent=1) + "\n")
        self.write_header(header)

    def write_header(self, header: SessionHeader) -> None:
        """Write or replace the header."""
        replace_file(self.folder / HEADER, header.model_dump_json(indent=1) + "\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the session's lock; `SessionError` while another program holds it.

        The kernel releases the lock when the process ends, however it ends.
        """
        path = self.folder / LOCK
        try:
            descriptor = open_to_write(path, os.O_RDWR | os.O_APPEND)
            file = os.fdopen(descriptor, "r+", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise SessionError(f"{path}: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                by = file.read(200).strip() or "another program"
                raise SessionError(
                    f"{self.folder}: {by} is executing this session; let it end, or stop it"
                ) from error
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            yield

    # Writing

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run's artifacts."""
        return self.folder / RUNS / run_id

    def next_attempt(self, run_id: str) -> int:
        """Return the number of a run's next attempt, and move aside what the last one left."""
        folder = self.run_folder(run_id)
        number = 1
        while self.attempt_folder(run_id, number).exists():
            number += 1
        if not folder.exists():
            return number
        try:
            folder.rename(self.attempt_folder(run_id, number))
        except OSError as error:
            raise SessionError(f"{folder}: cannot be put aside: {error.strerror}") from error
        return number + 1

    def attempt_folder(self, run_id: str, attempt: int) -> Path:
        """Return the folder of an attempt that was lost or interrupted."""
        return self.folder / RUNS / f"{run_id}.lost-{attempt}"

    def append_record(self, record: Record) -> None:
        """Add a record, and wait until it is on the disk; add nothing if the disk is full."""
        append_line(self._records, record.model_dump_json())

    def append_event(self, event: Event) -> None:
        """Add an event, as durably as a record."""
        append_line(self.folder / EVENTS, event.model_dump_json())

    # Reading

    def header(self) -> SessionHeader:
        """Return what all records share; `SessionError` if this is no session folder."""
        return parse_file(SessionHeader, self.folder / HEADER)

    def plan(self) -> Plan:
        """Return every planned run, executed or not."""
        return parse_file(Plan, self.folder / PLAN)

    def load(self) -> tuple[SessionHeader, Plan]:
        """Return header and plan; `SessionError` if they belong to different sessions."""
        header, plan = self.header(), self.plan()
        rigs, suite = {rig.name for rig in header.rigs}, header.suite
        settings = set(suite.settings)
        unknown = {
            trial
            for trial in plan.trials
            if trial.contender not in suite.contenders or trial.setting not in settings
        }
        for run in plan.runs:
            if run.rig not in rigs or (unknown and run.trial in unknown):
                raise SessionError(
                    f"{self.folder}: {PLAN} has run {run.id}, which {HEADER} does not ask for:"
                    " one of them is not of this session"
                )
        return header, plan

    def attempts(self, plan: Plan | None = None) -> Iterator[Record]:
        """Return every record in order, lost attempts among them; one is in memory at a time.

        A torn last line is skipped: its run was not recorded. Raises `SessionError` for any other
        line that is no record, if a run has two records, and if `plan` has no such trial on that
        rig.
        """
        planned = None if plan is None else {(run.rig, run.trial) for run in plan.runs}
        seen: set[str] = set()
        for record in parse_lines(Record, self._records):
            run = record.run
            if planned is not None and (run.rig, run.trial) not in planned:
                raise SessionError(
                    f"{self._records}: run {run.id} is of a trial that {PLAN} does not have on rig"
                    f" {run.rig!r:.80}: one of them is not of this session"
                )
            if not record.observation.infrastructure_failure:
                self._check_new(record.run.id, seen)
            yield record

    def records(self) -> list[Record]:
        """Return the one record of every run that has ended, all of them at once."""
        return [each for each in self.attempts() if not each.observation.infrastructure_failure]

    def lost_attempts(self) -> list[Record]:
        """Return the attempts that were lost for a reason outside the measurement."""
        return [each for each in self.attempts() if each.observation.infrastructure_failure]

    def completed_run_ids(self) -> frozenset[str]:
        """Return the ids of the runs that have a record, without parsing whole records."""
        found: set[str] = set()
        for part in parse_lines(_RecordPart, self._records):
            if not part.observation.infrastructure_failure:
                self._check_new(part.run.id, found)
        return frozenset(found)

    def events(self) -> tuple[Event, ...]:
        """Return the events, in order."""
        path = self.folder / EVENTS
        return tuple(parse_lines(Event, path)) if os.path.lexists(path) else ()

    def repair(self) -> Repair | None:
        """Move a torn last line to `records.torn`; return None if there is none."""
        length, torn = 0, b""
        for line in read_lines(self._records):
            length, torn = length + len(torn), line
        if not torn or not is_torn(torn):
            return None
        move_tail(self._records, length, torn, self.folder / TORN)
        return Repair(torn_bytes=len(torn))

    def _check_new(self, run_id: str, seen: set[str]) -> None:
        if run_id in seen:
            raise SessionError(f"{self._records}: run {run_id} is recorded twice")
        seen.add(run_id)

    @property
    def _records(self) -> Path:
        return self.folder / RECORDS
