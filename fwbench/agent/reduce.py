"""Reduce h2load's log on the client to exact counts: ten million rows to about a megabyte.

A row of the log is `start TAB status TAB latency`, in µs; the start is counted from the epoch. Rows
are roughly in the order of completion. This saves time and memory, but no result depends on it.

`counts.gz` is compressed text. Its first line is `fwbench-counts 1`. Every other line is

    second TAB status TAB steps TAB counts

for the answers with one status that completed in one second since the epoch. `steps` are the
distinct latencies in µs, in ascending order, each as the difference from the one before it (the
first from 0). `counts` are the number of answers with each latency. Numbers are separated by
blanks. A pair of second and status may have several lines, which add up.

`log.json` contains what the counts cannot, or the reason why the log could not be reduced
(`error`). Its `pauses_us` are the begin and end of each period of 100 ms or more without a
completion, except one at the end.
"""

from __future__ import annotations

import gzip
import os
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import cycle, groupby, repeat
from operator import add, floordiv, sub
from pathlib import Path
from typing import IO, Any

from fwbench.agent.files import give_to_folder_owner, write
from fwbench.agent.h2load_log import MalformedLogError, RequestLog, Rows, Window
from fwbench.agent.protocol import LATENCY_COUNTS, LOG_SUMMARY

HEADER = "fwbench-counts 1"

_SECOND_US = 1_000_000
_TENTH_OF_SECOND_US = 100_000
_STRETCH_US = 10_000
_PAUSE_US = 100_000
_LATEST_US = 10**16  # in the year 2286; the counts have seconds of ten digits
_MAX_SPAN_US = 86_400 * _SECOND_US


class _NumberTexts(dict[int, str]):
    """Texts of numbers; a number that is in it needs no conversion by `str`."""

    def __missing__(self, number: int) -> str:
        return str(number)


_TEXTS = _NumberTexts({number: str(number) for number in range(1000)})


def reduce_log(
    log: Path, folder: Path, skip_s: float | None = None, window_s: float | None = None
) -> None:
    """Write `LATENCY_COUNTS` and `LOG_SUMMARY` of `log` to `folder`; an error is in the summary.

    The measured window begins `skip_s` seconds after the first request and lasts `window_s`
    seconds. The counts contain the requests that start in it; the summary has the number of all
    others.
    """

    def window(rows: RequestLog) -> Window | None:
        if skip_s is None and window_s is None:
            return None
        return _measured_window(rows, skip_s or 0, window_s)

    _write_results(RequestLog(log), folder, window)


def reduce_window(log: Path, folder: Path, window: Window, ahead_us: int = 0) -> None:
    """Write the same files for the rows of `log` in a window of another host's clock.

    The clock of the log is ahead of that clock by `ahead_us`. The files are by the other clock. The
    log remains, so this can be repeated.
    """
    _write_results(RequestLog(log, ahead_us), folder, lambda _: window)


def log_ends(log: Path) -> tuple[int | None, int | None]:
    """Return a log's first start and last end in µs since the epoch; None and None without a row.

    Raises `MalformedLogError` and `OSError`.
    """
    first_us, last_us = None, None
    for rows in RequestLog(log):
        earliest_us = min(rows.starts_us)
        latest_us = max(map(add, rows.starts_us, rows.latencies_us))
        first_us = earliest_us if first_us is None else min(first_us, earliest_us)
        last_us = latest_us if last_us is None else max(last_us, latest_us)
    return first_us, last_us


def _write_results(
    log: RequestLog, folder: Path, window_of: Callable[[RequestLog], Window | None]
) -> None:
    partial = folder / f"{LATENCY_COUNTS}.{os.getpid()}.partial"
    try:
        with gzip.open(partial, "wt", 4, encoding="ascii") as counts:
            summary = _write_counts(log, counts, window_of(log))
        give_to_folder_owner(partial)
        partial.rename(folder / LATENCY_COUNTS)
    except MalformedLogError as error:
        summary = {"error": str(error)}
    except OSError as error:
        summary = {"error": f"h2load's log could not be reduced: {error.strerror}"}
    partial.unlink(missing_ok=True)
    write(folder / LOG_SUMMARY, summary)


def _write_counts(log: RequestLog, counts: IO[str], window: Window | None) -> dict[str, Any]:
    """Write the counts, and return the content of the summary."""
    counts.write(HEADER + "\n")
    reduction = _Reduction(counts)
    rows_outside = 0
    for rows in log:
        inside = rows.inside(window) if window else rows
        rows_outside += len(rows.starts_us) - len(inside.starts_us)
        if inside.starts_us:
            reduction.add(inside)
    reduction.flush()
    return {
        "rows": sum(reduction.rows_by_status.values()),
        "rows_outside_window": rows_outside,
        "truncated_rows": log.truncated_rows,
        "rows_by_status": dict(sorted(reduction.rows_by_status.items())),
        "first_start_us": reduction.first_start_us,
        "last_end_us": reduction.last_end_us,
        "longest_gap_us": reduction.longest_gap_us(),
        "pauses_us": reduction.pauses_us(),
        "completions_per_100ms": reduction.completions_per_100ms(),
    }


def _measured_window(log: RequestLog, skip_s: float, duration_s: float | None) -> Window:
    """Return the window that begins `skip_s` after the first start in the log."""
    # The first row is rarely the one that started first.
    first_us, last_us = None, 0
    for rows in log:
        earliest_us = min(rows.starts_us)
        first_us = earliest_us if first_us is None else min(first_us, earliest_us)
        last_us = max(last_us, *rows.starts_us)
        _check_span(first_us, last_us)
    begin_us = (first_us or 0) + round(skip_s * _SECOND_US)
    end_us = float("inf") if duration_s is None else begin_us + round(duration_s * _SECOND_US)
    return Window(begin_us, end_us)


def _check_span(first_us: int, last_us: int) -> None:
    if last_us >= _LATEST_US:
        raise MalformedLogError(f"h2load's log has a time of {last_us} us since 1970")
    if last_us - first_us > _MAX_SPAN_US:
        seconds = (last_us - first_us) // _SECOND_US
        raise MalformedLogError(f"h2load's log spans {seconds} s, more than a day")


class _Reduction:
    """Counts of the seconds that may still get rows, and a summary of all seconds."""

    def __init__(self, out: IO[str]) -> None:
        self.out = out
        self.rows_by_status: Counter[int] = Counter()
        self.first_start_us: int | None = None
        self.last_end_us: int | None = None
        self._open: defaultdict[tuple[int, int], Counter[int]] = defaultdict(Counter)
        self._completions_by_tenth: Counter[int] = Counter()
        # The first and last completion in each stretch of 10 ms. For finished seconds, stretches
        # with a gap of less than 10 ms are joined to spans; the longest such gap is kept.
        self._stretches: dict[int, tuple[int, int]] = {}
        self._spans: list[tuple[int, int]] = []
        self._longest_joined_us = 0

    def add(self, rows: Rows) -> None:
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
        for (second, status), run in groupby(zip(seconds, statuses)):
            end = begin + len(list(run))
            self._count(second, status, rows.latencies_us[begin:end])
            begin = end
        if len(self._open) > 4:
            self.flush(before=last - 1)

    def flush(self, before: float = float("inf")) -> None:
        """Write the seconds before `before`, and forget them."""
        for second, status in sorted(key for key in self._open if key[0] < before):
            counted = self._open.pop((second, status))
            latencies_us = sorted(counted)
            steps = " ".join(map(_TEXTS.__getitem__, map(sub, latencies_us, [0, *latencies_us])))
            counts = " ".join(map(_TEXTS.__getitem__, map(counted.__getitem__, latencies_us)))
            self.out.write(f"{second}\t{status}\t{steps}\t{counts}\n")
        finished = sorted(key for key in self._stretches if key * _STRETCH_US < before * _SECOND_US)
        joined: list[tuple[int, int]] = []
        for first_us, last_us in map(self._stretches.pop, finished):
            gap_us = first_us - joined[-1][1] if joined else _STRETCH_US
            if gap_us < _STRETCH_US:
                self._longest_joined_us = max(self._longest_joined_us, gap_us)
                joined[-1] = (joined[-1][0], last_us)
            else:
                joined.append((first_us, last_us))
        self._spans += joined

    def longest_gap_us(self) -> int | None:
        """Return the longest time without a completion: exact from 10 ms on, else approximate."""
        if self.first_start_us is None:
            return None
        longest_us, until_us = 0, self.first_start_us
        for first_us, last_us in sorted(self._spans):
            longest_us = max(longest_us, first_us - until_us)
            until_us = max(until_us, last_us)
        return longest_us if longest_us >= _STRETCH_US else max(longest_us, self._longest_joined_us)

    def pauses_us(self) -> list[tuple[int, int]]:
        """Return begin and end of each pause of 100 ms or more, in order."""
        pauses, until_us = [], self.first_start_us or 0
        for first_us, last_us in sorted(self._spans):
            if first_us - until_us >= _PAUSE_US:
                pauses.append((until_us, first_us))
            until_us = max(until_us, last_us)
        return pauses

    def completions_per_100ms(self) -> list[int]:
        """Return the completions in each tenth of a second, from first start to last completion."""
        if self.first_start_us is None or self.last_end_us is None:
            return []
        tenth_numbers = range(
            self.first_start_us // _TENTH_OF_SECOND_US, self.last_end_us // _TENTH_OF_SECOND_US + 1
        )
        return [self._completions_by_tenth[tenth] for tenth in tenth_numbers]

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
            self._completions_by_tenth[stretch * _STRETCH_US // _TENTH_OF_SECOND_US] += end - begin
            begin = end
