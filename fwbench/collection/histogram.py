"""Exact counts per latency, second and status: merged by adding, never by averaging percentiles."""

import gzip
import zlib
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from fwbench.errors import MissingPackageError, ParseError
from fwbench.model.figures import Percentiles, SecondCounts
from fwbench.storage.regular_files import open_to_read

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

HEAD = "fwbench-counts 1"

_TEXT_LIMIT = 256 * 1024 * 1024
_LINE_LIMIT = 1_000_000
_DAY_S = 86_400
_DAY_US = _DAY_S * 1_000_000
_CORRECTION_LIMIT = 20_000_000

_HDR_DIGITS = 3
_HDR_HEAD = (
    "#[Histogram log format version 1.3]",
    "#[Latencies in us; Interval_Max in ms; timestamps in s since the epoch]",
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
)


class Histogram:
    """Latencies in ascending order, each with how often it occurred."""

    __slots__ = ("counts", "latencies_us")

    def __init__(self, latencies_us: Iterable[int], counts: Iterable[int]) -> None:
        self.latencies_us = array("q", latencies_us)
        self.counts = array("q", counts)

    @classmethod
    def of(cls, counted: Mapping[int, int]) -> "Histogram":
        """The column of a mapping from latency to count."""
        latencies_us = sorted(counted)
        return cls(latencies_us, map(counted.__getitem__, latencies_us))

    def items(self) -> Iterator[tuple[int, int]]:
        """Pairs of latency and count."""
        return zip(self.latencies_us, self.counts, strict=True)

    def total(self) -> int:
        """How many values there are."""
        return sum(self.counts)

    def percentile(self, percent: float) -> int | None:
        """By nearest rank; None where fewer than ten values lie beyond it."""
        total, share = self.total(), round(percent * 1000)  # of a hundred thousand
        if total * (100_000 - share) < 10 * 100_000:
            return None
        rank = max(1, -(-total * share // 100_000))
        return self.latencies_us[bisect_left(list(accumulate(self.counts)), rank)]

    def corrected(self, interval_us: int) -> "Histogram":
        """With the values of the requests that were not sent for want of an answer."""
        chains: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for latency_us, count in self.items():
            if latency_us >= 2 * interval_us:
                chains[latency_us % interval_us].append((latency_us, count))
        if sum(chain[-1][0] // interval_us for chain in chains.values()) > _CORRECTION_LIMIT:
            raise ParseError(f"latencies too long to be corrected for {interval_us} us")
        counted = dict(self.items())
        for chain in chains.values():
            # Downwards: all values above have left as many below, at the same distances.
            pending, next_us = 0, 0
            for latency_us, count in [*reversed(chain), (0, 0)]:
                for missing_us in range(next_us, max(latency_us, interval_us - 1), -interval_us):
                    counted[missing_us] = counted.get(missing_us, 0) + pending
                if latency_us:
                    if pending:
                        counted[latency_us] += pending
                    pending += count
                    next_us = latency_us - interval_us
        return Histogram.of(counted)


class LatencyCounts:
    """How often each latency occurred, by status and second of completion; never changed."""

    def __init__(self, cells: Mapping[tuple[int, int], Histogram]) -> None:
        self._cells = dict(sorted(cells.items()))

    @classmethod
    def of(cls, counted: Mapping[tuple[int, int], Mapping[int, int]]) -> "LatencyCounts":
        """Counts by (second, status) and latency in µs."""
        return cls({key: Histogram.of(each) for key, each in counted.items() if each})

    @classmethod
    def read(cls, path: Path) -> "LatencyCounts":
        """The counts in a packed file that `fwbench.agent.reduce` wrote; ParseError if none is."""
        try:
            with (
                open_to_read(path) as packed,
                gzip.open(packed, "rt", encoding="ascii", newline="\n") as lines,
            ):
                return cls.parse(iter(lambda: lines.readline(_TEXT_LIMIT), ""))
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise ParseError(f"{path.name} is no whole archive: {error}") from error

    @classmethod
    def parse(cls, lines: Iterable[str]) -> "LatencyCounts":
        """The counts that lines of text tell, as documented in `fwbench.agent.reduce`.

        Raises ParseError for anything else, for more than a day, and for too much of it.
        """
        cells: dict[tuple[int, int], list[Histogram]] = defaultdict(list)
        length = 0
        for number, line in enumerate(lines):
            length += len(line)
            if length > _TEXT_LIMIT or number > _LINE_LIMIT:
                raise ParseError("latency counts: longer than those of any run")
            if number == 0:
                if line != HEAD + "\n":
                    raise ParseError(f"latency counts: no head but {line!r:.100}")
                continue
            try:
                key, column = _cell(line)
            except (ValueError, OverflowError) as error:
                raise ParseError(
                    f"latency counts: line {number + 1} is none: {line!r:.100}"
                ) from error
            cells[key].append(column)
        if not length:
            raise ParseError("latency counts: no head but nothing")
        if cells and max(cells)[0] - min(cells)[0] > _DAY_S:
            raise ParseError("latency counts: of more than a day")
        return cls({key: _sum(columns) for key, columns in cells.items()})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LatencyCounts) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self._cells))

    def __repr__(self) -> str:
        return f"Counts.of({self.as_dict()!r})"

    def as_dict(self) -> dict[tuple[int, int], dict[int, int]]:
        """Counts by (second, status) and latency in µs."""
        return {key: dict(column.items()) for key, column in self._cells.items()}

    def merge(self, *others: "LatencyCounts") -> "LatencyCounts":
        """The counts of several clients or runs together."""
        cells: dict[tuple[int, int], list[Histogram]] = defaultdict(list)
        for counts in (self, *others):
            for key, column in counts._cells.items():
                cells[key].append(column)
        return LatencyCounts({key: _sum(columns) for key, columns in cells.items()})

    def total(self) -> int:
        """How many values there are."""
        return sum(column.total() for column in self._cells.values())

    def by_status(self) -> dict[int, int]:
        """How many values there are of each status."""
        totals: Counter[int] = Counter()
        for (_, status), column in self._cells.items():
            totals[status] += column.total()
        return dict(sorted(totals.items()))

    @cached_property
    def all(self) -> Histogram:
        """The latencies of every second and status together."""
        return _sum(list(self._cells.values()))

    def percentile(self, percent: float) -> int | None:
        """A latency in µs by nearest rank; None where fewer than ten values lie beyond it."""
        return self.all.percentile(percent)

    def percentiles(self) -> Percentiles:
        """The usual percentiles over every status, the longest latency and the mean."""
        column, total = self.all, self.all.total()
        return Percentiles(
            p50_us=column.percentile(50),
            p75_us=column.percentile(75),
            p90_us=column.percentile(90),
            p95_us=column.percentile(95),
            p99_us=column.percentile(99),
            p999_us=column.percentile(99.9),
            max_us=column.latencies_us[-1] if total else None,
            mean_us=sum(value * count for value, count in column.items()) / total
            if total
            else None,
        )

    def corrected(self, expected_interval_us: int) -> "LatencyCounts":
        """The counts with those of requests that were due while an answer was awaited.

        A value v above the interval i at which its connection was to send hides others: v - i,
        v - 2i, …, as long as these are at least i. This is what HdrHistogram's
        `recordValueWithExpectedInterval` adds (Gil Tene, "How NOT to Measure Latency"); its Python
        version also adds one below i. They are counted in the second in which v is. Raises
        ParseError where millions of values would come of it.
        """
        if expected_interval_us < 1:
            raise ValueError(f"an interval of {expected_interval_us} us")
        return LatencyCounts(
            {key: column.corrected(expected_interval_us) for key, column in self._cells.items()}
        )

    def per_second(self, first_s: int | None = None) -> tuple[SecondCounts, ...]:
        """What completed in each second since the epoch, up to the last that had a completion.

        The first is `first_s` or, without it, the first that had one; seconds between are there
        even if they had none.
        """
        if not self._cells:
            return ()
        by_second = self.by_second()
        begin = min(by_second) if first_s is None else first_s
        if min(by_second) - begin > _DAY_S:
            raise ParseError("latency counts: of more than a day after the first request")
        return tuple(_second(at, by_second.get(at, {})) for at in range(begin, max(by_second) + 1))

    def by_second(self) -> dict[int, dict[int, Histogram]]:
        """The columns by second and status."""
        seconds: dict[int, dict[int, Histogram]] = defaultdict(dict)
        for (second, status), column in self._cells.items():
            seconds[second][status] = column
        return seconds

    def to_hdr(self) -> "HdrHistogram":
        """All latencies in µs as HdrHistogram's histogram of three significant digits."""
        return _to_hdr(self.all)


def hdr_log_lines(tagged: Mapping[str, LatencyCounts]) -> Iterator[str]:
    """The lines of a log in HdrHistogram's own format, without their ends: one a second and tag.

    Blanks, commas and line ends in tags, which the format has no way to quote, become `_`.
    """
    yield from _HDR_HEAD
    intervals = [
        (second, tag, by_status)
        for tag, counts in tagged.items()
        for second, by_status in counts.by_second().items()
    ]
    for second, tag, by_status in sorted(intervals, key=lambda interval: interval[:2]):
        histogram = _to_hdr(_sum(list(by_status.values())))
        longest_ms = histogram.get_max_value() / 1000
        name = "".join("_" if sign.isspace() or sign == "," else sign for sign in tag)
        yield f"Tag={name},{second}.000,1.000,{longest_ms:.3f},{histogram.encode().decode()}"


def _cell(line: str) -> tuple[tuple[int, int], Histogram]:
    """A line's second and status and its column; ValueError or OverflowError if it is none."""
    second, status, steps, counts = line.removesuffix("\n").split("\t")
    if (second + steps + counts + status.removeprefix("-")).strip("0123456789 "):
        raise ValueError("not a number")
    distances = array("q", map(int, steps.split(" ")))
    column = Histogram(accumulate(distances), map(int, counts.split(" ")))
    if not (
        line.endswith("\n")
        and len(column.latencies_us) == len(column.counts)
        and all(distances[1:])
        and all(column.counts)
        and max(column.counts) <= 10**12
        and column.latencies_us[-1] <= _DAY_US
        and len(second) <= 10
        and (status == "-1" or (status.isdigit() and len(status) <= 3))
    ):
        raise ValueError("out of bounds")
    return (int(second), int(status)), column


def _sum(columns: list[Histogram]) -> Histogram:
    if len(columns) == 1:
        return columns[0]
    total: dict[int, int] = defaultdict(int)
    for column in columns:
        for latency_us, count in column.items():
            total[latency_us] += count
    return Histogram.of(total)


def _second(at_s: int, by_status: Mapping[int, Histogram]) -> SecondCounts:
    every = _sum(list(by_status.values()))
    return SecondCounts(
        at_s=at_s,
        completions=every.total(),
        successful=sum(each.total() for status, each in by_status.items() if 200 <= status < 300),
        p99_us=every.percentile(99),
    )


def _to_hdr(column: Histogram) -> "HdrHistogram":
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError as error:
        raise MissingPackageError(
            "HdrHistogram's format needs a package that is not there: pip install 'fwbench[hdr]'"
        ) from error
    longest_us = column.latencies_us[-1] if column.latencies_us else 2
    histogram = HdrHistogram(1, max(2, longest_us), _HDR_DIGITS)
    for latency_us, count in column.items():
        histogram.record_value(latency_us, count)
    return histogram
