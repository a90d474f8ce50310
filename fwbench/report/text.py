"""A session as a page of text, at most 100 columns wide: what was asked, what came out, what not
to believe.
"""

from collections.abc import Iterator, Sequence

from fwbench.model.contender import Contender
from fwbench.model.record import Header, Record
from fwbench.report import facts, findings, tables
from fwbench.report.quantities import counted, wrapped
from fwbench.report.section import Section, sections


def render(header: Header, records: Sequence[Record], planned: int) -> str:
    """The page of a session in which `planned` runs are to be executed, ending in a newline."""
    blocks = [_headline(header, len(records), planned), facts.hosts(header)]
    for section in sections(header, records):
        blocks.extend(_section(header, section))
    blocks.extend(findings.listed(records))
    blocks.append(_legend(header))
    return "\n\n".join(blocks) + "\n"


def _headline(header: Header, executed: int, planned: int) -> str:
    question = wrapped(header.suite.question)
    longest = max(map(len, question.splitlines()), default=0)
    about = (
        f"Suite {header.suite.name}, begun {header.created_at}, fwbench {header.fwbench}."
        f" {executed} of {counted(planned, 'run')} executed"
        + ("." if executed >= planned else ": the rest is missing below.")
    )
    return "\n".join([question, "=" * longest, wrapped(about)])


def _section(header: Header, section: Section) -> Iterator[str]:
    title = wrapped(section.title)
    yield "\n".join([title, "-" * max(map(len, title.splitlines()))])
    yield tables.as_h2load_gives_them(section)
    yield tables.runs(section)
    comparisons = list(tables.comparisons(header.suite, section))
    if len(header.suite.contenders) > 1:
        comparisons.extend(_answers_differ(header, section))
    if comparisons:
        yield "\n".join(comparisons)


def _answers_differ(header: Header, section: Section) -> Iterator[str]:
    answers = {
        contender.name: _answer(contender, section.endpoint)
        for contender in header.contenders
        if contender.name in header.suite.contenders and section.endpoint in contender.endpoints
    }
    contracts = {
        (contract.status, contract.content_type, contract.body)
        for contender in header.contenders
        if contender.name in answers
        for contract in [contender.endpoints[section.endpoint]]
    }
    if len(contracts) > 1:
        each = "; ".join(f"{name}: {answer}" for name, answer in answers.items())
        yield wrapped(
            f"The answers differ ({each}): a difference between contenders, not frameworks.",
            hanging="  ",
        )


def _answer(contender: Contender, endpoint: str) -> str:
    contract = contender.endpoints[endpoint]
    return f"{contract.content_type}, {counted(len(contract.body.encode()), 'byte')}"


def _legend(header: Header) -> str:
    lines = [
        "How to read this",
        "  throughput  answers with a 2xx status per second of the load",
        "  invalid     the run's numbers may not be believed: the tables leave them out",
        "  suspect     there is a reason for doubt; the numbers are shown and used",
        "  ± sd        share of the values within one standard deviation (sd) of the mean",
        "  [a, b]      95 % interval: of twenty such sessions, about one would miss the true value",
    ]
    if header.suite.blocks > 1:
        lines.append("  block       one pass over everything that is compared, in a random order")
    return "\n".join(lines)
