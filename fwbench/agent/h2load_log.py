"""The rows of h2load's log, read as quickly as Python can.

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

_READ_BYTES = 32 * 1024  # what comes of it stays in a core's own cache
_FLOOD_BYTES = 64 * 1024  # without two ends of lines

# -1 stands for an HTTP/2 stream that was not answered; over HTTP/1.1 it does not occur.
_ROW = re.compile(rb"([0-9]{1,16})\t(-1|[0-9]{1,3})\t([0-9]{1,16})\n")
_DIGITS = b"0123456789"


class UnreadableError(Exception):
    """A log that h2load does not write."""


class Window(NamedTuple):
    """From when until when rows start that are counted; where `whole`, they end in it too."""

    begin_us: int
    end_us: float
    whole: bool = False


class Rows(NamedTuple):
    """Some rows by column; one status stands for all if it is the same in all of them."""

    starts_us: list[int]
    statuses: list[bytes]
    latencies_us: list[int]

    def within(self, window: Window) -> "Rows":
        """Those of the rows that are in a window."""
        begin_us, end_us, whole = window
        if whole:
            ends_us = map(add, self.starts_us, self.latencies_us)
            pairs = zip(self.starts_us, ends_us)  # noqa: B905 - Python 3.9 has no `strict`
            inside = [begin_us <= start_us and over_us <= end_us for start_us, over_us in pairs]
        else:
            inside = [begin_us <= start_us < end_us for start_us in self.starts_us]
        return Rows(
            list(compress(self.starts_us, inside)),
            self.statuses if len(self.statuses) == 1 else list(compress(self.statuses, inside)),
            list(compress(self.latencies_us, inside)),
        )

    def earlier(self, by_us: int) -> "Rows":
        """The same, so much earlier."""
        return self._replace(starts_us=[start_us - by_us for start_us in self.starts_us])


class Log:
    """Iterates over the rows of a log, some thousands at once; they start `ahead_us` earlier."""

    def __init__(self, path: Path, ahead_us: int = 0) -> None:
        self.path = path
        self.ahead_us = ahead_us
        self.torn_rows = 0

    def __iter__(self) -> Iterator[Rows]:
        for rows in self._read():
            yield rows.earlier(self.ahead_us) if self.ahead_us else rows

    def _read(self) -> Iterator[Rows]:
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


def _columns(text: bytes, lines_before: int) -> Rows:
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
                return Rows(read[::2], [status[1:-1]], read[1::2])
            words = text.split()
            if len(words) == 3 * lines and max(map(len, words[1::3])) <= 3:
                return Rows(list(map(int, words[::3])), words[1::3], list(map(int, words[2::3])))
    rows = []
    for number, line in enumerate(text.splitlines(keepends=True), start=lines_before + 1):
        if (row := _ROW.fullmatch(line)) is None:
            shown = line[:200].decode("ascii", "backslashreplace")
            raise UnreadableError(f"line {number} of h2load's log is no row: {shown!r:.200}")
        rows.append(row.groups())
    starts, various, latencies = zip(*rows, strict=True)
    return Rows(list(map(int, starts)), list(various), list(map(int, latencies)))
