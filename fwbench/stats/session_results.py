"""From a stream of records to what a report uses of them: one record is in memory at a time."""

from collections.abc import Iterable
from dataclasses import dataclass

from fwbench.model.record import Record
from fwbench.stats.findings import FindingCounter, FindingSummary
from fwbench.stats.run_result import RunResult, run_result
from fwbench.stats.summary import LostAttempt


@dataclass(frozen=True)
class SessionResults:
    """The results of all runs, the lost attempts, and the findings, each code once."""

    runs: tuple[RunResult, ...]
    lost_attempts: tuple[LostAttempt, ...]
    findings: tuple[FindingSummary, ...]


def session_results(attempts: Iterable[Record]) -> SessionResults:
    """Return the results of a session from its records, lost attempts among them."""
    runs, lost, findings = [], [], FindingCounter()
    for record in attempts:
        if record.observation.infrastructure_failure:
            lost.append(_lost_attempt(record))
        else:
            runs.append(run_result(record))
            findings.add(record)
    return SessionResults(tuple(runs), tuple(lost), findings.summaries())


def _lost_attempt(record: Record) -> LostAttempt:
    why = record.observation.failure or "it left nothing"
    return LostAttempt(id=record.run.id, rig=record.run.rig, attempt=record.attempt, reason=why)
