"""Latency counts in the format of HdrHistogram, which other tools read."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from fwbench.collection.histogram import Histogram, LatencyCounts
from fwbench.errors import MissingPackageError

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

_DIGITS = 3
_HEAD = (
    "#[Histogram log format version 1.3]",
    "#[Latencies in us; Interval_Max in ms; timestamps in s since the epoch]",
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
)


def hdr_log_lines(tagged: Mapping[str, LatencyCounts]) -> Iterator[str]:
    """Return the lines of a log, without their ends: one for each second and tag.

    Blanks, commas and line ends in tags become `_`, since the format cannot quote them.
    """
    yield from _HEAD
    intervals = [
        (second, tag, by_status)
        for tag, counts in tagged.items()
        for second, by_status in counts.by_second().items()
    ]
    for second, tag, by_status in sorted(intervals, key=lambda interval: interval[:2]):
        histogram = to_hdr(Histogram.merged(list(by_status.values())))
        longest_ms = histogram.get_max_value() / 1000
        name = "".join("_" if sign.isspace() or sign == "," else sign for sign in tag)
        yield f"Tag={name},{second}.000,1.000,{longest_ms:.3f},{histogram.encode().decode()}"


def to_hdr(latencies: Histogram) -> "HdrHistogram":
    """Return the latencies in µs as HdrHistogram's own type, with three significant digits.

    Raises `MissingPackageError` if the extra `hdr` is not installed.
    """
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError as error:
        raise MissingPackageError(
            "HdrHistogram's format needs a package that is not there: pip install 'fwbench[hdr]'"
        ) from error
    longest_us = latencies.latencies_us[-1] if latencies.latencies_us else 2
    histogram = HdrHistogram(1, max(2, longest_us), _DIGITS)
    for latency_us, count in latencies.items():
        histogram.record_value(latency_us, count)
    return histogram
