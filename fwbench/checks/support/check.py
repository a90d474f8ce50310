"""What a check is, and what it can say of a run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.loadgen.registry import generator_of
from fwbench.model.telemetry import HostUsage
from fwbench.model.verdict import Effect, Finding, Level


class Status(Enum):
    """The status of a check that did not fire."""

    PASSED = "passed"
    NOT_APPLICABLE = "not applicable"  # the check does not fit this kind of run
    NOT_OBSERVED = "not observed"  # what the check needs is missing


# A check that fires returns its evidence.
Outcome = str | Status


@dataclass(frozen=True)
class Check:
    """One possible finding. The docstring of its module explains it to users.

    Findings of a run are in the order of `order`; checks of one subject have the same hundreds.
    `needs` says in words what is missing when the check returns `NOT_OBSERVED`. `reads_log` says
    that the check reads the log of requests, which some load generators do not write. `excess`
    returns how many times its threshold the measured value is, for checks whose effect needs the
    number.
    """

    code: str
    level: Level
    order: int
    evaluate: Callable[[CheckContext], Outcome]
    advice: str
    thresholds: tuple[Threshold, ...] = ()
    needs: str = ""
    reads_log: bool = False
    effect: Effect | None = None
    excess: Callable[[CheckContext], float] | None = None

    def finding(self, context: CheckContext) -> Finding | Status:
        """Return the finding if the check fires, else its status."""
        if self.reads_log and not generator_of(context.load).writes_request_log:
            return Status.NOT_APPLICABLE
        outcome = self.evaluate(context)
        if isinstance(outcome, Status):
            return outcome
        return Finding(
            code=self.code,
            level=self.level,
            evidence=outcome,
            advice=self.advice,
            effect=self.effect,
            excess=self.excess(context) if self.excess else None,
        )


def on_each_client(context: CheckContext, evaluate: Callable[[ClientContext], Outcome]) -> Outcome:
    """Return the outcome over all clients. Evidence has their names if there are several."""
    named = len(context.clients) > 1
    outcomes = ((client.name, evaluate(client)) for client in context.clients)
    return combine(_named(name, outcome) if named else outcome for name, outcome in outcomes)


def on_each_host(context: CheckContext, evaluate: Callable[[HostUsage], Outcome]) -> Outcome:
    """Return the outcome over all hosts. Evidence has their names."""
    return combine(
        Status.NOT_OBSERVED if usage is None else _named(name, evaluate(usage))
        for name, usage in context.hosts
    )


def combine(outcomes: Iterable[Outcome]) -> Outcome:
    """Return all evidence; without any, `NOT_OBSERVED` if a part of the run was not observed."""
    parts = list(outcomes)
    if evidence := [part for part in parts if isinstance(part, str)]:
        return "; ".join(evidence)
    if not parts or Status.NOT_OBSERVED in parts:
        return Status.NOT_OBSERVED
    return Status.PASSED if Status.PASSED in parts else Status.NOT_APPLICABLE


def _named(name: str, outcome: Outcome) -> Outcome:
    return f"on {name}, {outcome}" if isinstance(outcome, str) else outcome
