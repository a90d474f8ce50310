"""A session as a page of text, at most 100 columns wide: question, results, findings."""

from collections.abc import Iterator

from fwbench.report.format import ReportedSession
from fwbench.report.formatting import wrap
from fwbench.report.session.claims import comparison_lines
from fwbench.report.session.events import event_lines, is_quarantined
from fwbench.report.session.facts import host_lines
from fwbench.report.session.findings import finding_lines
from fwbench.report.session.generators import generator_lines
from fwbench.report.session.groups import caveats, group_title, withheld_sentences
from fwbench.report.session.h2load_table import h2load_table
from fwbench.report.session.headline import (
    about_session,
    executed_runs,
    overrides,
    scope,
    stopped_rigs,
)
from fwbench.report.session.legend import legend_entries
from fwbench.report.session.sizes import size_lines
from fwbench.report.session.tables import trial_table
from fwbench.stats.run_result import ResultsByRig, results_by_rig
from fwbench.stats.summary import ComparisonGroup, Summary


def text_page(session: ReportedSession) -> str:
    """Return the page of a session, ending in a newline."""
    header, summary = session.header, session.summary
    by_rig = results_by_rig([rig.name for rig in header.rigs], session.runs)
    sections = [_headline(summary), host_lines(header)]
    for group in summary.groups:
        sections.extend(_group(session, group, by_rig))
    sections.extend(generator_lines(summary))
    sections.extend(size_lines(summary))
    sections.extend(event_lines(summary))
    sections.extend(finding_lines(summary))
    sections.append(_legend(summary))
    return "\n\n".join(sections) + "\n"


def _headline(summary: Summary) -> str:
    question = wrap(summary.suite.question)
    longest = max(map(len, question.splitlines()), default=0)
    about = f"{about_session(summary)} {executed_runs(summary)} {scope(summary)}"
    changed = [*overrides(summary), *stopped_rigs(summary)]
    return "\n".join([question, "=" * longest, wrap(about), *map(wrap, changed)])


def _group(session: ReportedSession, group: ComparisonGroup, by_rig: ResultsByRig) -> Iterator[str]:
    header, summary = session.header, session.summary
    lines = list(comparison_lines(summary.suite, group, session.framework_share))
    if group.rig is None and not lines:
        return
    title = wrap(group_title(summary, group))
    yield "\n".join([title, "-" * max(map(len, title.splitlines()))])
    if group.rig is not None:
        load = group.setting.load
        if load.requests is not None and load.generator == "h2load":
            own = by_rig[group.rig]
            yield h2load_table({trial.label: own.get(trial.trial, ()) for trial in group.trials})
        yield trial_table(group, quarantined=is_quarantined(summary, group.rig))
        withheld = (wrap(sentence, hanging="  ") for sentence in withheld_sentences(group))
        about = (wrap(sentence, hanging="  ") for sentence in caveats(header, summary, group))
        lines = [*withheld, *lines, *about]
    if lines:
        yield "\n".join(lines)


def _legend(summary: Summary) -> str:
    lines = [
        wrap(text, indent=f"  {term:<12}  ", hanging=" " * 16)
        for term, text in legend_entries(summary)
    ]
    return "\n".join(["How to read this", *lines])
