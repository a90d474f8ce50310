"""From an observation to a verdict: can this run's numbers be trusted?"""

from collections.abc import Mapping
from types import MappingProxyType

from fwbench.checks.registry import CHECKS
from fwbench.checks.support.check import Status
from fwbench.checks.support.context import CheckContext
from fwbench.model.contender import Contender
from fwbench.model.observation import Observation
from fwbench.model.run import Run
from fwbench.model.verdict import Finding, Verdict

_DEFAULTS: Mapping[str, float] = MappingProxyType({})


def evaluate_run(
    run: Run,
    contender: Contender,
    observation: Observation,
    thresholds: Mapping[str, float] = _DEFAULTS,
) -> Verdict:
    """Return the verdict on a run, with what every check says of it.

    `thresholds` are those that the suite sets, by name.
    """
    context = CheckContext(run, contender, observation, thresholds)
    outcomes = {check.code: check.finding(context) for check in CHECKS}
    return Verdict(
        findings=tuple(each for each in outcomes.values() if isinstance(each, Finding)),
        not_applicable=_codes(outcomes, Status.NOT_APPLICABLE),
        not_observed=_codes(outcomes, Status.NOT_OBSERVED),
    )


def _codes(outcomes: Mapping[str, Finding | Status], status: Status) -> tuple[str, ...]:
    return tuple(code for code, outcome in outcomes.items() if outcome is status)
