"""What several clients' load generators say, taken together."""

import math
from collections.abc import Sequence

from fwbench.model.figures import LoadSummary, SummaryStatistics

_ADDED = (
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


def merge_summaries(figures: Sequence[LoadSummary], connections: Sequence[int]) -> LoadSummary:
    """The figures of clients with so many connections each, as if one had said them.

    Counts and rates are added, and the longest time counts. Of spreads, mean and deviation are
    those of all values together; what their summaries do not tell of the whole is None: medians,
    percentiles, and the share within one deviation.
    """
    if len(figures) == 1:
        return figures[0]
    done = [each.requests_done for each in figures]
    return LoadSummary(
        elapsed_s=max(each.elapsed_s for each in figures),
        request_time_us=_merge_statistics([each.request_time_us for each in figures], done),
        connect_time_us=_merge_statistics([each.connect_time_us for each in figures], connections),
        first_byte_time_us=_merge_statistics(
            [each.first_byte_time_us for each in figures], connections
        ),
        rate_per_connection=_merge_statistics(
            [each.rate_per_connection for each in figures], connections
        ),
        **{name: sum(getattr(each, name) for each in figures) for name in _ADDED},
    )


def _merge_statistics(
    spreads: Sequence[SummaryStatistics], numbers: Sequence[int]
) -> SummaryStatistics:
    """Of spreads over so many values each; one over none has nothing to say."""
    known = [(spread, number) for spread, number in zip(spreads, numbers, strict=True) if number]
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
