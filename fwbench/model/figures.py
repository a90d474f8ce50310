from typing import Annotated

from pydantic import Field

from fwbench.model.base import Frozen

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SummaryStatistics(Frozen):
    """How one quantity varied; the unit is that of the field which holds it.

    `within_sd_percent` is the share of values within one `sd` of the `mean`; it is None for several
    clients together, whose shares do not tell it. So are the median and the percentiles, which
    h2load does not print before 1.69.
    """

    min: Amount
    max: Amount
    mean: Amount
    sd: Amount
    within_sd_percent: Amount | None
    median: Amount | None = None
    p95: Amount | None = None
    p99: Amount | None = None


class LoadSummary(Frozen):
    """What a load generator says of one run: its own words, not yet believed.

    `elapsed_s` is from the first thread's start to the last one's end, warm-up included.
    `header_bytes` and `data_bytes` count the warm-up too, in every version recorded; everything
    else, `total_bytes` among it, leaves the warm-up out. `rate_per_s`, the request times and the
    rates per connection count answers of every status. A failed request got an answer other than
    2xx or 3xx; one that failed and errored got none. After a warm-up, requests that were lost do
    not even show as started and not done: those under way at its end are done without a start.
    """

    elapsed_s: Amount
    rate_per_s: Amount

    requests_total: Count
    requests_started: Count
    requests_done: Count
    requests_succeeded: Count
    requests_failed: Count
    requests_errored: Count
    requests_timed_out: Count

    status_2xx: Count
    status_3xx: Count
    status_4xx: Count
    status_5xx: Count

    total_bytes: Count
    header_bytes: Count
    data_bytes: Count

    request_time_us: SummaryStatistics
    connect_time_us: SummaryStatistics
    first_byte_time_us: SummaryStatistics
    rate_per_connection: SummaryStatistics


class Percentiles(Frozen):
    """Latencies over the answers of every status, by nearest rank, exact to the microsecond.

    A percentile is None where fewer than ten values lie beyond it.
    """

    p50_us: Count | None
    p75_us: Count | None
    p90_us: Count | None
    p95_us: Count | None
    p99_us: Count | None
    p999_us: Count | None
    max_us: Count | None
    mean_us: Amount | None


class SecondCounts(Frozen):
    """What completed in one second since the epoch, on the first client's clock."""

    at_s: Count
    completions: Count
    successful: Count
    p99_us: Count | None


class RequestLogSummary(Frozen):
    """What the load generator's log, one row for each answered request, adds up to.

    The window goes from the first request's start to the last one's completion; its times are
    microseconds since the epoch, on the first client's clock, and None if there is no row. At a
    fixed rate only requests that started after the warm-up and before its end are rows of the
    window; all other answers are `rows_outside`, and nothing else here is about them. Of several
    clients only the time counts in which all of them loaded.

    `per_second` and `completions_per_tenth` have one number for each second or tenth of a second
    since the epoch that the window touches: the first and the last are seldom whole. Together they
    are `rows`. `longest_gap_us` is the longest time inside the window in which nothing completed;
    it is exact from 10 ms on, and about right below; of several clients it is exact from 100 ms on,
    and below not longer than told.

    `latency` is as measured. `corrected` also has the requests that were due while an answer was
    awaited; it is None for a closed load, in which none is due.
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
