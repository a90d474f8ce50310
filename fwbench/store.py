"""Session folders: a header, a plan, append-only records, and a raw folder for each run.

session.json    who, what, where: the suite, the contenders, the rigs, the facts of the hosts
plan.json       every run, in order
records.jsonl   one line for each executed run
runs/<id>/      what the run left: commands, h2load's output and log, container's state and log
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from fwbench.errors import SessionError
from fwbench.model.record import Header, Record
from fwbench.model.run import Plan

M = TypeVar("M", Header, Plan)

HEADER, PLAN, RECORDS, RUNS = "session.json", "plan.json", "records.jsonl", "runs"


class Store:
    """One session's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path) -> "Store":
        """Make a new folder, private to the user; `SessionError` if there is one or none can be."""
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise SessionError(
                f"{folder}: no session folder can be made: {error.strerror}"
            ) from error
        return cls(folder)

    def begin(self, header: Header, plan: Plan) -> None:
        """Write what is known before the first run."""
        self._write(HEADER, header.model_dump_json(indent=1) + "\n")
        self._write(PLAN, plan.model_dump_json(indent=1) + "\n")
        self._write(RECORDS, "")

    def run_folder(self, run_id: str) -> Path:
        """Where a run's raw files go."""
        return self.folder / RUNS / run_id

    def append(self, record: Record) -> None:
        """Add a record and see to it that it is on the disk before going on."""
        try:
            with (self.folder / RECORDS).open("a", encoding="utf-8") as file:
                file.write(record.model_dump_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SessionError(f"{self.folder / RECORDS}: {error.strerror}") from error

    def header(self) -> Header:
        """What all records share; `SessionError` if this is no session folder."""
        return self._model(Header, HEADER)

    def plan(self) -> Plan:
        """Every run that was planned."""
        return self._model(Plan, PLAN)

    def records(self) -> Sequence[Record]:
        """Every whole record; a torn last line is a run that was not recorded."""
        lines = self._read(RECORDS).split("\n")
        try:
            return [Record.model_validate_json(line) for line in lines[:-1]]
        except ValidationError as error:
            raise SessionError(f"{self.folder / RECORDS}: {_first(error)}") from error

    def _model(self, kind: type[M], name: str) -> M:
        try:
            return kind.model_validate_json(self._read(name))
        except ValidationError as error:
            raise SessionError(f"{self.folder / name}: {_first(error)}") from error

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SessionError(
                f"{self.folder}: not a session folder: {name} cannot be read ({error})"
            ) from error

    def _write(self, name: str, text: str) -> None:
        try:
            (self.folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise SessionError(f"{self.folder / name}: {error.strerror}") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}"
