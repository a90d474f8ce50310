"""Findings of many runs: each code once, and the rigs whose clients were the limit."""

import math
from collections import Counter
from collections.abc import Sequence

from fwbench.model.base import Frozen
from fwbench.model.host import Rig
from fwbench.model.record import Record
from fwbench.model.suite import Suite
from fwbench.model.verdict import Finding, Level
from fwbench.stats.run_result import RunResult
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


class SaturatedClients(Frozen):
    """A rig with runs in which a load thread was too busy, and how many clients it needs at least.

    `busiest_cores` is that of the busiest thread of all of them. `clients_needed` would bring it
    under the threshold if the load stayed what it is; a closed load grows with what serves it.
    """

    rig: str
    runs: int
    clients: int
    busiest_cores: float
    clients_needed: int


def saturated_clients(
    suite: Suite, rigs: Sequence[Rig], results: Sequence[RunResult]
) -> tuple[SaturatedClients, ...]:
    """Return each rig on which a run has the finding `client-saturated`."""
    limit = suite.thresholds.load_thread_cores
    saturated: dict[str, list[RunResult]] = {rig.name: [] for rig in rigs}
    for result in results:
        if result.rig in saturated and "client-saturated" in result.findings:
            saturated[result.rig].append(result)
    found = []
    for rig in rigs:
        if runs := saturated[rig.name]:
            busiest = max(result.busiest_thread_cores for result in runs)
            found.append(
                SaturatedClients(
                    rig=rig.name,
                    runs=len(runs),
                    clients=len(rig.clients),
                    busiest_cores=busiest,
                    clients_needed=math.ceil(len(rig.clients) * busiest / limit),
                )
            )
    return tuple(found)
