"""From the results of a session to its summary."""

from collections.abc import Collection, Sequence

from fwbench.model.event import Event
from fwbench.model.preset import Preset
from fwbench.model.record import SessionHeader
from fwbench.model.run import Plan, Trial
from fwbench.model.suite import Suite
from fwbench.stats import hardware_groups as kinds_of_rigs
from fwbench.stats.findings import saturated_clients
from fwbench.stats.groups import groups
from fwbench.stats.hardware_groups import HardwareGroup
from fwbench.stats.ratios import NoComparison
from fwbench.stats.run_result import ResultsByRig, RunResult, results_by_rig
from fwbench.stats.session_results import SessionResults
from fwbench.stats.significance import MIN_VALUES
from fwbench.stats.sizes import size_tables
from fwbench.stats.stopping import StoppingTarget, decide
from fwbench.stats.summary import ComparisonGroup, RunSummary, Summary


def summarise(
    header: SessionHeader, plan: Plan, results: SessionResults, events: Sequence[Event] = ()
) -> Summary:
    """Return all estimates, comparisons and findings of a session."""
    suite, kinds = header.suite, kinds_of_rigs.hardware_groups(header)
    by_rig = results_by_rig([rig.name for rig in header.rigs], results.runs)
    return Summary(
        fwbench=header.fwbench,
        created_at=header.created_at,
        suite=suite,
        seed=plan.seed,
        planned=len(plan.runs),
        executed=len(results.runs),
        hosts=header.facts,
        stopped_by=_stopped_by(header, plan, results.runs),
        replicate=_unit(suite, kinds),
        hardware_groups=kinds,
        groups=tuple(_groups(header, plan, kinds, by_rig)),
        size_tables=size_tables(suite, kinds, by_rig),
        findings=results.findings,
        saturated_clients=saturated_clients(suite, header.rigs, results.runs),
        events=tuple(events),
        lost_attempts=results.lost_attempts,
        runs=tuple(_run(result) for result in results.runs),
    )


def stopping_reason(
    suite: Suite, trials: Collection[Trial], rig: str, results: Sequence[RunResult]
) -> str | None:
    """Return why a rig may stop before its last block; None if it must continue.

    `trials` are the planned ones, `results` those of this rig so far.
    """
    if suite.stop is None or not results:
        return None
    rule = StoppingTarget(
        within_percent=suite.stop.within_percent, at_least=suite.stop.at_least, at_most=suite.blocks
    )
    blocks = max(result.block for result in results)
    compared = {
        f"{one.label}, {group.setting.label}": one.result
        if one.no_claim_reason is None
        else NoComparison(reason=one.no_claim_reason)
        for group in groups(suite, trials, (rig,), results_by_rig((rig,), results))
        for one in group.comparisons
    }
    decision = decide(rule, blocks, compared)
    return decision.reason if decision.stop else None


def _stopped_by(header: SessionHeader, plan: Plan, results: Sequence[RunResult]) -> dict[str, str]:
    """Return by which rule each rig stopped; a rig with an unfinished last block has not."""
    if header.suite.stop is None:
        return {}
    executed = plan.trials & {result.trial for result in results}
    found = {}
    for rig in header.rigs:
        own = [result for result in results if result.rig == rig.name]
        reason = stopping_reason(header.suite, executed, rig.name, own)
        if reason is not None:
            found[rig.name] = reason
    return found


def _unit(suite: Suite, kinds: Sequence[HardwareGroup]) -> str:
    """What the claims hold for, kind by kind: with three rigs of one, for that kind."""
    if suite.preset is Preset.SMOKE:
        return "nothing: a smoke test claims nothing"
    counts = [len(kind.rigs) for kind in kinds]
    if max(counts, default=0) < MIN_VALUES:
        return "this rig alone" if sum(counts) == 1 else "each of these rigs alone"
    if len(kinds) == 1:
        return f"rigs like these {counts[0]}: the rig is the unit"
    return "; for ".join(_unit_of(kind) for kind in kinds)


def _unit_of(kind: HardwareGroup) -> str:
    if len(kind.rigs) == 1:
        return f"the one rig of {kind.name} alone"
    if len(kind.rigs) < MIN_VALUES:
        return f"each of the {len(kind.rigs)} rigs of {kind.name} alone"
    return f"rigs like these {len(kind.rigs)} of {kind.name}, the rig being the unit"


def _groups(
    header: SessionHeader, plan: Plan, kinds: Sequence[HardwareGroup], by_rig: ResultsByRig
) -> list[ComparisonGroup]:
    """Return each rig's own groups, in the inventory's order; then those of rigs pooled."""
    suite, trials = header.suite, plan.trials
    alone = [(rig.name,) for rig in header.rigs]
    together = [kind.rigs for kind in kinds if len(kind.rigs) > 1]
    return [group for rigs in (*alone, *together) for group in groups(suite, trials, rigs, by_rig)]


def _run(result: RunResult) -> RunSummary:
    return RunSummary(
        id=result.id,
        rig=result.rig,
        block=result.block,
        step=result.step,
        label=result.trial.label,
        trial=result.trial_id,
        offered_rate=result.offered_rate,
        verdict=result.verdict,
        findings=result.findings,
        throughput=result.throughput,
        p99_us=result.p99_us,
        overlap=result.overlap,
    )
