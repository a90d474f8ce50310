"""Findings of many runs, each code once."""

from collections import Counter

from fwbench.model.base import Frozen
from fwbench.model.record import Record
from fwbench.model.verdict import Finding, Level
from fwbench.stats.search import OVERLOADED

_HEAVIEST_FIRST = (Level.INVALID, Level.SUSPECT, Level.NOTE)


class FindingSummary(Frozen):
    """A finding as it was first seen, with everybody who has it and in how many runs."""

    code: str
    level: Level
    evidence: str
    advice: str
    first_run: str
    runs: int
    contenders: tuple[str, ...]


class FindingCounter:
    """Counts the findings of one record after the other, and keeps each code's first evidence.

    A note says how to read a run's numbers, so notes of an invalid run do not count. Neither does
    a step of a search whose rate was too high: that is its answer.
    """

    def __init__(self) -> None:
        self._first: dict[str, tuple[Finding, str]] = {}
        self._runs: Counter[str] = Counter()
        self._contenders: dict[str, dict[str, None]] = {}

    def add(self, record: Record) -> None:
        """Count the findings of a record."""
        run, verdict = record.run, record.verdict
        for finding in verdict.findings:
            code = finding.code
            if run.step is not None and code in OVERLOADED:
                continue
            if finding.level is Level.NOTE and verdict.status == "invalid":
                continue
            self._first.setdefault(code, (finding, run.id))
            self._runs[code] += 1
            self._contenders.setdefault(code, {})[run.trial.label] = None

    def summaries(self) -> tuple[FindingSummary, ...]:
        """Return each code once, the heaviest first, then in the order of their first records."""
        found = [
            FindingSummary(
                **dict(finding),
                first_run=first_run,
                runs=self._runs[code],
                contenders=tuple(self._contenders[code]),
            )
            for code, (finding, first_run) in self._first.items()
        ]
        return tuple(sorted(found, key=lambda summary: _HEAVIEST_FIRST.index(summary.level)))
