"""Whether the load generators of a session agree."""

from collections.abc import Iterator

from fwbench.report.claims import format_ratio
from fwbench.report.formatting import counted, wrap
from fwbench.stats.generator_agreement import GeneratorAgreement
from fwbench.stats.ratios import NoComparison
from fwbench.stats.summary import Summary

_VERDICTS = {True: "they agree", False: "they disagree", None: "inconclusive"}


def generator_lines(summary: Summary) -> Iterator[str]:
    """Return a section with a line for each pair of load generators; nothing if there is none."""
    if not summary.generator_agreements:
        return
    several_rigs = len({each.rig for each in summary.generator_agreements}) > 1
    lines = [
        wrap(_line(each, with_rig=several_rigs), hanging="  ")
        for each in summary.generator_agreements
    ]
    title = "Do the load generators agree?"
    explanation = wrap(
        "Two load generators agree if the whole interval of the ratio of their throughputs lies"
        " within 5 % of 1. Their latencies begin at different moments and are not compared."
    )
    yield "\n".join([title, "-" * len(title), explanation, *lines])


def _line(each: GeneratorAgreement, *, with_rig: bool) -> str:
    where = f"{each.rig}, " if with_rig else ""
    pair = f"{where}{each.label}, {each.generator} / {each.reference}"
    if isinstance(each.result, NoComparison):
        return f"{pair}: no ratio: {each.result.reason}"
    blocks = counted(each.result.n, "block")
    return f"{pair}: {format_ratio(each.result)} throughput: {_VERDICTS[each.agree]} ({blocks})"
