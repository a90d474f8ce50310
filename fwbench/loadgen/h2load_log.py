"""What h2load writes with --log-file, in every version: a row for each answered request."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from fwbench.errors import ParseError
from fwbench.model.figures import LogSummary

# -1 stands for an HTTP/2 stream that was not answered; over HTTP/1.1 it does not occur.
_ROW = re.compile(r"([0-9]{1,16})\t(-1|[0-9]{1,3})\t([0-9]{1,16})\n")

_BUCKET_US = 10_000
_LONGEST_WINDOW_US = 86_400_000_000


class _Completions:
    """When requests of one stretch of 10 ms completed: how many, the first and the last."""

    __slots__ = ("count", "first_us", "last_us")

    def __init__(self, at_us: int) -> None:
        self.count = 1
        self.first_us = at_us
        self.last_us = at_us

    def add(self, at_us: int) -> None:
        self.count += 1
        if at_us > self.last_us:
            self.last_us = at_us
        elif at_us < self.first_us:
            self.first_us = at_us


def summarise(lines: Iterable[str]) -> LogSummary:
    """What h2load's log adds up to; `lines` are a file's, each with its newline.

    A row is `start TAB status TAB latency`, in microseconds, the start since the epoch; rows are
    about in the order of completion, which nothing here relies on. Memory grows with the length of
    the run and with distinct latencies, not with rows. A last line that is blank or cut off is
    counted as torn. Raises ParseError for any other line that is no row, and for a log of more
    than a day.
    """
    rows_by_status: defaultdict[int, int] = defaultdict(int)
    rows_by_latency: defaultdict[int, int] = defaultdict(int)
    completions: dict[int, _Completions] = {}
    first_start_us = 0
    refused: str | None = None
    for number, line in enumerate(lines, start=1):
        if refused is not None:
            raise ParseError(f"line {number - 1} of h2load's log is no row: {refused!r:.200}")
        if (row := _ROW.fullmatch(line)) is None:
            refused = line
            continue
        start_us, status, latency_us = map(int, row.groups())
        rows_by_status[status] += 1
        rows_by_latency[latency_us] += 1
        if start_us < first_start_us or number == 1:
            first_start_us = start_us
        end_us = start_us + latency_us
        if (bucket := completions.get(end_us // _BUCKET_US)) is None:
            completions[end_us // _BUCKET_US] = _Completions(end_us)
        else:
            bucket.add(end_us)

    torn_rows = 0 if refused is None else 1
    if not completions:
        return _EMPTY_LOG.model_copy(update={"torn_rows": torn_rows})
    ordered = [completions[key] for key in sorted(completions)]
    last_end_us = ordered[-1].last_us
    window_us = last_end_us - first_start_us
    if window_us > _LONGEST_WINDOW_US:
        raise ParseError(f"h2load's log spans {window_us // 1_000_000} s, more than a day")
    per_second = [0] * (window_us // 1_000_000 + 1)
    for bucket in ordered:
        # By its last completion, so that the last second never seems empty.
        per_second[(bucket.last_us - first_start_us) // 1_000_000] += bucket.count
    gaps_us = (later.first_us - earlier.last_us for earlier, later in pairwise(ordered))
    latencies = sorted(rows_by_latency.items())
    rows = sum(rows_by_status.values())
    return LogSummary(
        rows=rows,
        torn_rows=torn_rows,
        successful_rows=sum(n for status, n in rows_by_status.items() if 200 <= status < 300),
        rows_by_status=dict(sorted(rows_by_status.items())),
        first_start_us=first_start_us,
        last_end_us=last_end_us,
        window_s=window_us / 1e6,
        completions_per_second=tuple(per_second),
        longest_gap_us=max(ordered[0].first_us - first_start_us, max(gaps_us, default=0)),
        latency_p50_us=_percentile(latencies, rows, 50),
        latency_p90_us=_percentile(latencies, rows, 90),
        latency_p99_us=_percentile(latencies, rows, 99),
        latency_max_us=latencies[-1][0],
    )


_EMPTY_LOG = LogSummary(
    rows=0,
    torn_rows=0,
    successful_rows=0,
    rows_by_status={},
    first_start_us=None,
    last_end_us=None,
    window_s=None,
    completions_per_second=(),
    longest_gap_us=None,
    latency_p50_us=None,
    latency_p90_us=None,
    latency_p99_us=None,
    latency_max_us=None,
)


def _percentile(counts: Sequence[tuple[int, int]], total: int, percent: int) -> int | None:
    """The nearest-rank percentile of sorted (value, count) pairs; None with < 10 values beyond."""
    if total * (100 - percent) < 10 * 100:
        return None
    rank = -(-total * percent // 100)
    ranks = accumulate(count for _, count in counts)
    return next(value for (value, _), last in zip(counts, ranks, strict=True) if last >= rank)
