"""From an observation to a verdict: can this run's numbers be trusted?

Each finding has one function, which returns evidence; none changes a figure.
`docs/findings.md` explains every code.
"""

from fwbench.checks import (
    answers,
    clients,
    container,
    hosts,
    load,
    loadgen,
    network,
    rate,
    stationarity,
)
from fwbench.checks.context import Check, CheckContext
from fwbench.model.contender import Contender
from fwbench.model.observation import Observation
from fwbench.model.run import Run
from fwbench.model.thresholds import Thresholds
from fwbench.model.verdict import Verdict

__all__ = ["CHECKS", "DEFAULT_THRESHOLDS", "Check", "evaluate_run"]

CHECKS: tuple[Check, ...] = (
    *answers.CHECKS,
    *container.CHECKS,
    *loadgen.CHECKS,
    *load.CHECKS,
    *clients.CHECKS,
    *rate.CHECKS,
    *stationarity.CHECKS,
    *hosts.CHECKS,
    *network.CHECKS,
)
DEFAULT_THRESHOLDS = Thresholds()


def evaluate_run(
    run: Run,
    contender: Contender,
    observation: Observation,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> Verdict:
    """Return the verdict on a run, with the findings of all checks."""
    context = CheckContext(run, contender, observation, thresholds)
    findings = (check.finding(context) for check in CHECKS)
    return Verdict(findings=tuple(finding for finding in findings if finding is not None))
