from collections.abc import Callable
from dataclasses import dataclass

from fwbench.model.contender import Contender, Contract
from fwbench.model.figures import Figures, LogSummary
from fwbench.model.load import Load
from fwbench.model.observation import ContainerState, Observation
from fwbench.model.run import Run
from fwbench.model.thresholds import Thresholds
from fwbench.model.verdict import Finding, Level


@dataclass(frozen=True)
class Case:
    """What the judge knows about one run."""

    run: Run
    contender: Contender
    observation: Observation
    thresholds: Thresholds

    @property
    def contract(self) -> Contract:
        """What the contender must answer at the run's endpoint."""
        return self.contender.endpoints[self.run.trial.endpoint]

    @property
    def load(self) -> Load:
        """What was asked of the server: of a search, what this step offered."""
        planned, rate = self.run.trial.load, self.observation.offered_rate
        return planned if rate is None else planned.at(rate)

    @property
    def figures(self) -> Figures | None:
        """What the load generator said, if it came to that and could be read."""
        return self.observation.load.figures if self.observation.load else None

    @property
    def log(self) -> LogSummary | None:
        """What its log adds up to, if it left one."""
        return self.observation.load.log if self.observation.load else None

    @property
    def same_container(self) -> tuple[ContainerState, ContainerState] | None:
        """The container before and after the load if it ran all the while, else None."""
        before, after = self.observation.container_before, self.observation.container_after
        if before is None or after is None or not (before.running and after.running):
            return None
        return (before, after) if before.started_at == after.started_at else None


@dataclass(frozen=True)
class Check:
    """One possible finding: `look` returns its evidence, or None where there is none."""

    code: str
    level: Level
    look: Callable[[Case], str | None]
    advice: str

    def finding(self, case: Case) -> Finding | None:
        """What the check has to say about the run, if anything."""
        evidence = self.look(case)
        if evidence is None:
            return None
        return Finding(code=self.code, level=self.level, evidence=evidence, advice=self.advice)


def counted(number: int, noun: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
