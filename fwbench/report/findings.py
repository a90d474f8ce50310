from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fwbench.analyse.sample import is_believed
from fwbench.model.record import Record
from fwbench.model.verdict import Finding, Level
from fwbench.report.quantities import counted, wrapped

_HEAVIEST_FIRST = (Level.INVALID, Level.SUSPECT, Level.NOTE)


@dataclass
class _Found:
    """A code, with its first finding and everybody who has it."""

    first: Finding
    first_run: str
    runs: int = 0
    contenders: dict[str, None] = field(default_factory=dict)


def listed(records: Sequence[Record]) -> Iterator[str]:
    """Each code once: whom it concerns, what was seen the first time, and what to do about it.

    A note says how to read a run's numbers; of an invalid run there are none to read.
    """
    by_code: dict[str, _Found] = {}
    for record in records:
        for finding in record.verdict.findings:
            if finding.level is Level.NOTE and not is_believed(record):
                continue
            found = by_code.setdefault(finding.code, _Found(finding, record.run.id))
            found.runs += 1
            found.contenders[record.run.trial.contender] = None
    if not by_code:
        yield "Findings: none." if records else "Findings: none, since no run was executed."
        return
    yield "Findings\n--------"
    # Python's sort is stable: within a level they stay in the order in which they came up.
    for found in sorted(by_code.values(), key=lambda one: _HEAVIEST_FIRST.index(one.first.level)):
        yield _described(found)


def _described(found: _Found) -> str:
    whom = f"{', '.join(found.contenders)}, {counted(found.runs, 'run')}"
    seen = "Seen" if found.runs == 1 else f"Seen first in {found.first_run}"
    return "\n".join(
        [
            wrapped(f"{found.first.code} ({found.first.level}): {whom}", hanging="    "),
            wrapped(f"{seen}: {found.first.evidence}.", indent="    "),
            wrapped(found.first.advice, indent="    "),
        ]
    )
