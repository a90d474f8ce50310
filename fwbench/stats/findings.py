"""The findings of all runs, each code once, and the rigs whose clients were saturated."""

import math
from collections import Counter
from collections.abc import Sequence

from fwbench.model.base import Frozen
from fwbench.model.host import Rig
from fwbench.model.record import Record
from fwbench.model.verdict import Effect, Finding, Level
from fwbench.stats.run_result import RunResult

_HEAVIEST_FIRST = (Level.INVALID, Level.SUSPECT, Level.NOTE)


class FindingSummary(Frozen):
    """A finding as in the first run that has it, with all contenders and the number of runs."""

    code: str
    level: Level
    evidence: str
    advice: str
    effect: Effect | None
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
            if run.step is not None and finding.effect is Effect.OVERLOAD:
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
                **finding.model_dump(exclude={"excess"}),
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
    rigs: Sequence[Rig], results: Sequence[RunResult]
) -> tuple[SaturatedClients, ...]:
    """Return each rig that has a run with a finding of the effect `client-limited`."""
    summaries = []
    for rig in rigs:
        runs = [
            (result.busiest_thread_cores, result.client_excess)
            for result in results
            if result.rig == rig.name and result.client_excess is not None
        ]
        if runs:
            excess = max(excess for _, excess in runs)
            summaries.append(
                SaturatedClients(
                    rig=rig.name,
                    runs=len(runs),
                    clients=len(rig.clients),
                    busiest_cores=max(cores for cores, _ in runs),
                    clients_needed=math.ceil(len(rig.clients) * excess),
                )
            )
    return tuple(summaries)
