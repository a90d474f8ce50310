"""The legend: what the words and columns of a report mean."""

from collections.abc import Iterator

from fwbench.model.load import LoadKind
from fwbench.report.session import sizes, tables
from fwbench.stats.summary import Summary

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
        ("at least", "in some block, every rate passed, so that only this lower bound is known"),
        ("below", "in some block, no rate passed, so that only this upper bound is known"),
    ),
}


def legend_entries(summary: Summary) -> Iterator[tuple[str, str]]:
    """Return the terms that occur in the report of a session, each with its meaning."""
    yield (
        "invalid",
        "the numbers of the run cannot be trusted: it is listed, but its numbers are never used",
    )
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
            "better than the baseline: significant at 5 % after Holm's correction, and beyond the"
            " noise floor",
        )
        yield "slower", "worse than the baseline, by the same rules"
        yield (
            "equivalent",
            f"the whole interval lies within {margin} of 1, and so does the noise floor",
        )
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
