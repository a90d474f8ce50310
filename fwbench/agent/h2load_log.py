"""Read the rows of h2load's log as quickly as Python can.

A row of the log is `start TAB status TAB latency`, in µs, the start since the epoch.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import compress
from operator import add
from pathlib import Path
from typing import NamedTuple

_READ_BYTES = 32 * 1024  # the rows of one block fit into a core's own cache
_MAX_PENDING_BYTES = 64 * 1024  # of text that does not contain two complete lines

# -1 stands for an HTTP/2 stream that was not answered; over HTTP/1.1 it does not occur.
_ROW = re.compile(rb"([0-9]{1,16})\t(-1|[0-9]{1,3})\t([0-9]{1,16})\n")
_DIGITS = b"0123456789"


class MalformedLogError(Exception):
    """A log in a form that h2load does not write."""


class Window(NamedTuple):
    """A window of starts: a row counts if it starts inside, or starts and ends inside."""

    begin_us: int
    end_us: float
    must_end_inside: bool = False


class Rows(NamedTuple):
    """Some rows of a log, by column; `statuses` has one entry if all rows have the same."""

    starts_us: list[int]
    statuses: list[bytes]
    latencies_us: list[int]

    def inside(self, window: Window) -> "Rows":
        """Return the rows that are in a window."""
        begin_us, window_end_us, must_end_inside = window
        if must_end_inside:
            ends_us = map(add, self.starts_us, self.latencies_us)
            pairs = zip(self.starts_us, ends_us)
            counted = [
                begin_us <= start_us and end_us <= window_end_us for start_us, end_us in pairs
            ]
        else:
            counted = [begin_us <= start_us < window_end_us for start_us in self.starts_us]
        return Rows(
            list(compress(self.starts_us, counted)),
            self.statuses if len(self.statuses) == 1 else list(compress(self.statuses, counted)),
            list(compress(self.latencies_us, counted)),
        )

    def shifted_back(self, by_us: int) -> "Rows":
        """Return the same rows with starts that are `by_us` earlier."""
        return self._replace(starts_us=[start_us - by_us for start_us in self.starts_us])


class RequestLog:
    """Iterates over blocks of a log's rows, some thousands each.

    The log's clock is ahead by `ahead_us`, which is subtracted from the starts. After an iteration,
    `truncated_rows` is 1 if the last row is incomplete.
    """

    def __init__(self, path: Path, ahead_us: int = 0) -> None:
        self.path = path
        self.ahead_us = ahead_us
        self.truncated_rows = 0

    def __iter__(self) -> Iterator[Rows]:
        for rows in self._read():
            yield rows.shifted_back(self.ahead_us) if self.ahead_us else rows

    def _read(self) -> Iterator[Rows]:
        lines = 0
        # The last complete line, and what follows it. At the log's end, an incomplete last line
        # may lack its final digits or its line end.
        rest = b""
        with self.path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                text = rest + block
                end = text.rfind(b"\n", 0, text.rfind(b"\n")) + 1
                rest = text[end:]
                if end:
                    rows = _parse_rows(text[:end], lines)
                    lines += len(rows.starts_us)
                    yield rows
                if len(rest) > _MAX_PENDING_BYTES:
                    _parse_rows(rest, lines)  # raises MalformedLogError
        last, end_of_line, incomplete = rest.rpartition(b"\n")
        self.truncated_rows = 1 if incomplete else 0
        if end_of_line and (incomplete or _ROW.fullmatch(rest)):
            yield _parse_rows(last + end_of_line, lines)
        elif end_of_line:
            self.truncated_rows = 1


def _parse_rows(text: bytes, lines_before: int) -> Rows:
    """Return the rows in complete lines.

    Raises `MalformedLogError` with the number of the first line that is not a row.
    """
    # Checking everything but the digits at once is quicker than matching each line.
    marks = text.translate(None, _DIGITS)
    lines = len(marks) // 3
    if marks and marks == b"\t\t\n" * lines:
        with suppress(ValueError):  # a number is empty, too long for `int`, or starts with 0
            status = b"\t%b\t" % text.split(b"\t", 2)[1]
            numbers = text.replace(status, b",")
            if 3 <= len(status) <= 5 and len(text) - len(numbers) == lines * (len(status) - 1):
                # With a single status, the rest is a list of numbers: JSON's parser is quickest.
                values = json.loads(b"[%b]" % numbers[:-1].replace(b"\n", b","))
                return Rows(values[::2], [status[1:-1]], values[1::2])
            words = text.split()
            if len(words) == 3 * lines and max(map(len, words[1::3])) <= 3:
                return Rows(list(map(int, words[::3])), words[1::3], list(map(int, words[2::3])))
    rows = []
    for number, line in enumerate(text.splitlines(keepends=True), start=lines_before + 1):
        if (row := _ROW.fullmatch(line)) is None:
            shown = line[:200].decode("ascii", "backslashreplace")
            raise MalformedLogError(f"line {number} of h2load's log is not a row: {shown!r:.200}")
        rows.append(row.groups())
    starts, statuses, latencies = zip(*rows)
    return Rows(list(map(int, starts)), list(statuses), list(map(int, latencies)))
