"""The findings of all runs, each code once, and the rigs whose clients were saturated."""

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
    """A finding as in the first run that has it, with all contenders and the number of runs."""

    code: str
    level: Level
    evidence: str
    advice: str
    first_run: str
    runs: int
    contenders: tuple[str, ...]


class FindingCounter:
    """Count the findings of one record after the other, and keep the first evidence of each code.

    Notes of invalid runs do not count: they explain numbers that are not used. Neither do the
    findings by which a step of a search learns that its rate was too high.
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
        """Return each code once: by level, the heaviest first, then in order of appearance."""
        summaries = [
            FindingSummary(
                **dict(finding),
                first_run=first_run,
                runs=self._runs[code],
                contenders=tuple(self._contenders[code]),
            )
            for code, (finding, first_run) in self._first.items()
        ]
        return tuple(sorted(summaries, key=lambda summary: _HEAVIEST_FIRST.index(summary.level)))


class SaturatedClients(Frozen):
    """A rig whose clients were the bottleneck, so that its runs measured the load generator.

    `busiest_cores` is the CPU use of the busiest load thread, in cores. `clients_needed` is the
    number of clients that would bring it below the threshold at the same load. A closed load
    becomes heavier when the bottleneck is gone, so it may need more.
    """

    rig: str
    runs: int
    clients: int
    busiest_cores: float
    clients_needed: int


def saturated_clients(
    suite: Suite, rigs: Sequence[Rig], results: Sequence[RunResult]
) -> tuple[SaturatedClients, ...]:
    """Return each rig that has a run with the finding `client-saturated`."""
    threshold = suite.thresholds.load_thread_cores
    saturated: dict[str, list[RunResult]] = {rig.name: [] for rig in rigs}
    for result in results:
        if result.rig in saturated and "client-saturated" in result.findings:
            saturated[result.rig].append(result)
    summaries = []
    for rig in rigs:
        if runs := saturated[rig.name]:
            busiest_cores = max(result.busiest_thread_cores for result in runs)
            summaries.append(
                SaturatedClients(
                    rig=rig.name,
                    runs=len(runs),
                    clients=len(rig.clients),
                    busiest_cores=busiest_cores,
                    clients_needed=math.ceil(len(rig.clients) * busiest_cores / threshold),
                )
            )
    return tuple(summaries)
