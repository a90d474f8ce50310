"""A session as a comment in GitHub Flavored Markdown: verdict, tables, findings."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from fwbench.model.record import SessionHeader
from fwbench.report.format import ReportedSession
from fwbench.report.formatting import counted, printable
from fwbench.report.session.claims import comparison_claims
from fwbench.report.session.events import event_sentences, is_quarantined
from fwbench.report.session.facts import host_sentences
from fwbench.report.session.findings import (
    client_advice,
    concerned,
    first_seen,
    unchecked_sentences,
)
from fwbench.report.session.generators import GENERATOR_TITLE, generator_sentences
from fwbench.report.session.groups import caveats, group_title, withheld_sentences
from fwbench.report.session.headline import (
    about_session,
    executed_runs,
    overrides,
    scope,
    stopped_rigs,
)
from fwbench.report.session.legend import legend_entries
from fwbench.report.session.markdown_text import bullet_list, details, escape, markdown_table
from fwbench.report.session.sizes import (
    has_sizes,
    size_comparisons,
    size_rows,
    size_sentences,
    size_title,
)
from fwbench.report.session.tables import trial_rows
from fwbench.report.session.verdict import verdict_sentences
from fwbench.stats.findings import FindingSummary
from fwbench.stats.summary import ComparisonGroup, Summary


def markdown_page(session: ReportedSession) -> str:
    """Return the comment, ending in a newline."""
    summary = session.summary
    sections = [f"## {escape(summary.suite.question)}"]
    if verdict := " ".join(verdict_sentences(summary)):
        sections.append(f"**{escape(verdict)}**")
    sections.append(escape(" ".join(_runs_and_scope(summary))))
    for group in summary.groups:
        sections.extend(_group(session, group))
    if agreements := _list(generator_sentences(summary)):
        sections.extend([f"### {GENERATOR_TITLE}", agreements])
    sections.extend(_sizes(summary))
    sections.extend(_findings(summary))
    if events := list(event_sentences(summary)):
        sections.append(details(f"Events: {len(events)}", [_list(events)]))
    sections.append(details("Hosts, and how to reproduce this", list(_reproduction(session))))
    legend = (f"*{escape(term)}*: {escape(text)}" for term, text in legend_entries(summary))
    sections.append(details("How to read this", [bullet_list(legend)]))
    return "\n\n".join(sections) + "\n"


def _runs_and_scope(summary: Summary) -> Iterator[str]:
    yield executed_runs(summary)
    if invalid := sum(run.verdict == "invalid" for run in summary.runs):
        yield f"{counted(invalid, 'invalid run')} not used."
    yield from overrides(summary)
    yield from stopped_rigs(summary)
    yield scope(summary)


def _group(session: ReportedSession, group: ComparisonGroup) -> Iterator[str]:
    header, summary = session.header, session.summary
    claims = [
        f"{'  ' * claim.is_detail}- {escape(claim.sentence)}"
        for claim in comparison_claims(summary.suite, group, session.framework_share)
    ]
    if group.rig is None and not claims:
        return
    yield f"### {escape(group_title(summary, group))}"
    if group.rig is not None:
        quarantined = is_quarantined(summary, group.rig)
        yield markdown_table(trial_rows(group, quarantined=quarantined))
    sentences = (
        _list(withheld_sentences(group)),
        "\n".join(claims),
        _list(caveats(header, summary, group)),
    )
    if about := "\n".join(filter(None, sentences)):
        yield about


def _sizes(summary: Summary) -> Iterator[str]:
    if not has_sizes(summary):
        return
    yield f"### {size_title(summary)}"
    yield _list(size_sentences(summary))
    for table in summary.size_tables:
        yield f"Endpoint {escape(table.label)}:"
        yield markdown_table(size_rows(summary.hardware_groups, table))
        if comparisons := _list(size_comparisons(table)):
            yield comparisons


def _findings(summary: Summary) -> Iterator[str]:
    unchecked = list(unchecked_sentences(summary))
    if not summary.findings and not unchecked:
        yield "Findings: none."
        return
    levels = Counter(finding.level.value for finding in summary.findings)
    title = ", ".join(f"{number} {level}" for level, number in levels.items()) or "none"
    items = [*map(_finding, summary.findings), *map(escape, client_advice(summary))]
    yield details(f"Findings: {title}", [bullet_list([*items, *map(escape, unchecked)])])


def _finding(finding: FindingSummary) -> str:
    text = (
        f"({finding.level}): {concerned(finding)}. {first_seen(finding)}: {finding.evidence}."
        f" {finding.advice}"
    )
    return f"**{escape(finding.code)}** {escape(text)}"


def _reproduction(session: ReportedSession) -> Iterator[str]:
    header, summary = session.header, session.summary
    yield escape(about_session(summary))
    yield _list(host_sentences(header))
    yield (
        "The same version, suite and hosts give the same runs in the same order. `hosts.yml` is"
        " your inventory:"
    )
    yield f"```sh\n{_command(header)}\n```"
    yield "This prints the report again, in the folder that contains the session folder:"
    folder = PurePath(session.folder).name or session.folder  # its place is nobody's business
    yield f"```sh\nfwbench report {_argument(folder)}\n```"


def _command(header: SessionHeader) -> str:
    suite = header.suite
    name = f"{suite.name}.yml" if header.suite_file is None else header.suite_file.name
    # A preset replaces the number of blocks, so it is given only where it gives the same number.
    preset = f" --preset {suite.preset}" if suite.blocks == suite.preset.blocks else ""
    return f"fwbench run {_argument(name)} -i hosts.yml{preset}"


def _argument(text: str) -> str:
    """Return untrusted text as one argument in one line of a shell."""
    return shlex.quote(printable(text))


def _list(sentences: Iterable[str]) -> str:
    return bullet_list(map(escape, sentences))
