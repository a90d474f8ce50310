from collections.abc import Iterator, Sequence

from fwbench.collection import artifacts
from fwbench.collection.histogram import hdr_log_lines
from fwbench.model.record import Record
from fwbench.stats.samples import is_believed
from fwbench.storage.store import SessionStore


def hdr_log(store: SessionStore, records: Sequence[Record]) -> Iterator[str]:
    """The latencies of every run that may be used, as HdrHistogram logs them: tagged by run.

    Those of a fixed rate are corrected for coordinated omission. Raises `ParseError` for counts
    that are not whole.
    """
    counts = {}
    for record in records:
        read = (
            artifacts.read_latency_counts(store.run_folder(record.run.id))
            if is_believed(record)
            else None
        )
        if read is not None:
            interval_us = record.load.expected_interval_us
            counts[record.run.id] = read if interval_us is None else read.corrected(interval_us)
    return hdr_log_lines(counts)
