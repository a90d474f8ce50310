"""Merge the summaries of several clients' load generators."""

import math
from collections.abc import Iterable, Sequence

from fwbench.model.figures import LoadSummary, SummaryStatistics

_ADDED_FIELDS = (
    "rate_per_s",
    "requests_total",
    "requests_started",
    "requests_done",
    "requests_succeeded",
    "requests_failed",
    "requests_errored",
    "requests_timed_out",
    "status_2xx",
    "status_3xx",
    "status_4xx",
    "status_5xx",
    "total_bytes",
    "header_bytes",
    "data_bytes",
)


def merge_summaries(summaries: Sequence[LoadSummary], connections: Sequence[int]) -> LoadSummary:
    """Return the summary of several clients as if a single one had offered the whole load.

    `connections` are the numbers of connections of each client. Counts and rates are added; the
    longest elapsed time is used. Mean and deviation are those of all values together. Medians,
    percentiles and the share within one deviation cannot be merged and are None.
    """
    if len(summaries) == 1:
        return summaries[0]
    done = [each.requests_done for each in summaries]
    return LoadSummary(
        elapsed_s=max(each.elapsed_s for each in summaries),
        request_time_us=_merge_statistics([each.request_time_us for each in summaries], done),
        connect_time_us=_merge_statistics(
            [each.connect_time_us for each in summaries], connections
        ),
        first_byte_time_us=_merge_statistics(
            [each.first_byte_time_us for each in summaries], connections
        ),
        rate_per_connection=_merge_statistics(
            [each.rate_per_connection for each in summaries], connections
        ),
        **{name: _sum(getattr(each, name) for each in summaries) for name in _ADDED_FIELDS},
    )


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _merge_statistics(
    statistics: Sequence[SummaryStatistics | None], counts: Sequence[int]
) -> SummaryStatistics:
    """Merge statistics, each over the given number of values; those over no values are ignored."""
    known = [
        (spread, number)
        for spread, number in zip(statistics, counts, strict=True)
        if number and spread
    ]
    if not known:
        return SummaryStatistics(min=0, max=0, mean=0, sd=0, within_sd_percent=None)
    total = sum(number for _, number in known)
    mean = sum(spread.mean * number for spread, number in known) / total
    squares = sum((spread.sd**2 + (spread.mean - mean) ** 2) * number for spread, number in known)
    return SummaryStatistics(
        min=min(spread.min for spread, _ in known),
        max=max(spread.max for spread, _ in known),
        mean=mean,
        sd=math.sqrt(squares / total),
        within_sd_percent=None,
    )
