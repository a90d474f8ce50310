"""Exports latencies as HdrHistogram logs."""

from collections.abc import Iterator, Sequence

from fwbench.collection import artifacts
from fwbench.collection.hdr import hdr_log_lines
from fwbench.model.record import Record
from fwbench.stats.samples import is_believed
from fwbench.storage.store import SessionStore


def hdr_log(store: SessionStore, records: Sequence[Record]) -> Iterator[str]:
    """Return the latencies of every usable run as lines of an HdrHistogram log, tagged by run.

    Latencies at a fixed rate are corrected for coordinated omission. Raise `ParseError` if a file
    of counts is truncated or malformed.
    """
    counts = {}
    for record in records:
        latencies = (
            artifacts.read_latency_counts(store.run_folder(record.run.id))
            if is_believed(record)
            else None
        )
        if latencies is not None:
            interval_us = record.load.expected_interval_us
            counts[record.run.id] = (
                latencies if interval_us is None else latencies.corrected(interval_us)
            )
    return hdr_log_lines(counts)
