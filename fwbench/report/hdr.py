"""Exports latencies as HdrHistogram logs."""

from collections.abc import Iterator, Sequence

from fwbench.collection import artifacts
from fwbench.collection.hdr import hdr_log_lines
from fwbench.stats.run_result import RunResult
from fwbench.storage.store import SessionStore


def hdr_log(store: SessionStore, results: Sequence[RunResult]) -> Iterator[str]:
    """Return the latencies of every usable run as lines of an HdrHistogram log, tagged by run.

    Latencies at a fixed rate are corrected for coordinated omission. Raise `ParseError` if a file
    of counts is truncated or malformed.
    """
    counts = {}
    for result in results:
        latencies = (
            artifacts.read_latency_counts(store.run_folder(result.id))
            if result.is_believed
            else None
        )
        if latencies is not None:
            interval_us = result.load.expected_interval_us
            counts[result.id] = (
                latencies if interval_us is None else latencies.corrected(interval_us)
            )
    return hdr_log_lines(counts)
