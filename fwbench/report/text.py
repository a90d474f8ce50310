"""A session as a page of text, at most 100 columns wide: question, results, findings."""

from collections.abc import Iterator, Sequence
from statistics import median

from fwbench.model.contender import Contender
from fwbench.model.load import LoadKind
from fwbench.model.record import SessionHeader
from fwbench.report import claims, events, facts, findings, generators, sizes, tables
from fwbench.report.formatting import counted, wrap
from fwbench.report.h2load_table import h2load_table
from fwbench.stats.application import FrameworkPart
from fwbench.stats.run_result import ResultsByRig, RunResult, results_by_rig
from fwbench.stats.summary import ComparisonGroup, Summary


def render_session(
    header: SessionHeader,
    summary: Summary,
    results: Sequence[RunResult],
    framework_share: FrameworkPart | None = None,
) -> str:
    """Return the page of a session, ending in a newline.

    `framework_share` is the part of an application's request that the framework takes, if known.
    """
    by_rig = results_by_rig([rig.name for rig in header.rigs], results)
    sections = [_headline(summary), facts.host_lines(header)]
    for group in summary.groups:
        sections.extend(_group(header, summary, group, by_rig, framework_share))
    sections.extend(generators.generator_lines(summary))
    sections.extend(sizes.size_lines(summary))
    sections.extend(events.event_lines(summary))
    sections.extend(findings.finding_lines(summary))
    sections.append(_legend(summary))
    return "\n\n".join(sections) + "\n"


def _headline(summary: Summary) -> str:
    suite = summary.suite
    question = wrap(suite.question)
    longest = max(map(len, question.splitlines()), default=0)
    executed = f"{summary.executed} of {counted(summary.planned, 'run')} executed"
    if summary.executed < summary.planned and len(summary.stopped_by) < _rigs(summary):
        executed += "; the others are missing below"
    about = (
        f"Suite {suite.name}, preset {suite.preset}, {counted(suite.blocks, 'block')}, order from"
        f" seed {summary.seed}, started {summary.created_at}, fwbench {summary.fwbench}."
        f" {executed}. Claims hold for {summary.scope}."
    )
    stopped = [wrap(f"Stopped on {rig}: {rule}.") for rig, rule in summary.stopped_by.items()]
    return "\n".join([question, "=" * longest, wrap(about), *stopped])


def _rigs(summary: Summary) -> int:
    return len({group.rig for group in summary.groups if group.rig is not None})


def _group(
    header: SessionHeader,
    summary: Summary,
    group: ComparisonGroup,
    by_rig: ResultsByRig,
    framework_share: FrameworkPart | None,
) -> Iterator[str]:
    lines = list(claims.comparison_lines(summary.suite, group, framework_share))
    if group.rig is None and not lines:
        return
    title = wrap(_title(summary, group))
    yield "\n".join([title, "-" * max(map(len, title.splitlines()))])
    if group.rig is not None:
        load = group.setting.load
        if load.requests is not None and load.generator == "h2load":
            own = by_rig[group.rig]
            yield h2load_table({trial.label: own.get(trial.trial, ()) for trial in group.trials})
        yield tables.trial_table(group, quarantined=events.is_quarantined(summary, group.rig))
        lines = [*_withheld(group), *lines]
        lines.extend(_client_overlap(header, summary, group.rig))
        if len(summary.suite.contenders) > 1:
            lines.extend(_answers_differ(header, group.setting.endpoint))
    if lines:
        yield "\n".join(lines)


def _withheld(group: ComparisonGroup) -> Iterator[str]:
    for trial in group.trials:
        if trial.withheld is not None:
            yield wrap(f"No estimate: {trial.label} has {trial.withheld}.", hanging="  ")


def _title(summary: Summary, group: ComparisonGroup) -> str:
    if group.rig is None:
        rigs = f"all {len(group.rigs)} rigs"
        if len(summary.hardware_groups) > 1:
            name = next(each.name for each in summary.hardware_groups if each.rigs == group.rigs)
            rigs = f"the {len(group.rigs)} rigs of {name}"
        return f"Pooled over {rigs}, endpoint {group.label}"
    where = "Endpoint" if _rigs(summary) == 1 else f"Rig {group.rig}, endpoint"
    return f"{where} {group.label}"


def _client_overlap(header: SessionHeader, summary: Summary, rig: str) -> Iterator[str]:
    """Return how far apart several clients of a rig began, over all its runs."""
    clients = next(len(each.clients) for each in header.rigs if each.name == rig)
    overlaps = [run.overlap for run in summary.runs if run.rig == rig and run.overlap is not None]
    skews_s = [overlap.skew_s for overlap in overlaps if overlap.skew_s is not None]
    uncertainties_s = [
        overlap.uncertainty_s for overlap in overlaps if overlap.uncertainty_s is not None
    ]
    if skews_s and uncertainties_s:
        yield wrap(
            f"The {clients} clients began at most {max(skews_s) * 1e3:.1f} ms apart (median"
            f" {median(skews_s) * 1e3:.1f} ms; uncertainty ± {max(uncertainties_s) * 1e3:.1f} ms)."
            " Only the time in which all of them loaded counts.",
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
            f"The answers differ ({each}). Part of a difference may come from them.",
            hanging="  ",
        )


def _answer(contender: Contender, endpoint: str) -> str:
    contract = contender.endpoints[endpoint]
    return f"{contract.content_type}, {counted(len(contract.body.encode()), 'byte')}"


_LOAD_LEGENDS = {
    LoadKind.CLOSED: (
        ("throughput", "answers with a 2xx status per second of the measured window"),
        ("cv", "coefficient of variation: standard deviation of the runs, divided by their mean"),
        (
            "p50, p99 *",
            "median over the runs; at saturation, percentiles show queueing in the server, not what"
            " users wait",
        ),
    ),
    LoadKind.FIXED_RATE: (
        (
            "p50, p99",
            "median over the runs; corrected for coordinated omission: requests that were due while"
            " their connection waited for an answer count too",
        ),
    ),
    LoadKind.SEARCH: (
        (
            "highest rate",
            "the highest rate at which the p99 (corrected for coordinated omission) stays under the"
            " bound of the search; mean over the blocks",
        ),
        (
            "at least",
            "and below: in some block every rate of the range passed, or none, so that only a bound"
            " is known",
        ),
    ),
}


def _legend(summary: Summary) -> str:
    lines = [
        wrap(text, indent=f"  {term:<12}  ", hanging=" " * 16)
        for term, text in _legend_entries(summary)
    ]
    return "\n".join(["How to read this", *lines])


def _legend_entries(summary: Summary) -> Iterator[tuple[str, str]]:
    yield "invalid", "the numbers of the run cannot be trusted: it is listed, but never used"
    yield "suspect", "there is a reason to doubt the run; its numbers are used"
    for kind in dict.fromkeys(group.load_kind for group in summary.groups):
        yield from _LOAD_LEGENDS[kind]
    if correcting := tables.correcting_generators(summary.groups):
        yield (
            "p50, p99 **",
            f"corrected by {' and '.join(correcting)} for coordinated omission, even though the"
            " load is closed; do not compare them with those of another load generator",
        )
    if any(group.setting.load.requests is not None for group in summary.groups):
        yield "± sd", "share of the values within one standard deviation (sd) of the mean"
    yield "[a, b]", "95 % interval: about one in twenty such intervals misses the true value"
    if sizes.has_sizes(summary):
        yield (
            "sample",
            "the rigs over which values are averaged; the values of one rig hold for that machine"
            " only",
        )
    if summary.suite.makes_claims:
        margin = f"{summary.suite.margin_percent:g} %"
        yield (
            "faster",
            "and slower: significant at 5 % over all comparisons (Holm), and beyond the noise"
            " floor",
        )
        yield "equivalent", f"the whole interval lies within {margin} of 1"
        yield (
            "inconclusive",
            "none of these; the smallest difference that the session could have detected is given",
        )
        yield (
            "A/A control",
            "the baseline measured twice; its ratio is the noise floor: no smaller difference is"
            " claimed",
        )
    if summary.suite.blocks > 1:
        yield "block", "one pass over all trials, in random order"
