"""Make h2load's command line, and parse its output; nothing here runs it.

The forms of the output come from nghttp2's `src/h2load.cc` and from recorded outputs of 1.40, 1.43,
1.52, 1.59, 1.64, 1.68, 1.69 and 1.70 (`tests/fixtures/h2load`).
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple, TypeVar

from fwbench.agent.protocol import REQUEST_LOG
from fwbench.errors import ParseError
from fwbench.loadgen.generator import LoadGenerator, excerpt
from fwbench.model.figures import LoadSummary, SummaryStatistics
from fwbench.model.load import Load

T = TypeVar("T")


_VERSION = re.compile(r"h2load nghttp2/([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)?)")


class H2load(LoadGenerator):
    """h2load of nghttp2: closed loads and fixed rates, with a log of all requests."""

    name = "h2load"
    description = "closed loads, fixed rates and searches, with a log of all requests"
    writes_request_log = True
    corrects_latencies = False
    latency_begins = "when the request is handed to the connection"

    def command_line(self, load: Load, url: str, folder: PurePath) -> list[str]:
        # A load at a fixed rate gets a number of requests instead of a duration, for two reasons.
        # Only then does h2load count lost requests. And only then can it open connections one after
        # the other (`-r`); otherwise all connections would send at the same moments. The warm-up is
        # then cut from the log.
        command = ["h2load", "--h1"]
        if load.rate is not None:
            command += self._fixed_rate(load, load.rate)
        elif load.duration_s is None:
            command.append(f"-n{load.requests}")
        else:
            command.append(f"-D{load.duration_s}")
            if load.warm_up_s:
                command.append(f"--warm-up-time={load.warm_up_s}")
        command.append(f"-c{load.connections}")
        if load.threads > 1:
            command.append(f"-t{load.threads}")
        # h2load appends to an existing log; each run has a folder of its own.
        return [*command, f"--log-file={folder / REQUEST_LOG}", url]

    def duration_s(self, load: Load) -> float | None:
        window = self.measured_window_s(load)
        return load.nominal_duration_s if window is None else sum(window)

    def measured_window_s(self, load: Load) -> tuple[float, float] | None:
        # h2load logs the warm-up at fixed rates only.
        if load.rate is None or load.duration_s is None:
            return None
        opening_s = _opening_period_ms(load, load.rate) * load.connections / load.threads / 1e3
        return max(float(load.warm_up_s), opening_s), float(load.duration_s)

    def skipped_s(self, load: Load) -> float:
        window = self.measured_window_s(load)
        return float(load.warm_up_s) if window is None else window[0]

    def _fixed_rate(self, load: Load, rate: float) -> list[str]:
        per_connection = rate / load.connections
        requests = math.ceil(per_connection * (self.duration_s(load) or 0)) + 1
        return [
            f"-n{load.connections * requests}",
            f"--rps={per_connection:.9g}",
            f"-r{load.threads}",
            f"--rate-period={_opening_period_ms(load, rate)}ms",
        ]

    def parse_version(self, printed: str) -> str:
        if (match := _VERSION.fullmatch(printed.strip())) is None:
            raise ParseError(f"`h2load --version` printed no version: {excerpt(printed)}")
        return match[1]

    def parse_output(self, stdout: str) -> LoadSummary:
        """Parse h2load's standard output, in the form before 1.69 or since.

        Times have the printed resolution: whole microseconds below a millisecond, two decimals of a
        millisecond or second above. Raises `ParseError` for a line that is missing, duplicate or
        malformed.
        """
        return _parse_output(stdout)


def _opening_period_ms(load: Load, rate: float) -> int:
    """Return the milliseconds between the openings of connections on each thread.

    Connections are opened evenly over the interval in which each sends once, so that they do not
    send at the same moment. h2load accepts whole milliseconds; a thread opens at most one
    connection in each.
    """
    return max(1, math.ceil(load.threads / rate * 1e3))


# h2load's output ----------------------------------------------------------------------------------

# Lengths are bounded so that every matching number fits its type: counts have 64 bits.
_COUNT = "[0-9]{1,20}"
_DECIMAL = r"[0-9]{1,18}\.[0-9]{2}"
_BYTES = rf"(?:[0-9]{{1,4}}|{_DECIMAL}[KMG])B"

_FINISHED = re.compile(
    rf"finished in (?P<elapsed>[^ ,]+), (?P<rate>{_DECIMAL}) req/s, {_BYTES}/s",
)
_REQUESTS = re.compile(
    rf"requests: (?P<total>{_COUNT}) total, (?P<started>{_COUNT}) started, "
    rf"(?P<done>{_COUNT}) done, (?P<succeeded>{_COUNT}) succeeded, (?P<failed>{_COUNT}) failed, "
    rf"(?P<errored>{_COUNT}) errored, (?P<timed_out>{_COUNT}) timeout"
)
_STATUSES = re.compile(
    rf"status codes: (?P<s2xx>{_COUNT}) 2xx, (?P<s3xx>{_COUNT}) 3xx, "
    rf"(?P<s4xx>{_COUNT}) 4xx, (?P<s5xx>{_COUNT}) 5xx"
)
_TRAFFIC = re.compile(
    rf"traffic: {_BYTES} \((?P<total>{_COUNT})\) total, "
    rf"{_BYTES} \((?P<headers>{_COUNT})\) headers \(space savings -?{_DECIMAL}%\), "
    rf"{_BYTES} \((?P<data>{_COUNT})\) data"
)
_DURATION = re.compile(r"([0-9]{1,18})us|([0-9]{1,12})\.([0-9]{2})(ms|s)")
_US_PER_HUNDREDTH = {"ms": 10, "s": 10_000}


class _Table(NamedTuple):
    """The names of columns and rows in the table of times, which changed with version 1.69."""

    columns: tuple[str, ...]
    request: str
    connect: str
    first_byte: str
    rate: str = "req/s"


_TABLES = (
    # before 1.69
    _Table(
        ("min", "max", "mean", "sd"), "time for request", "time for connect", "time to 1st byte"
    ),
    # 1.69 and later
    _Table(("min", "max", "median", "p95", "p99", "mean", "sd"), "request", "connect", "TTFB"),
)


def _parse_output(stdout: str) -> LoadSummary:
    lines = stdout.split("\n")
    finished = _line(lines, "finished in", _FINISHED)
    requests = _line(lines, "requests:", _REQUESTS)
    statuses = _line(lines, "status codes:", _STATUSES)
    traffic = _line(lines, "traffic:", _TRAFFIC)
    table, rows = _table(lines)
    return LoadSummary(
        elapsed_s=_parse_us(finished["elapsed"]) / 1e6,
        rate_per_s=float(finished["rate"]),
        requests_total=int(requests["total"]),
        requests_started=int(requests["started"]),
        requests_done=int(requests["done"]),
        requests_succeeded=int(requests["succeeded"]),
        requests_failed=int(requests["failed"]),
        requests_errored=int(requests["errored"]),
        requests_timed_out=int(requests["timed_out"]),
        status_2xx=int(statuses["s2xx"]),
        status_3xx=int(statuses["s3xx"]),
        status_4xx=int(statuses["s4xx"]),
        status_5xx=int(statuses["s5xx"]),
        total_bytes=int(traffic["total"]),
        header_bytes=int(traffic["headers"]),
        data_bytes=int(traffic["data"]),
        request_time_us=_statistics(rows, table.request, table.columns, _parse_us),
        connect_time_us=_statistics(rows, table.connect, table.columns, _parse_us),
        first_byte_time_us=_statistics(rows, table.first_byte, table.columns, _parse_us),
        rate_per_connection=_statistics(rows, table.rate, table.columns, _parse_decimal),
    )


def _line(lines: Sequence[str], beginning: str, form: re.Pattern[str]) -> Mapping[str, str]:
    line = _only_one([line for line in lines if line.startswith(beginning)], f"'{beginning}' line")
    if (match := form.fullmatch(line)) is None:
        raise ParseError(f"h2load printed a malformed '{beginning}' line: {excerpt(line)}")
    return match.groupdict()


def _table(lines: Sequence[str]) -> tuple[_Table, Sequence[str]]:
    table, header = _only_one(
        [
            (table, number)
            for number, line in enumerate(lines)
            for table in _TABLES
            if line.split() == [*table.columns, "+/-", "sd"]
        ],
        "table with columns of any known version",
    )
    return table, lines[header + 1 :]


def _statistics(
    rows: Sequence[str], name: str, columns: Sequence[str], parse_number: Callable[[str], float]
) -> SummaryStatistics:
    row = _only_one(
        [row for row in rows if row.partition(":")[0].rstrip() == name], f"'{name}' row"
    )
    cells = row.partition(":")[2].split()
    if len(cells) != len(columns) + 1 or not cells[-1].endswith("%"):
        raise ParseError(f"h2load printed a malformed '{name}' row: {excerpt(row)}")
    *values, within_sd = cells
    return SummaryStatistics(
        within_sd_percent=_parse_decimal(within_sd.removesuffix("%")),
        **dict(zip(columns, map(parse_number, values), strict=True)),
    )


def _only_one(matches: Sequence[T], description: str) -> T:
    if not matches:
        raise ParseError(f"h2load printed no {description}")
    if len(matches) > 1:
        raise ParseError(
            f"h2load printed the {description} {len(matches)} times; one run prints it once"
        )
    return matches[0]


def _parse_us(text: str) -> float:
    if (match := _DURATION.fullmatch(text)) is None:
        raise ParseError(f"h2load printed no time but {excerpt(text)}")
    microseconds, whole, hundredths, unit = match.groups()
    if microseconds is not None:
        return float(microseconds)
    return float(int(whole + hundredths) * _US_PER_HUNDREDTH[unit])


def _parse_decimal(text: str) -> float:
    if re.fullmatch(_DECIMAL, text) is None:
        raise ParseError(f"h2load printed no number with two decimals but {excerpt(text)}")
    return float(text)


GENERATOR = H2load()
