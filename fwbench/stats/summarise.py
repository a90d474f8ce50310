"""From the records of a session to its summary."""

from collections.abc import Sequence

from fwbench.model.event import Event
from fwbench.model.record import Header, Record
from fwbench.model.run import Plan
from fwbench.model.suite import Preset, Suite
from fwbench.stats import hardware_groups as kinds_of_rigs
from fwbench.stats import samples
from fwbench.stats.compare import NoComparison
from fwbench.stats.estimate import FEWEST
from fwbench.stats.finding_summary import doubts
from fwbench.stats.groups import groups
from fwbench.stats.hardware_groups import Kind
from fwbench.stats.saturation import saturated
from fwbench.stats.sizes import by_size
from fwbench.stats.stopping import Stopping, decide
from fwbench.stats.summary import Group, LostAttempt, RunSummary, Summary


def summarise(
    header: Header,
    plan: Plan,
    records: Sequence[Record],
    lost: Sequence[Record] = (),
    events: Sequence[Event] = (),
) -> Summary:
    """All that the records of a session say; those of lost attempts are told and never used."""
    suite, kinds = header.suite, kinds_of_rigs.kinds(header)
    return Summary(
        fwbench=header.fwbench,
        created_at=header.created_at,
        suite=suite,
        seed=plan.seed,
        planned=len(plan.runs),
        executed=len(records),
        hosts=header.facts,
        ended=_ended(header, records),
        unit=_unit(suite, kinds),
        kinds=kinds,
        groups=tuple(_groups(header, plan, kinds, records)),
        by_size=by_size(suite, kinds, records),
        findings=doubts(records),
        saturated=saturated(suite, header.rigs, records),
        events=tuple(events),
        lost=tuple(_lost(record) for record in lost),
        runs=tuple(_run(record) for record in records),
    )


def narrow_enough(suite: Suite, plan: Plan, rig: str, records: Sequence[Record]) -> str | None:
    """By which rule a rig may stop before its last block, in words; None if it has to go on."""
    if suite.stop is None or not records:
        return None
    rule = Stopping(
        within_percent=suite.stop.within_percent, at_least=suite.stop.at_least, at_most=suite.blocks
    )
    blocks = max(record.run.block for record in records)
    compared = {
        f"{one.name}, {group.setting.label}": one.result
        if one.unclaimed is None
        else NoComparison(reason=one.unclaimed)
        for group in groups(suite, plan, (rig,), records)
        for one in group.comparisons
    }
    decision = decide(rule, blocks, compared)
    return decision.reason if decision.stop else None


def _ended(header: Header, records: Sequence[Record]) -> dict[str, str]:
    """The rule's words for each rig; a rig whose last block is unfinished has not ended."""
    plan = Plan(seed=0, runs=tuple(record.run for record in records))
    found = {}
    for rig in header.rigs:
        own = [record for record in records if record.run.rig == rig.name]
        ended = narrow_enough(header.suite, plan, rig.name, own)
        if ended is not None:
            found[rig.name] = ended
    return found


def _unit(suite: Suite, kinds: Sequence[Kind]) -> str:
    """What the claims hold for, kind by kind: with three rigs of one, for that kind."""
    if suite.preset is Preset.SMOKE:
        return "nothing: a smoke test claims nothing"
    counts = [len(kind.rigs) for kind in kinds]
    if max(counts, default=0) < FEWEST:
        return "this rig alone" if sum(counts) == 1 else "each of these rigs alone"
    if len(kinds) == 1:
        return f"rigs like these {counts[0]}: the rig is the unit"
    return "; for ".join(_unit_of(kind) for kind in kinds)


def _unit_of(kind: Kind) -> str:
    if len(kind.rigs) == 1:
        return f"the one rig of {kind.name} alone"
    if len(kind.rigs) < FEWEST:
        return f"each of the {len(kind.rigs)} rigs of {kind.name} alone"
    return f"rigs like these {len(kind.rigs)} of {kind.name}, the rig being the unit"


def _groups(
    header: Header, plan: Plan, kinds: Sequence[Kind], records: Sequence[Record]
) -> list[Group]:
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
        name=run.trial.name,
        trial=run.trial.id,
        offered_rate=record.observation.offered_rate,
        verdict=record.verdict.word,
        findings=tuple(finding.code for finding in record.verdict.findings),
        throughput=samples.throughput(record),
        p99_us=samples.p99_us(record),
        together=record.observation.together,
    )


def _lost(record: Record) -> LostAttempt:
    why = record.observation.failure or "it left nothing"
    return LostAttempt(id=record.run.id, rig=record.run.rig, attempt=record.attempt, why=why)
