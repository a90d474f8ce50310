"""Session folders: a header, a plan, append-only records, and a raw folder for each run.

session.json    who, what, where: the suite, the contenders, the rigs, the facts of the hosts
plan.json       every run, in order
records.jsonl   one line for each executed run, and for each attempt that was lost
records.torn    what was broken off when a record was being written, if that ever happened
events.jsonl    one line for whatever else happened: resumed, a rig set aside, …
runs/<id>/      what the run left: commands, h2load's output and log, container's state and log
runs/<id>.lost-1/   what its first attempt left, if that was lost or interrupted
lock            held by the program that executes the session

The header is written last of what there is before the first run: a folder with it is a session.
"""

import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from fwbench.errors import SessionError
from fwbench.model.base import Frozen
from fwbench.model.event import Event
from fwbench.model.record import SCHEMA, Record, SessionHeader
from fwbench.model.run import Plan
from fwbench.storage.regular_files import open_to_read, open_to_write, read_whole

M = TypeVar("M", bound=BaseModel)

HEADER, PLAN, RECORDS, TORN = "session.json", "plan.json", "records.jsonl", "records.torn"
EVENTS, RUNS, LOCK = "events.jsonl", "runs", "lock"

# Nobody's session comes near: a plan has about 600 bytes a run, a record of a day about 10 MB.
FILE_LIMIT_BYTES = 1 << 30
LINE_LIMIT_BYTES = 256 << 20


class _Part(BaseModel):
    """A part of a record: the rest of it is passed over, which is several times as quick."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _RunPart(_Part):
    id: str


class _ObservationPart(_Part):
    infrastructure_failure: bool = False


class _RecordPart(_Part):
    run: _RunPart
    observation: _ObservationPart


class Repair(Frozen):
    """What was taken off the end of the records: so many bytes of a line that was not whole."""

    torn_bytes: int


class SessionStore:
    """One session's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path) -> "SessionStore":
        """Make a new folder, private to the user; `SessionError` if there is one or none can be."""
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise SessionError(
                f"{folder}: no session folder can be made: {error.strerror}"
            ) from error
        return cls(folder)

    def initialise(self, header: SessionHeader, plan: Plan) -> None:
        """Write what is known before the first run."""
        self._write(RECORDS, "")
        self._write(PLAN, plan.model_dump_json(indent=1) + "\n")
        self.write_header(header)

    def write_header(self, header: SessionHeader) -> None:
        """Write what all records share, in place of what was there."""
        self._write(HEADER, header.model_dump_json(indent=1) + "\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Execute the session alone; `SessionError` while another program does.

        The lock goes with the process that holds it, however that ends.
        """
        path = self.folder / LOCK
        try:
            file = os.fdopen(open_to_write(path, os.O_RDWR | os.O_APPEND), "r+")
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

    # What a run leaves

    def run_folder(self, run_id: str) -> Path:
        """Where a run's raw files go."""
        return self.folder / RUNS / run_id

    def next_attempt(self, run_id: str) -> int:
        """The number of a run's next attempt; what the one before left is put aside."""
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
        """Where the raw files of an attempt are that was lost or interrupted."""
        return self.folder / RUNS / f"{run_id}.lost-{attempt}"

    def append_record(self, record: Record) -> None:
        """Add a record and see to it that it is on the disk before going on.

        Where there is no room for all of it, none of it stays.
        """
        self._append(RECORDS, record.model_dump_json())

    def append_event(self, event: Event) -> None:
        """Add an event, as `append` does a record."""
        self._append(EVENTS, event.model_dump_json())

    # What was left

    def header(self) -> SessionHeader:
        """What all records share; `SessionError` if this is no session folder."""
        return self._model(SessionHeader, HEADER)

    def plan(self) -> Plan:
        """Every run that was planned."""
        return self._model(Plan, PLAN)

    def load(self) -> tuple[SessionHeader, Plan]:
        """Header and plan of a session; `SessionError` where one does not belong to the other."""
        header, plan = self.header(), self.plan()
        rigs, suite = {rig.name for rig in header.rigs}, header.suite
        settings = set(suite.settings)
        asked = {
            trial
            for trial in {run.trial for run in plan.runs}
            if trial.contender in suite.contenders and trial.setting in settings
        }
        for run in plan.runs:
            if run.rig not in rigs or run.trial not in asked:
                raise SessionError(
                    f"{self.folder}: {PLAN} has run {run.id}, which {HEADER} does not ask for:"
                    " one of them is not of this session"
                )
        return header, plan

    def records(self) -> Sequence[Record]:
        """The one record of every run that has come to its end.

        A torn last line is a run that was not recorded. Raises `SessionError` for any other line
        that is no record, and where a run has two.
        """
        found = [
            record
            for record in self._parsed(Record, RECORDS)
            if not record.observation.infrastructure_failure
        ]
        self._check_once([record.run.id for record in found])
        return found

    def lost_attempts(self) -> Sequence[Record]:
        """The attempts that were lost for a reason outside the measurement."""
        return [
            record
            for record in self._parsed(Record, RECORDS)
            if record.observation.infrastructure_failure
        ]

    def completed_run_ids(self) -> frozenset[str]:
        """The ids of the runs that `records` has, without reading all of these."""
        parts = self._parsed(_RecordPart, RECORDS)
        found = [part.run.id for part in parts if not part.observation.infrastructure_failure]
        self._check_once(found)
        return frozenset(found)

    def events(self) -> tuple[Event, ...]:
        """Whatever else happened, in order."""
        return tuple(self._parsed(Event, EVENTS)) if os.path.lexists(self.folder / EVENTS) else ()

    def repair(self) -> Repair | None:
        """Take off a torn last line, which is kept in `records.torn`; None if there is none."""
        length, torn = 0, b""
        for line in self._lines(RECORDS):
            length, torn = length + len(torn), line
        if not torn or not _is_torn(torn):
            return None
        try:
            with os.fdopen(
                open_to_write(self.folder / TORN, os.O_WRONLY | os.O_APPEND), "ab"
            ) as kept:
                kept.write(torn.removesuffix(b"\n") + b"\n")
                kept.flush()
                os.fsync(kept.fileno())
            os.truncate(self.folder / RECORDS, length)
        except OSError as error:
            raise SessionError(
                f"{self.folder / RECORDS}: cannot be repaired: {error.strerror}"
            ) from error
        return Repair(torn_bytes=len(torn))

    def _parsed(self, kind: type[M], name: str) -> Iterator[M]:
        for number, (line, following) in enumerate(_pairs_with_next(self._lines(name)), start=1):
            if following is None and _is_torn(line):
                return
            try:
                yield kind.model_validate_json(line)
            except ValidationError as error:
                raise SessionError(
                    f"{self.folder / name}: line {number}: {_first_error(error)}"
                ) from error

    def _check_once(self, runs: Sequence[str]) -> None:
        if len(set(runs)) < len(runs):
            twice = next(run for run in runs if runs.count(run) > 1)
            raise SessionError(f"{self.folder / RECORDS}: run {twice} is recorded twice")

    # Files

    def _model(self, kind: type[M], name: str) -> M:
        try:
            return kind.model_validate_json(self._read(name))
        except ValidationError as error:
            raise SessionError(f"{self.folder / name}: {_first_error(error)}") from error

    def _read(self, name: str) -> bytes:
        try:
            return read_whole(self.folder / name, FILE_LIMIT_BYTES)
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _lines(self, name: str) -> Iterator[bytes]:
        """Lines with their ends, which the last may lack."""
        number = 1
        try:
            with open_to_read(self.folder / name) as file:
                while line := file.readline(LINE_LIMIT_BYTES + 1):
                    if len(line) > LINE_LIMIT_BYTES:
                        raise SessionError(
                            f"{self.folder / name}: line {number} is longer than"
                            f" {LINE_LIMIT_BYTES} bytes"
                        )
                    yield line
                    number += 1
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _unreadable(self, name: str, error: OSError) -> SessionError:
        return SessionError(
            f"{self.folder}: not a session folder: {name} cannot be read ({error.strerror})"
        )

    def _write(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""
        path = self.folder / name
        partial = path.with_name(f"{name}.partial")
        try:
            with os.fdopen(open_to_write(partial, os.O_WRONLY | os.O_TRUNC), "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
        except OSError as error:
            raise SessionError(f"{path}: {error.strerror}") from error

    def _append(self, name: str, line: str) -> None:
        path = self.folder / name
        try:
            descriptor = open_to_write(path, os.O_WRONLY | os.O_APPEND)
            try:
                length = os.fstat(descriptor).st_size
                try:
                    left = (line + "\n").encode()
                    while left:
                        left = left[os.write(descriptor, left) :]
                    os.fsync(descriptor)
                except OSError:
                    os.truncate(descriptor, length)
                    raise
            finally:
                os.close(descriptor)
        except OSError as error:
            raise SessionError(f"{path}: {error.strerror}") from error


def _is_torn(last: bytes) -> bool:
    """Whether a last line was not written to its end: it lacks that, or is no JSON.

    After a loss of power a file system may show a line in full length that it never filled.
    """
    if not last.endswith(b"\n"):
        return True
    try:
        from_json(last)  # which refuses what is nested too deeply, where `json` fails
    except ValueError:
        return True
    return False


def _pairs_with_next(lines: Iterator[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
    """Each line with the one after it; None after the last."""
    line = next(lines, None)
    while line is not None:
        following = next(lines, None)
        yield line, following
        line = following


def _first_error(error: ValidationError) -> str:
    errors = error.errors()
    if any(each["loc"] == ("schema_version",) for each in errors):
        return (
            f"another version of fwbench wrote it, in a format that this version does not read"
            f" (this one reads format {SCHEMA}): use that version, or execute the suite again"
        )
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}"
