"""Figures of a load: from the load generator's output and from its request log."""

from typing import Annotated

from pydantic import Field

from fwbench.model.base import Frozen

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SummaryStatistics(Frozen):
    """The distribution of a quantity, in the unit of the field that contains it.

    `within_sd_percent` is the percentage of values within one `sd` of the `mean`. It is None for
    several clients, whose values cannot be combined. So are the median and the percentiles, which
    h2load prints from 1.69 on.
    """

    min: Amount
    max: Amount
    mean: Amount
    sd: Amount
    within_sd_percent: Amount | None
    median: Amount | None = None
    p95: Amount | None = None
    p99: Amount | None = None


class Percentiles(Frozen):
    """Latencies of answers of every status, by nearest rank, exact to the microsecond.

    A percentile is None if fewer than ten values lie beyond it.
    """

    p50_us: Count | None
    p75_us: Count | None
    p90_us: Count | None
    p95_us: Count | None
    p99_us: Count | None
    p999_us: Count | None
    max_us: Count | None
    mean_us: Amount | None


class LoadSummary(Frozen):
    """The figures that a load generator printed for a run, before any check.

    A figure is None if the load generator does not print it. `latency` has the percentiles of a
    load generator without a log. `requests_done` were answered, with any status;
    `requests_succeeded` are the answers that the load generator counts as successes;
    `requests_failed` are all others, and the requests without an answer. `requests_errored` had a
    broken connection, `requests_timed_out` no answer in time. What follows is true of h2load.

    `elapsed_s` is from the first thread's start to the last thread's end, warm-up included.
    `header_bytes` and `data_bytes` include the warm-up, in every version recorded; all other
    figures, such as `total_bytes`, exclude it. `rate_per_s`, the request times and the rates per
    connection count answers of every status. A failed request got an answer other than 2xx or 3xx;
    a request that failed and errored got no answer. After a warm-up, lost requests do not show as
    started but not done, because requests under way at its end count as done without a start.
    """

    elapsed_s: Amount
    rate_per_s: Amount

    requests_total: Count
    requests_started: Count | None = None
    requests_done: Count
    requests_succeeded: Count
    requests_failed: Count
    requests_errored: Count
    requests_timed_out: Count

    status_2xx: Count | None = None
    status_3xx: Count | None = None
    status_4xx: Count | None = None
    status_5xx: Count | None = None

    total_bytes: Count
    header_bytes: Count | None = None
    data_bytes: Count | None = None

    request_time_us: SummaryStatistics | None = None
    connect_time_us: SummaryStatistics | None = None
    first_byte_time_us: SummaryStatistics | None = None
    rate_per_connection: SummaryStatistics | None = None
    latency: Percentiles | None = None


class SecondCounts(Frozen):
    """Completions in one second since the epoch, by the first client's clock."""

    at_s: Count
    completions: Count
    successful: Count
    p99_us: Count | None


class RequestLogSummary(Frozen):
    """Summary of the load generator's log, which has a row for each answered request.

    The window is from the first request's start to the last request's completion. Its times are
    microseconds since the epoch, by the first client's clock, and None if there is no row. At a
    fixed rate, only requests that started after the warm-up and before the load's end belong to the
    window. `rows_outside_window` counts the others, which no other field includes. With several
    clients, only the time counts in which all of them loaded.

    `per_second` and `completions_per_100ms` have an entry for each second, or tenth of a second,
    since the epoch that overlaps the window. The first and the last entry are usually partial. The
    sum of either is `rows`. `longest_gap_us` is the longest time in the window without a
    completion. It is exact from 10 ms on and approximate below. With several clients, it is exact
    from 100 ms on and an upper bound below.

    `latency` is as measured. `corrected_latency` also contains the requests that were due while an
    answer was awaited; it is None for a closed load.
    """

    rows: Count
    rows_outside_window: Count
    truncated_rows: Count
    successful_rows: Count
    rows_by_status: dict[int, int]
    first_start_us: Count | None
    last_end_us: Count | None
    window_s: Amount | None
    per_second: tuple[SecondCounts, ...]
    completions_per_100ms: tuple[int, ...]
    longest_gap_us: Count | None
    latency: Percentiles
    corrected_latency: Percentiles | None
