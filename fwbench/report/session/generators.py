"""Whether the load generators of a session agree."""

from collections.abc import Iterator

from fwbench.report.formatting import counted, wrap
from fwbench.report.session.claims import format_ratio
from fwbench.stats.generator_agreement import GeneratorAgreement
from fwbench.stats.ratios import NoComparison
from fwbench.stats.summary import Summary

_VERDICTS = {True: "they agree", False: "they disagree", None: "inconclusive"}


GENERATOR_TITLE = "Do the load generators agree?"


def generator_lines(summary: Summary) -> Iterator[str]:
    """Return the section of a page of text; nothing for a single load generator."""
    if sentences := list(generator_sentences(summary)):
        explanation, *pairs = sentences
        lines = [wrap(explanation), *(wrap(pair, hanging="  ") for pair in pairs)]
        yield "\n".join([GENERATOR_TITLE, "-" * len(GENERATOR_TITLE), *lines])


def generator_sentences(summary: Summary) -> Iterator[str]:
    """Return what agreement is, then the result of each pair of load generators, if any."""
    if not summary.generator_agreements:
        return
    yield (
        "Two load generators agree if the whole interval of the ratio of their throughputs lies"
        " within 5 % of 1. Their latencies begin at different moments and are not compared."
    )
    several_rigs = len({each.rig for each in summary.generator_agreements}) > 1
    for each in summary.generator_agreements:
        yield _agreement(each, with_rig=several_rigs)


def _agreement(each: GeneratorAgreement, *, with_rig: bool) -> str:
    where = f"{each.rig}, " if with_rig else ""
    pair = f"{where}{each.label}, {each.generator} / {each.reference}"
    if isinstance(each.result, NoComparison):
        return f"{pair}: no ratio: {each.result.reason}"
    blocks = counted(each.result.n, "block")
    return f"{pair}: {format_ratio(each.result)} throughput: {_VERDICTS[each.agree]} ({blocks})"
