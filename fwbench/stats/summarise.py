"""From the records of a session to its summary."""

from collections.abc import Sequence

from fwbench.model.event import Event
from fwbench.model.preset import Preset
from fwbench.model.record import Record, SessionHeader
from fwbench.model.run import Plan
from fwbench.model.suite import Suite
from fwbench.stats import hardware_groups as kinds_of_rigs
from fwbench.stats import samples
from fwbench.stats.compare import NoComparison
from fwbench.stats.estimate import MIN_VALUES
from fwbench.stats.finding_summary import summarise_findings
from fwbench.stats.groups import groups
from fwbench.stats.hardware_groups import HardwareGroup
from fwbench.stats.saturation import saturated_clients
from fwbench.stats.sizes import size_tables
from fwbench.stats.stopping import StoppingTarget, decide
from fwbench.stats.summary import ComparisonGroup, LostAttempt, RunSummary, Summary


def summarise(
    header: SessionHeader,
    plan: Plan,
    records: Sequence[Record],
    lost: Sequence[Record] = (),
    events: Sequence[Event] = (),
) -> Summary:
    """All that the records of a session say; those of lost attempts are told and never used."""
    suite, kinds = header.suite, kinds_of_rigs.hardware_groups(header)
    return Summary(
        fwbench=header.fwbench,
        created_at=header.created_at,
        suite=suite,
        seed=plan.seed,
        planned=len(plan.runs),
        executed=len(records),
        hosts=header.facts,
        stopped_by=_ended(header, records),
        replicate=_unit(suite, kinds),
        hardware_groups=kinds,
        groups=tuple(_groups(header, plan, kinds, records)),
        size_tables=size_tables(suite, kinds, records),
        findings=summarise_findings(records),
        saturated_clients=saturated_clients(suite, header.rigs, records),
        events=tuple(events),
        lost_attempts=tuple(_lost_attempt(record) for record in lost),
        runs=tuple(_run(record) for record in records),
    )


def stopping_reason(suite: Suite, plan: Plan, rig: str, records: Sequence[Record]) -> str | None:
    """By which rule a rig may stop before its last block, in words; None if it has to go on."""
    if suite.stop is None or not records:
        return None
    rule = StoppingTarget(
        within_percent=suite.stop.within_percent, at_least=suite.stop.at_least, at_most=suite.blocks
    )
    blocks = max(record.run.block for record in records)
    compared = {
        f"{one.label}, {group.setting.label}": one.result
        if one.no_claim_reason is None
        else NoComparison(reason=one.no_claim_reason)
        for group in groups(suite, plan, (rig,), records)
        for one in group.comparisons
    }
    decision = decide(rule, blocks, compared)
    return decision.reason if decision.stop else None


def _ended(header: SessionHeader, records: Sequence[Record]) -> dict[str, str]:
    """The rule's words for each rig; a rig whose last block is unfinished has not ended."""
    plan = Plan(seed=0, runs=tuple(record.run for record in records))
    found = {}
    for rig in header.rigs:
        own = [record for record in records if record.run.rig == rig.name]
        ended = stopping_reason(header.suite, plan, rig.name, own)
        if ended is not None:
            found[rig.name] = ended
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
    header: SessionHeader, plan: Plan, kinds: Sequence[HardwareGroup], records: Sequence[Record]
) -> list[ComparisonGroup]:
    """Each rig on its own, in the order of the inventory; then those that are alike together."""
    suite = header.suite
    alone = [(rig.name,) for rig in header.rigs]
    together = [kind.rigs for kind in kinds if len(kind.rigs) > 1]
    return [group for rigs in (*alone, *together) for group in groups(suite, plan, rigs, records)]


def _run(record: Record) -> RunSummary:
    run = record.run
    return RunSummary(
        id=run.id,
        rig=run.rig,
        block=run.block,
        step=run.step,
        label=run.trial.label,
        trial=run.trial.id,
        offered_rate=record.observation.offered_rate,
        verdict=record.verdict.status,
        findings=tuple(finding.code for finding in record.verdict.findings),
        throughput=samples.throughput(record),
        p99_us=samples.p99_us(record),
        overlap=record.observation.overlap,
    )


def _lost_attempt(record: Record) -> LostAttempt:
    why = record.observation.failure or "it left nothing"
    return LostAttempt(id=record.run.id, rig=record.run.rig, attempt=record.attempt, reason=why)
