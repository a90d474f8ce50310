"""Exact counts per latency, second and status: merged by adding, never by averaging percentiles."""

import gzip
import zlib
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from fwbench.errors import ParseError
from fwbench.model.figures import Percentiles, SecondCounts
from fwbench.storage.regular_files import open_to_read

HEAD = "fwbench-counts 1"

_TEXT_LIMIT = 256 * 1024 * 1024
_LINE_LIMIT = 1_000_000
_DAY_S = 86_400
_DAY_US = _DAY_S * 1_000_000
_CORRECTION_LIMIT = 20_000_000


class Histogram:
    """Latencies in ascending order, each with how often it occurred."""

    __slots__ = ("counts", "latencies_us")

    def __init__(self, latencies_us: Iterable[int], counts: Iterable[int]) -> None:
        self.latencies_us = array("q", latencies_us)
        self.counts = array("q", counts)

    @classmethod
    def of(cls, counted: Mapping[int, int]) -> "Histogram":
        """Return the histogram of a mapping from latency in µs to count."""
        latencies_us = sorted(counted)
        return cls(latencies_us, map(counted.__getitem__, latencies_us))

    @classmethod
    def merged(cls, histograms: Sequence["Histogram"]) -> "Histogram":
        """Return one histogram with the values of all of these."""
        if len(histograms) == 1:
            return histograms[0]
        total: dict[int, int] = defaultdict(int)
        for histogram in histograms:
            for latency_us, count in histogram.items():
                total[latency_us] += count
        return cls.of(total)

    def items(self) -> Iterator[tuple[int, int]]:
        """Return pairs of latency and count, in ascending order."""
        return zip(self.latencies_us, self.counts, strict=True)

    def total(self) -> int:
        """Return the number of values."""
        return sum(self.counts)

    def percentile(self, percent: float) -> int | None:
        """Return a percentile by nearest rank; None if fewer than ten values lie beyond it."""
        total, share = self.total(), round(percent * 1000)  # of a hundred thousand
        if total * (100_000 - share) < 10 * 100_000:
            return None
        rank = max(1, -(-total * share // 100_000))
        return self.latencies_us[bisect_left(list(accumulate(self.counts)), rank)]

    def corrected(self, interval_us: int) -> "Histogram":
        """Return it with the requests that were due while an answer was awaited.

        `LatencyCounts.corrected` describes the correction.
        """
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
    """How often each latency occurred, by status and second of completion. Immutable."""

    def __init__(self, cells: Mapping[tuple[int, int], Histogram]) -> None:
        self._cells = dict(sorted(cells.items()))

    @classmethod
    def of(cls, counted: Mapping[tuple[int, int], Mapping[int, int]]) -> "LatencyCounts":
        """Return the counts of a mapping from (second, status) to latency in µs to count."""
        return cls({key: Histogram.of(each) for key, each in counted.items() if each})

    @classmethod
    def read(cls, path: Path) -> "LatencyCounts":
        """Return the counts in a file that `fwbench.agent.reduce` wrote.

        Raises `ParseError` if the file is anything else.
        """
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
        """Parse lines of text in the format that `fwbench.agent.reduce` documents.

        Raises `ParseError` for anything else, for more than a day, and for too many lines.
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
        return cls({key: Histogram.merged(columns) for key, columns in cells.items()})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LatencyCounts) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self._cells))

    def __repr__(self) -> str:
        return f"LatencyCounts.of({self.as_dict()!r})"

    def as_dict(self) -> dict[tuple[int, int], dict[int, int]]:
        """Return a mapping from (second, status) to latency in µs to count."""
        return {key: dict(column.items()) for key, column in self._cells.items()}

    def merge(self, *others: "LatencyCounts") -> "LatencyCounts":
        """Return the counts of several clients or runs together."""
        cells: dict[tuple[int, int], list[Histogram]] = defaultdict(list)
        for counts in (self, *others):
            for key, column in counts._cells.items():
                cells[key].append(column)
        return LatencyCounts({key: Histogram.merged(columns) for key, columns in cells.items()})

    def total(self) -> int:
        """Return the number of values."""
        return sum(column.total() for column in self._cells.values())

    def by_status(self) -> dict[int, int]:
        """Return the number of values of each status."""
        totals: Counter[int] = Counter()
        for (_, status), column in self._cells.items():
            totals[status] += column.total()
        return dict(sorted(totals.items()))

    @cached_property
    def all(self) -> Histogram:
        """Return the latencies of all seconds and statuses together."""
        return Histogram.merged(list(self._cells.values()))

    def percentile(self, percent: float) -> int | None:
        """Return a percentile in µs by nearest rank; None if fewer than ten values lie beyond."""
        return self.all.percentile(percent)

    def percentiles(self) -> Percentiles:
        """Return the usual percentiles over all statuses, the longest latency and the mean."""
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
        """Return the counts with the requests that were due while an answer was awaited.

        A value v above the interval i at which its connection was to send hides others: v - i,
        v - 2i, …, as long as these are at least i. This is what HdrHistogram's
        `recordValueWithExpectedInterval` adds (Gil Tene, "How NOT to Measure Latency"); its Python
        version also adds one below i. They are counted in the second of v. Raises `ParseError`
        if the correction would add more than 20 million values.
        """
        if expected_interval_us < 1:
            raise ValueError(f"an interval of {expected_interval_us} us")
        return LatencyCounts(
            {key: column.corrected(expected_interval_us) for key, column in self._cells.items()}
        )

    def per_second(self, first_s: int | None = None) -> tuple[SecondCounts, ...]:
        """Return the counts of each second since the epoch, up to the last one with a completion.

        The first second is `first_s` or, without it, the first one with a completion. Seconds
        without a completion are included.
        """
        if not self._cells:
            return ()
        by_second = self.by_second()
        begin = min(by_second) if first_s is None else first_s
        if min(by_second) - begin > _DAY_S:
            raise ParseError("latency counts: of more than a day after the first request")
        return tuple(_second(at, by_second.get(at, {})) for at in range(begin, max(by_second) + 1))

    def by_second(self) -> dict[int, dict[int, Histogram]]:
        """Return the histograms by second and status."""
        seconds: dict[int, dict[int, Histogram]] = defaultdict(dict)
        for (second, status), column in self._cells.items():
            seconds[second][status] = column
        return seconds


def _cell(line: str) -> tuple[tuple[int, int], Histogram]:
    """Parse a line: its second and status, and its histogram.

    Raises ValueError or OverflowError for anything else.
    """
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


def _second(at_s: int, by_status: Mapping[int, Histogram]) -> SecondCounts:
    every = Histogram.merged(list(by_status.values()))
    return SecondCounts(
        at_s=at_s,
        completions=every.total(),
        successful=sum(each.total() for status, each in by_status.items() if 200 <= status < 300),
        p99_us=every.percentile(99),
    )
