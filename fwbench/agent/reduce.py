"""h2load's log, reduced on the client to exact counts: ten million rows to a megabyte or so.

A row of the log is `start TAB status TAB latency`, in µs, the start since the epoch. Rows are about
in the order of completion, which makes it quick and needs little memory; no result relies on it.

`counts.gz` is text, packed. Its first line is `fwbench-counts 1`; each other one is

    second TAB status TAB steps TAB counts

for the answers of one status that completed in one second since the epoch: `counts` are how often
each latency occurred, in ascending order of latency; `steps` are the latencies in µs, each as its
distance from the one before, the first from 0. Numbers are separated by blanks. A pair of second
and status may have several lines, which add up.

`log.json` tells what the counts do not, or why there are none (`unreadable`).
"""

import gzip
import json
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from itertools import compress, cycle, groupby, repeat
from operator import add, floordiv, sub
from pathlib import Path
from typing import IO, Any, NamedTuple

from fwbench.agent.files import hand_over, write

COUNTS = "counts.gz"
SUMMARY = "log.json"
HEAD = "fwbench-counts 1"

_READ_BYTES = 32 * 1024  # what comes of it stays in a core's own cache
_FLOOD_BYTES = 64 * 1024  # without two ends of lines
_SECOND_US = 1_000_000
_TENTH_US = 100_000
_STRETCH_US = 10_000
_LONGEST_US = 86_400 * _SECOND_US

# -1 stands for an HTTP/2 stream that was not answered; over HTTP/1.1 it does not occur.
_ROW = re.compile(rb"([0-9]{1,16})\t(-1|[0-9]{1,3})\t([0-9]{1,16})\n")
_DIGITS = b"0123456789"


class _Texts(dict[int, str]):
    """What `str` says of a number, sooner for those that are in it."""

    def __missing__(self, number: int) -> str:
        return str(number)


_TEXTS = _Texts({number: str(number) for number in range(1000)})


class UnreadableError(Exception):
    """A log that h2load does not write."""


def reduce_log(
    log: Path, folder: Path, skip_s: float | None = None, for_s: float | None = None
) -> None:
    """Leave `counts.gz` and `log.json` of `log` in `folder`; the latter tells of any failure.

    With `skip_s` or `for_s`, only rows that start so long after the log's first start, and for so
    long, are counted; of the others, only how many they are.
    """
    partial = folder / (COUNTS + ".partial")
    try:
        with gzip.open(partial, "wt", 4, encoding="ascii") as counts:
            summary = _reduced(_Log(log), counts, skip_s, for_s)
        hand_over(partial)
        partial.rename(folder / COUNTS)
    except UnreadableError as error:
        summary = {"unreadable": str(error)}
    except OSError as error:
        summary = {"unreadable": f"h2load's log could not be reduced: {error.strerror}"}
    partial.unlink(missing_ok=True)
    write(folder / SUMMARY, summary)


class _Rows(NamedTuple):
    """Some rows by column; one status stands for all if it is the same in all of them."""

    starts_us: list[int]
    statuses: list[bytes]
    latencies_us: list[int]

    def within(self, begin_us: int, end_us: float) -> "_Rows":
        """Those of the rows that start in a window."""
        inside = [begin_us <= start_us < end_us for start_us in self.starts_us]
        return _Rows(
            list(compress(self.starts_us, inside)),
            self.statuses if len(self.statuses) == 1 else list(compress(self.statuses, inside)),
            list(compress(self.latencies_us, inside)),
        )


class _Log:
    """Iterates over the rows of a log, some thousands at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn_rows = 0

    def __iter__(self) -> Iterator[_Rows]:
        lines = 0
        rest = b""  # the last whole line, in case nothing follows, and what follows it
        with self.path.open("rb") as file:
            while read := file.read(_READ_BYTES):
                text = rest + read
                end = text.rfind(b"\n", 0, text.rfind(b"\n")) + 1
                rest = text[end:]
                if end:
                    rows = _columns(text[:end], lines)
                    lines += len(rows.starts_us)
                    yield rows
                if len(rest) > _FLOOD_BYTES:
                    _columns(rest, lines)  # refuses
        last, end_of_line, torn = rest.rpartition(b"\n")
        self.torn_rows = 1 if torn else 0
        if end_of_line and (torn or _ROW.fullmatch(rest)):
            yield _columns(last + end_of_line, lines)
        elif end_of_line:
            self.torn_rows = 1


def _columns(text: bytes, lines_before: int) -> _Rows:
    """The rows that whole lines hold; `UnreadableError` names the first line that is none."""
    # All but the digits is as it ought to be: quicker than to match each line.
    marks = text.translate(None, _DIGITS)
    lines = len(marks) // 3
    if marks and marks == b"\t\t\n" * lines:
        with suppress(ValueError):  # no digits, or by the thousand, or zeros in front
            status = b"\t%b\t" % text.split(b"\t", 2)[1]
            numbers = text.replace(status, b",")
            if 3 <= len(status) <= 5 and len(text) - len(numbers) == lines * (len(status) - 1):
                # Of one status, a list of numbers is left, which JSON's parser reads the quickest.
                read = json.loads(b"[%b]" % numbers[:-1].replace(b"\n", b","))
                return _Rows(read[::2], [status[1:-1]], read[1::2])
            words = text.split()
            if len(words) == 3 * lines and max(map(len, words[1::3])) <= 3:
                return _Rows(list(map(int, words[::3])), words[1::3], list(map(int, words[2::3])))
    rows = []
    for number, line in enumerate(text.splitlines(keepends=True), start=lines_before + 1):
        if (row := _ROW.fullmatch(line)) is None:
            shown = line[:200].decode("ascii", "backslashreplace")
            raise UnreadableError(f"line {number} of h2load's log is no row: {shown!r:.200}")
        rows.append(row.groups())
    starts, various, latencies = zip(*rows, strict=True)
    return _Rows(list(map(int, starts)), list(various), list(map(int, latencies)))


def _reduced(
    log: _Log, counts: IO[str], skip_s: float | None, for_s: float | None
) -> dict[str, Any]:
    """Write the counts, and tell the rest."""
    window = None if skip_s is None and for_s is None else _window(log, skip_s or 0, for_s)
    counts.write(HEAD + "\n")
    reduction = _Reduction(counts)
    rows_outside = 0
    for rows in log:
        inside = rows.within(*window) if window else rows
        rows_outside += len(rows.starts_us) - len(inside.starts_us)
        if inside.starts_us:
            reduction.add(inside)
    reduction.flush()
    return {
        "rows": sum(reduction.rows_by_status.values()),
        "rows_outside": rows_outside,
        "torn_rows": log.torn_rows,
        "rows_by_status": dict(sorted(reduction.rows_by_status.items())),
        "first_start_us": reduction.first_start_us,
        "last_end_us": reduction.last_end_us,
        "longest_gap_us": reduction.longest_gap_us(),
        "completions_per_tenth": reduction.completions_per_tenth(),
    }


def _window(log: _Log, skip_s: float, for_s: float | None) -> tuple[int, float]:
    """Begin and end; counted from the first start, which is seldom that of the first row."""
    first_us, last_us = None, 0
    for rows in log:
        earliest_us = min(rows.starts_us)
        first_us = earliest_us if first_us is None else min(first_us, earliest_us)
        last_us = max(last_us, *rows.starts_us)
        _check_span(first_us, last_us)
    begin_us = (first_us or 0) + round(skip_s * _SECOND_US)
    return begin_us, float("inf") if for_s is None else begin_us + round(for_s * _SECOND_US)


def _check_span(first_us: int, last_us: int) -> None:
    if last_us - first_us > _LONGEST_US:
        seconds = (last_us - first_us) // _SECOND_US
        raise UnreadableError(f"h2load's log spans {seconds} s, more than a day")


class _Reduction:
    """Counts of the seconds that still get rows, and what there is to tell of all of them."""

    def __init__(self, out: IO[str]) -> None:
        self.out = out
        self.rows_by_status: Counter[int] = Counter()
        self.first_start_us: int | None = None
        self.last_end_us: int | None = None
        self._open: defaultdict[tuple[int, int], Counter[int]] = defaultdict(Counter)
        self._tenths: Counter[int] = Counter()
        # First and last completion of each 10 ms; of seconds that are over, joined where no 10 ms
        # lie between them, of which the longest time is kept.
        self._stretches: dict[int, tuple[int, int]] = {}
        self._spans: list[tuple[int, int]] = []
        self._longest_joined_us = 0

    def add(self, rows: _Rows) -> None:
        ends_us = list(map(add, rows.starts_us, rows.latencies_us))
        ordered_us = sorted(ends_us)
        self._extend(min(rows.starts_us), ordered_us[-1])
        self._note_completions(ordered_us)
        first, last = ordered_us[0] // _SECOND_US, ordered_us[-1] // _SECOND_US
        if first == last and len(rows.statuses) == 1:
            self._count(first, rows.statuses[0], rows.latencies_us)
            return
        seconds = map(floordiv, ends_us, repeat(_SECOND_US))
        statuses = cycle(rows.statuses)
        begin = 0
        for (second, status), run in groupby(zip(seconds, statuses)):  # noqa: B905 - one is endless
            end = begin + len(list(run))
            self._count(second, status, rows.latencies_us[begin:end])
            begin = end
        if len(self._open) > 4:
            self.flush(before=last - 1)

    def flush(self, before: float = float("inf")) -> None:
        """Write and forget the seconds before that one."""
        for second, status in sorted(key for key in self._open if key[0] < before):
            counted = self._open.pop((second, status))
            latencies_us = sorted(counted)
            steps = " ".join(map(_TEXTS.__getitem__, map(sub, latencies_us, [0, *latencies_us])))
            counts = " ".join(map(_TEXTS.__getitem__, map(counted.__getitem__, latencies_us)))
            self.out.write(f"{second}\t{status}\t{steps}\t{counts}\n")
        over = sorted(key for key in self._stretches if key * _STRETCH_US < before * _SECOND_US)
        joined: list[tuple[int, int]] = []
        for first_us, last_us in map(self._stretches.pop, over):
            gap_us = first_us - joined[-1][1] if joined else _STRETCH_US
            if gap_us < _STRETCH_US:
                self._longest_joined_us = max(self._longest_joined_us, gap_us)
                joined[-1] = (joined[-1][0], last_us)
            else:
                joined.append((first_us, last_us))
        self._spans += joined

    def longest_gap_us(self) -> int | None:
        """The longest time without a completion: exact from 10 ms on, else about right."""
        if self.first_start_us is None:
            return None
        longest_us, until_us = 0, self.first_start_us
        for first_us, last_us in sorted(self._spans):
            longest_us = max(longest_us, first_us - until_us)
            until_us = max(until_us, last_us)
        return longest_us if longest_us >= _STRETCH_US else max(longest_us, self._longest_joined_us)

    def completions_per_tenth(self) -> list[int]:
        """One number for each tenth of a second from the first start to the last completion."""
        if self.first_start_us is None or self.last_end_us is None:
            return []
        tenths = range(self.first_start_us // _TENTH_US, self.last_end_us // _TENTH_US + 1)
        return [self._tenths[tenth] for tenth in tenths]

    def _extend(self, start_us: int, end_us: int) -> None:
        if self.first_start_us is None or self.last_end_us is None:
            self.first_start_us, self.last_end_us = start_us, end_us
        self.first_start_us = min(self.first_start_us, start_us)
        self.last_end_us = max(self.last_end_us, end_us)
        _check_span(self.first_start_us, self.last_end_us)

    def _count(self, second: int, status: bytes, latencies_us: list[int]) -> None:
        self._open[second, int(status)].update(latencies_us)
        self.rows_by_status[int(status)] += len(latencies_us)

    def _note_completions(self, ordered_us: list[int]) -> None:
        begin = 0
        while begin < len(ordered_us):
            first_us = ordered_us[begin]
            stretch = first_us // _STRETCH_US
            end = bisect_left(ordered_us, (stretch + 1) * _STRETCH_US, begin)
            last_us = ordered_us[end - 1]
            if stretch in self._stretches:
                seen_first_us, seen_last_us = self._stretches[stretch]
                first_us, last_us = min(first_us, seen_first_us), max(last_us, seen_last_us)
            self._stretches[stretch] = (first_us, last_us)
            self._tenths[stretch * _STRETCH_US // _TENTH_US] += end - begin
            begin = end
