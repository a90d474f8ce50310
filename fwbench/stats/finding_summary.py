"""Findings of many runs, each code once."""

from collections.abc import Sequence

from fwbench.model.base import Frozen
from fwbench.model.record import Record
from fwbench.model.verdict import Finding, Level
from fwbench.stats.samples import is_believed
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


def summarise_findings(records: Sequence[Record]) -> tuple[FindingSummary, ...]:
    """Each code once, the heaviest first, then as they came up.

    A note says how to read a run's numbers; of an invalid run there are none to read. That a rate
    was too high is no reason to doubt a search, but what it looks for.
    """
    by_code: dict[str, list[tuple[Record, Finding]]] = {}
    for record in records:
        for finding in record.verdict.findings:
            if _is_answer(record, finding):
                continue
            if finding.level is not Level.NOTE or is_believed(record):
                by_code.setdefault(finding.code, []).append((record, finding))
    found = [
        FindingSummary(
            **dict(seen[0][1]),
            first_run=seen[0][0].run.id,
            runs=len(seen),
            contenders=tuple(dict.fromkeys(record.run.trial.label for record, _ in seen)),
        )
        for seen in by_code.values()
    ]
    return tuple(sorted(found, key=lambda doubt: _HEAVIEST_FIRST.index(doubt.level)))


def _is_answer(record: Record, finding: Finding) -> bool:
    return record.run.step is not None and finding.code in OVERLOADED
