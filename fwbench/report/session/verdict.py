"""The verdict on a session: the outcome of its comparisons in one or two sentences."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from fwbench.report.formatting import percent
from fwbench.report.session.claims import ratio_of_metric, reason_for_no_comparison
from fwbench.report.session.groups import rigs_of_group
from fwbench.stats.outcomes import Comparison, Outcome
from fwbench.stats.ratios import NoComparison, RatioEstimate
from fwbench.stats.summary import ComparisonGroup, ContenderComparison, Summary

_LISTED = 3
"""More comparisons are counted instead."""


class _Judged(NamedTuple):
    group: ComparisonGroup
    comparison: ContenderComparison
    result: Comparison


def verdict_sentences(summary: Summary) -> Iterator[str]:
    """Return the outcome of all comparisons, or why there is none; then what to distrust."""
    suite = summary.suite
    if not summary.runs:
        yield "No verdict: no run was executed."
    elif len(suite.contenders) == 1:
        yield "No comparison: the suite has one contender."
    elif (reason := reason_for_no_comparison(suite)) is not None:
        yield f"No comparison: {reason}."
    else:
        groups = list(_deciding_groups(summary))
        judged = [
            _Judged(group, comparison, comparison.result)
            for group in groups
            for comparison in group.comparisons
            if isinstance(comparison.result, Comparison)
        ]
        if judged:
            yield _counts(judged) if len(judged) > _LISTED else _list(summary, groups, judged)
        yield from _missing(summary, groups)
        yield from _noise(groups)


def _deciding_groups(summary: Summary) -> Iterator[ComparisonGroup]:
    """Return the pooled groups that have an outcome, and those of rigs that are not pooled."""
    pooled = [
        group
        for group in summary.groups
        if group.rig is None and any(isinstance(c.result, Comparison) for c in group.comparisons)
    ]
    covered = {(rig, group.label) for group in pooled for rig in group.rigs}
    yield from pooled
    for group in summary.groups:
        if group.rig is not None and (group.rig, group.label) not in covered:
            yield group


def _list(summary: Summary, groups: list[ComparisonGroup], judged: list[_Judged]) -> str:
    sentences = (
        _sentence(comparison, result) + _where(summary, groups, group)
        for group, comparison, result in judged
    )
    return f"{'; '.join(sentences)}."


def _where(summary: Summary, groups: list[ComparisonGroup], group: ComparisonGroup) -> str:
    """Return the rigs and the setting of a group, in so far as they differ between the groups."""
    where = [rigs_of_group(summary, group)] if len({each.rigs for each in groups}) > 1 else []
    if len({each.label for each in groups}) > 1:
        where.append(group.label)
    return f" ({', '.join(where)})" if where else ""


def _sentence(comparison: ContenderComparison, result: Comparison) -> str:
    label, baseline = comparison.label, comparison.baseline
    ratio = ratio_of_metric(comparison.metric, result)
    if result.outcome is Outcome.EQUIVALENT:
        return f"{label} is equivalent to {baseline} within {percent(result.margin)}: {ratio}"
    if result.outcome is Outcome.INCONCLUSIVE:
        detectable = percent(result.detectable_ratio - 1, 1)
        return (
            f"{label} compared with {baseline} is inconclusive: {ratio}; {detectable} could have"
            " been detected"
        )
    return f"{label} is {result.outcome} than {baseline}: {ratio}"


def _counts(judged: list[_Judged]) -> str:
    """Return how often each contender is faster, slower, equivalent and inconclusive."""
    by_label: dict[str, Counter[Outcome]] = {}
    for _, comparison, result in judged:
        by_label.setdefault(comparison.label, Counter())[result.outcome] += 1
    each = "; ".join(
        f"{label} is " + ", ".join(f"{word} in {count[word]}" for word in Outcome if count[word])
        for label, count in by_label.items()
    )
    return f"Of {len(judged)} comparisons with {judged[0][1].baseline}: {each}."


def _missing(summary: Summary, groups: list[ComparisonGroup]) -> Iterator[str]:
    """Return which comparison has no outcome, and why, and the number of others."""
    missing = [
        (group, comparison)
        for group in groups
        for comparison in group.comparisons
        if not isinstance(comparison.result, Comparison)
    ]
    if missing:
        group, first = missing[0]
        result = first.result
        reason = result.reason if isinstance(result, NoComparison) else first.no_claim_reason
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        where = _where(summary, groups, group)
        yield f"No verdict on {first.label} / {first.baseline}{where}{more}: {reason}."


def _noise(groups: list[ComparisonGroup]) -> Iterator[str]:
    """Return a warning if the A/A control seems to differ from the baseline."""
    floors = [group.noise_floor.result for group in groups if group.noise_floor is not None]
    if any(
        isinstance(floor, RatioEstimate) and not floor.interval.low <= 1 <= floor.interval.high
        for floor in floors
    ):
        yield "The interval of the A/A control excludes 1, so do not trust small differences."
