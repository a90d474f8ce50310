"""The title of a group, and the sentences about its estimates, clients and answers."""

from collections.abc import Iterator
from statistics import median

from fwbench.model.contender import Contender
from fwbench.model.record import SessionHeader
from fwbench.report.formatting import counted
from fwbench.stats.summary import ComparisonGroup, Summary


def number_of_rigs(summary: Summary) -> int:
    """Return how many rigs the groups of a session have."""
    return len({group.rig for group in summary.groups if group.rig is not None})


def group_title(summary: Summary, group: ComparisonGroup) -> str:
    """Return the endpoint and the load of a group, with its rigs if the session has several."""
    if group.rig is None:
        return f"Pooled over {rigs_of_group(summary, group)}, endpoint {group.label}"
    where = "Endpoint" if number_of_rigs(summary) == 1 else f"Rig {group.rig}, endpoint"
    return f"{where} {group.label}"


def rigs_of_group(summary: Summary, group: ComparisonGroup) -> str:
    """Return the name of a group's rig, or the number of its pooled rigs."""
    if group.rig is not None:
        return f"rig {group.rig}"
    if len(summary.hardware_groups) > 1:
        name = next(each.name for each in summary.hardware_groups if each.rigs == group.rigs)
        return f"the {len(group.rigs)} rigs of {name}"
    return f"all {len(group.rigs)} rigs"


def withheld_sentences(group: ComparisonGroup) -> Iterator[str]:
    """Return which contenders have no estimate, with their numbers of runs."""
    for trial in group.trials:
        if trial.withheld is not None:
            yield f"No estimate: {trial.label} has {trial.withheld}."


def caveats(header: SessionHeader, summary: Summary, group: ComparisonGroup) -> Iterator[str]:
    """Return what may explain a difference in a group of one rig, apart from the contenders."""
    if group.rig is not None:
        yield from _client_overlap(header, summary, group.rig)
        if len(summary.suite.contenders) > 1:
            yield from _answers_differ(header, group.setting.endpoint)


def _client_overlap(header: SessionHeader, summary: Summary, rig: str) -> Iterator[str]:
    """Return how far apart several clients of a rig began, over all its runs."""
    clients = next(len(each.clients) for each in header.rigs if each.name == rig)
    overlaps = [run.overlap for run in summary.runs if run.rig == rig and run.overlap is not None]
    skews_s = [overlap.skew_s for overlap in overlaps if overlap.skew_s is not None]
    uncertainties_s = [
        overlap.uncertainty_s for overlap in overlaps if overlap.uncertainty_s is not None
    ]
    if skews_s and uncertainties_s:
        yield (
            f"The {clients} clients began at most {max(skews_s) * 1e3:.1f} ms apart (median"
            f" {median(skews_s) * 1e3:.1f} ms; uncertainty ± {max(uncertainties_s) * 1e3:.1f} ms)."
            " Only the time in which all of them loaded counts."
        )


def _answers_differ(header: SessionHeader, endpoint: str) -> Iterator[str]:
    answers = {
        contender.name: _answer(contender, endpoint)
        for contender in header.contenders
        if contender.name in header.suite.contenders and endpoint in contender.endpoints
    }
    contracts = {
        (contract.status, contract.content_type, contract.body)
        for contender in header.contenders
        if contender.name in answers
        for contract in [contender.endpoints[endpoint]]
    }
    if len(contracts) > 1:
        each = "; ".join(f"{name}: {answer}" for name, answer in answers.items())
        yield f"The answers differ ({each}). Part of a difference may come from them."


def _answer(contender: Contender, endpoint: str) -> str:
    contract = contender.endpoints[endpoint]
    return f"{contract.content_type}, {counted(len(contract.body.encode()), 'byte')}"
