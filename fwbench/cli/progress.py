"""Progress on standard error: a live line on a terminal, plain lines elsewhere."""

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from fwbench.model.record import Record
from fwbench.model.run import Plan, Run
from fwbench.plan import estimated_s
from fwbench.report.formatting import one_line
from fwbench.stats.search import passed

STATUS_WORDS = {"valid": "ok", "suspect": "suspect", "invalid": "INVALID"}


def record_line(record: Record) -> str:
    """Return a line about a recorded run: rig, block, trial and result."""
    run, verdict = record.run, record.verdict
    what = f"{run.rig}  block {run.block}  {_trial_description(record)}"
    if record.observation.infrastructure_failure:
        why = one_line(record.observation.failure or "")
        return f"{what}: lost, will be repeated ({why})"
    codes = ", ".join(dict.fromkeys(finding.code for finding in verdict.findings))
    reason = f" ({codes})" if codes and verdict.status != "valid" else ""
    return f"{what}: {_status_word(record)}{reason}"


def _trial_description(record: Record) -> str:
    trial, rate = record.run.trial, record.observation.offered_rate
    return f"{trial.label} {trial.endpoint}" + ("" if rate is None else f" at {rate:g}/s")


def _status_word(record: Record) -> str:
    search = record.run.trial.load.search
    if search is None:
        return STATUS_WORDS[record.verdict.status]
    return {True: "passed", False: "failed", None: STATUS_WORDS["invalid"]}[passed(record, search)]


def duration(seconds: float) -> str:
    """Return a duration as people write it: `1 min 15 s` for 75."""
    minutes, remainder = divmod(round(seconds), 60)
    return f"{minutes} min {remainder} s" if minutes else f"{remainder} s"


class SessionProgress:
    """The progress of a session; `quiet` prints nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._live = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} runs"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            transient=True,
        )
        self._lock = threading.Lock()
        self._task: TaskID | None = None
        self._started_at = 0.0
        self._planned_s = 0.0
        self._total = self._recorded = self._already_executed = 0
        self._running: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)

    def planned(self, plan: Plan, executed: int = 0) -> None:
        """Print how many runs the plan has, and about how long those take that remain."""
        self._total, self._recorded = len(plan.runs), executed
        self._already_executed = executed
        remaining = 1 - executed / self._total if self._total else 0
        self._planned_s = remaining * estimated_s(plan)
        self._started_at = time.monotonic()
        done = f", {executed} of them executed" if executed else ""
        self.say(f"{self._total} runs{done}, about {duration(self._planned_s)}")
        self._task = self._live.add_task("", total=self._total, completed=executed, left="")

    def started(self, run: Run) -> None:
        """Show a run that begins on its rig."""
        with self._lock:
            self._running[run.rig] = f"{run.rig}: {run.trial.label} {run.trial.endpoint}"
            self._show()

    def ended(self, record: Record) -> None:
        """Print a line about a run that was recorded, or an attempt that was lost."""
        with self._lock:
            self._recorded += not record.observation.infrastructure_failure
            self._running.pop(record.run.rig, None)
            self.say(f"[{self._recorded}/{self._total}] {record_line(record)}; {self._remaining()}")
            self._show()

    def _remaining(self) -> str:
        """Return the remaining time: by the pace so far or, before the first run, by the plan."""
        if self._recorded == self._already_executed:
            return f"about {duration(self._planned_s)} left"
        pace = (time.monotonic() - self._started_at) / (self._recorded - self._already_executed)
        remaining_s = pace * (self._total - self._recorded)
        return f"about {duration(remaining_s)} left" if self._recorded < self._total else "done"

    def _show(self) -> None:
        if self._task is not None:
            what = ", ".join(self._running.values())
            self._live.update(
                self._task, completed=self._recorded, description=what, left=self._remaining()
            )


class PlaybookProgress:
    """The progress of a playbook. Its number of tasks is unknown: it depends on the hosts."""

    def __init__(self, description: str) -> None:
        self._description, self._count = description, 0
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status = self._console.status("")
        self._started_at = time.monotonic()

    def __enter__(self) -> Self:
        self._console.print(self._description, markup=False)
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._status.stop()

    def task(self, name: str) -> None:
        """Show a task that begins; on a terminal it replaces the one before."""
        self._count += 1
        line = f"[{duration(time.monotonic() - self._started_at)}] task {self._count}: {name}"
        if self._console.is_terminal:
            self._status.update(escape(line))
        else:
            self._console.print(line, markup=False)
