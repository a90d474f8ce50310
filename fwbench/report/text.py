"""A session as a page of text, at most 100 columns wide: what was asked, what came out, what not
to believe.
"""

from collections.abc import Iterator, Sequence
from statistics import median

from fwbench.model.contender import Contender
from fwbench.model.load import LoadKind
from fwbench.model.record import Record, SessionHeader
from fwbench.report import claims, events, facts, findings, sizes, tables
from fwbench.report.formatting import counted, wrap
from fwbench.report.h2load_table import h2load_table
from fwbench.stats.application import FrameworkPart
from fwbench.stats.summary import ComparisonGroup, Summary


def render_session(
    header: SessionHeader,
    summary: Summary,
    records: Sequence[Record],
    framework_share: FrameworkPart | None = None,
) -> str:
    """The page of a session, ending in a newline.

    `framework_share` is the part of an application's request that the framework takes, if given.
    """
    blocks = [_headline(summary), facts.host_lines(header)]
    for group in summary.groups:
        blocks.extend(_group(header, summary, group, records, framework_share))
    blocks.extend(sizes.size_lines(summary))
    blocks.extend(events.event_lines(summary))
    blocks.extend(findings.finding_lines(summary))
    blocks.append(_legend(summary))
    return "\n\n".join(blocks) + "\n"


def _headline(summary: Summary) -> str:
    suite = summary.suite
    question = wrap(suite.question)
    longest = max(map(len, question.splitlines()), default=0)
    done = f"{summary.executed} of {counted(summary.planned, 'run')} executed"
    if summary.executed < summary.planned and len(summary.stopped_by) < _rigs(summary):
        done += ": the rest is missing below"
    about = (
        f"Suite {suite.name}, preset {suite.preset}, {counted(suite.blocks, 'block')} in the order"
        f" of seed {summary.seed}, begun {summary.created_at}, fwbench {summary.fwbench}. {done}."
        f" Claims hold for {summary.replicate}."
    )
    ended = [wrap(f"Ended on {rig}: {rule}.") for rig, rule in summary.stopped_by.items()]
    return "\n".join([question, "=" * longest, wrap(about), *ended])


def _rigs(summary: Summary) -> int:
    return len({group.rig for group in summary.groups if group.rig is not None})


def _group(
    header: SessionHeader,
    summary: Summary,
    group: ComparisonGroup,
    records: Sequence[Record],
    framework_share: FrameworkPart | None,
) -> Iterator[str]:
    said = list(claims.comparison_lines(summary.suite, group, framework_share))
    if group.rig is None and not said:
        return
    title = wrap(_title(summary, group))
    yield "\n".join([title, "-" * max(map(len, title.splitlines()))])
    if group.rig is not None:
        if group.setting.load.requests is not None:
            names = [trial.label for trial in group.trials]
            yield h2load_table(group.setting, names, group.rig, records)
        yield tables.trial_table(group, given_up=events.is_quarantined(summary, group.rig))
        said = [*_withheld(group), *said]
        said.extend(_together(header, summary, group.rig))
        if len(summary.suite.contenders) > 1:
            said.extend(_answers_differ(header, group.setting.endpoint))
    if said:
        yield "\n".join(said)


def _withheld(group: ComparisonGroup) -> Iterator[str]:
    for trial in group.trials:
        if trial.withheld is not None:
            yield wrap(f"No estimate: {trial.label} has {trial.withheld}.", hanging="  ")


def _title(summary: Summary, group: ComparisonGroup) -> str:
    if group.rig is None:
        rigs = f"all {len(group.rigs)} rigs"
        if len(summary.hardware_groups) > 1:
            kind = next(kind.name for kind in summary.hardware_groups if kind.rigs == group.rigs)
            rigs = f"the {len(group.rigs)} rigs of {kind}"
        return f"Over {rigs}, endpoint {group.label}"
    where = "Endpoint" if _rigs(summary) == 1 else f"Rig {group.rig}, endpoint"
    return f"{where} {group.label}"


def _together(header: SessionHeader, summary: Summary, rig: str) -> Iterator[str]:
    """How far several clients of a rig loaded at the same time, over all its runs."""
    clients = next(len(one.clients) for one in header.rigs if one.name == rig)
    runs = [run.overlap for run in summary.runs if run.rig == rig and run.overlap is not None]
    skews_s = [run.skew_s for run in runs if run.skew_s is not None]
    unsure_s = [run.uncertainty_s for run in runs if run.uncertainty_s is not None]
    if skews_s and unsure_s:
        yield wrap(
            f"Its {clients} clients began at most {max(skews_s) * 1e3:.1f} ms apart, in the middle"
            f" {median(skews_s) * 1e3:.1f} ms, which their clocks tell to {max(unsure_s) * 1e3:.1f}"
            " ms; only the time in which all of them loaded counts.",
            hanging="  ",
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
        yield wrap(
            f"The answers differ ({each}): a difference between contenders, not frameworks.",
            hanging="  ",
        )


def _answer(contender: Contender, endpoint: str) -> str:
    contract = contender.endpoints[endpoint]
    return f"{contract.content_type}, {counted(len(contract.body.encode()), 'byte')}"


_LATENCIES = {
    LoadKind.CLOSED: (
        "  p50, p99 *  of a closed load, in which a stall is seen by few requests: they say little",
        "              about users; the median of the runs' own",
    ),
    LoadKind.FIXED_RATE: (
        "  p50, p99    from when a request was due, not from when it could be sent: corrected for",
        "              coordinated omission; the median of the runs' own, none averaged",
    ),
    LoadKind.SEARCH: (
        "  highest     rate at which the server kept up with its p99 (corrected for coordinated",
        "              omission) under the bound: mean over the blocks",
        "  at least    and below: a block held every rate tried, or none, so nothing is compared",
    ),
}


def _legend(summary: Summary) -> str:
    kinds = dict.fromkeys(group.load_kind for group in summary.groups)
    lines = ["How to read this", "  invalid     its numbers may not be believed: shown, never used"]
    lines.append("  suspect     there is a reason for doubt; the numbers are used")
    if LoadKind.CLOSED in kinds:
        lines.append("  throughput  answers with a 2xx status per second of the load")
        lines.append(
            "  cv          coefficient of variation: sd of the runs, as a share of the mean"
        )
    for kind in kinds:
        lines.extend(_LATENCIES[kind])
    if any(group.setting.load.requests is not None for group in summary.groups):
        lines.append("  ± sd        share of values within one standard deviation (sd) of the mean")
    lines.append(
        "  [a, b]      95 % interval: of twenty such sessions, about one would miss the true value"
    )
    if sizes.has_sizes(summary):
        lines.append(
            "  over        rigs, each counting once; or a rig by its blocks: that machine alone"
        )
    if summary.suite.makes_claims:
        lines += [
            "  faster      and slower: significant at 5 % over all comparisons together (Holm)",
            f"  equivalent  the whole interval lies within {summary.suite.margin_percent:g} % of 1",
        ]
    if summary.suite.blocks > 1:
        lines.append("  block       one pass over everything that is compared, in a random order")
    return "\n".join(lines)
