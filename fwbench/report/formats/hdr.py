"""The latencies of every run that is not invalid, in HdrHistogram's log format.

Latencies are in microseconds. There is one line for each second, tagged with the run. Latencies at
a fixed rate are corrected for coordinated omission. The format needs the extra `hdr`:
run `pip install '.[hdr]'` in your clone.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from fwbench.errors import MissingPackageError
from fwbench.report.format import Format, ReportedSession

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

_DIGITS = 3
_HEAD = """\
#[Histogram log format version 1.3]
#[Latencies in us; Interval_Max in ms; timestamps in s since the epoch]
"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
"""


def render(session: ReportedSession) -> Iterator[str]:
    """Return the head of a log, then a line for each second and run, by second.

    Raise `MissingPackageError` before the head if the extra `hdr` is not installed.
    """
    to_hdr({})
    yield _HEAD
    lines = [
        (second, run.id, _line(second, run.id, latencies))
        for run in session.runs
        if run.is_believed
        for second, latencies in session.read_latencies(run).items()
    ]
    for _, _, line in sorted(lines):
        yield line


def _line(second: int, tag: str, latencies: Mapping[int, int]) -> str:
    """Return a line. Blanks, commas and line ends in its tag become `_`: they cannot be quoted."""
    histogram = to_hdr(latencies)
    longest_ms = histogram.get_max_value() / 1000
    name = "".join("_" if sign.isspace() or sign == "," else sign for sign in tag)
    return f"Tag={name},{second}.000,1.000,{longest_ms:.3f},{histogram.encode().decode()}\n"


def to_hdr(latencies: Mapping[int, int]) -> "HdrHistogram":
    """Return the numbers of latencies in µs as HdrHistogram's type, with three significant digits.

    Raise `MissingPackageError` if the extra `hdr` is not installed.
    """
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError as error:
        raise MissingPackageError(
            "HdrHistogram's format needs a package that is not there: pip install 'fwbench[hdr]'"
        ) from error
    histogram = HdrHistogram(1, max(2, max(latencies, default=2)), _DIGITS)
    for latency_us, count in latencies.items():
        histogram.record_value(latency_us, count)
    return histogram


FORMAT = Format(
    name="hdr",
    suffix=".hlog",
    help="the latencies of all runs that are not invalid, as an HdrHistogram log (install the extra"
    " `hdr` for this)",
    render=render,
)
