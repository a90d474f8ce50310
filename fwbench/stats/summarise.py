"""From the results of a session to its summary."""

from collections.abc import Collection, Sequence

from fwbench.model.event import Event
from fwbench.model.preset import Preset
from fwbench.model.record import SessionHeader
from fwbench.model.run import Plan, Trial
from fwbench.model.suite import Suite
from fwbench.stats.findings import saturated_clients
from fwbench.stats.generator_agreement import generator_agreements
from fwbench.stats.groups import comparison_groups
from fwbench.stats.hardware_groups import HardwareGroup, hardware_groups
from fwbench.stats.ratios import NoComparison
from fwbench.stats.run_result import ResultsByRig, RunResult, results_by_rig
from fwbench.stats.session_results import SessionResults
from fwbench.stats.significance import MIN_VALUES
from fwbench.stats.sizes import size_tables
from fwbench.stats.stopping import StoppingTarget, reason_to_stop
from fwbench.stats.summary import ComparisonGroup, RunSummary, Summary


def summarise(
    header: SessionHeader, plan: Plan, results: SessionResults, events: Sequence[Event] = ()
) -> Summary:
    """Return all estimates, comparisons and findings of a session."""
    suite, groups = header.suite, hardware_groups(header)
    by_rig = results_by_rig([rig.name for rig in header.rigs], results.runs)
    return Summary(
        fwbench=header.fwbench,
        created_at=header.created_at,
        suite=suite,
        overrides=header.overrides,
        seed=plan.seed,
        planned=len(plan.runs),
        executed=len(results.runs),
        hosts=header.facts,
        stopped_by=_stopped_by(header, plan, results.runs),
        scope=_scope(suite, groups),
        hardware_groups=groups,
        groups=tuple(_comparison_groups(header, plan, groups, by_rig)),
        size_tables=size_tables(suite, groups, by_rig),
        generator_agreements=generator_agreements(suite, plan.trials, list(by_rig), by_rig),
        findings=results.findings,
        saturated_clients=saturated_clients(header.rigs, results.runs),
        events=tuple(events),
        lost_attempts=results.lost_attempts,
        runs=tuple(_run_summary(result) for result in results.runs),
    )


def stopping_reason(
    suite: Suite, trials: Collection[Trial], rig: str, results: Sequence[RunResult]
) -> str | None:
    """Return why a rig may stop before its last block; None if it must continue.

    `trials` are the planned ones, `results` those of this rig so far.
    """
    if suite.stop is None or not results:
        return None
    target = StoppingTarget(
        within_percent=suite.stop.within_percent, at_least=suite.stop.at_least, at_most=suite.blocks
    )
    blocks = max(result.block for result in results)
    ratios = {
        f"{comparison.label}, {group.setting.label}": comparison.result
        if comparison.no_claim_reason is None
        else NoComparison(reason=comparison.no_claim_reason)
        for group in comparison_groups(suite, trials, (rig,), results_by_rig((rig,), results))
        for comparison in group.comparisons
    }
    return reason_to_stop(target, blocks, ratios)


def _stopped_by(header: SessionHeader, plan: Plan, results: Sequence[RunResult]) -> dict[str, str]:
    """Return by which rule each rig stopped; a rig with an unfinished last block has not."""
    if header.suite.stop is None:
        return {}
    executed = plan.trials & {result.trial for result in results}
    reasons = {}
    for rig in header.rigs:
        of_rig = [result for result in results if result.rig == rig.name]
        reason = stopping_reason(header.suite, executed, rig.name, of_rig)
        if reason is not None:
            reasons[rig.name] = reason
    return reasons


def _scope(suite: Suite, groups: Sequence[HardwareGroup]) -> str:
    """Return what the claims hold for: hardware groups with three rigs, otherwise single rigs."""
    if suite.preset is Preset.SMOKE:
        return "nothing: a smoke test claims nothing"
    counts = [len(group.rigs) for group in groups]
    if max(counts, default=0) < MIN_VALUES:
        return "this rig only" if sum(counts) == 1 else "each of these rigs separately"
    if len(groups) == 1:
        return f"rigs like these {counts[0]} (the rig is the replicate)"
    return "; for ".join(_scope_of_group(group) for group in groups)


def _scope_of_group(group: HardwareGroup) -> str:
    if len(group.rigs) == 1:
        return f"the one rig of {group.name} only"
    if len(group.rigs) < MIN_VALUES:
        return f"each of the {len(group.rigs)} rigs of {group.name} separately"
    return f"rigs like these {len(group.rigs)} of {group.name} (the rig is the replicate)"


def _comparison_groups(
    header: SessionHeader, plan: Plan, groups: Sequence[HardwareGroup], by_rig: ResultsByRig
) -> list[ComparisonGroup]:
    """Return the groups of each rig, in the inventory's order, then those of pooled rigs."""
    single = [(rig.name,) for rig in header.rigs]
    pooled = [group.rigs for group in groups if len(group.rigs) > 1]
    return [
        comparison_group
        for rigs in (*single, *pooled)
        for comparison_group in comparison_groups(header.suite, plan.trials, rigs, by_rig)
    ]


def _run_summary(result: RunResult) -> RunSummary:
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
        not_applicable=result.not_applicable,
        not_observed=result.not_observed,
        throughput=result.throughput,
        p99_us=result.p99_us,
        overlap=result.overlap,
    )
