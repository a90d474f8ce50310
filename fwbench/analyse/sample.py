"""From records to samples: the values of one metric over the runs of a trial."""

from collections.abc import Sequence

from fwbench.model.record import Record


def throughput(record: Record) -> float | None:
    """Successful (2xx) responses per second of the load window; None for an invalid run.

    With a number of requests: those that succeeded, over the time that they took. With a duration:
    the log's 2xx rows, over the nominal duration; a row is the only proof of a single answer. Not
    h2load's headline, which counts answers of every status, and not its `req/s` row, a mean over
    connections that leaves out for how long each of them lived.
    """
    loaded = record.observation.load
    if not is_believed(record) or loaded is None or loaded.figures is None:
        return None
    duration_s = record.run.trial.load.duration_s
    if duration_s is not None:
        return None if loaded.log is None else loaded.log.successful_rows / duration_s
    elapsed_s = loaded.figures.elapsed_s
    return loaded.figures.requests_succeeded / elapsed_s if elapsed_s else None


def throughputs(records: Sequence[Record]) -> tuple[float, ...]:
    """The throughput of every run that has one."""
    values = (throughput(record) for record in records)
    return tuple(value for value in values if value is not None)


def is_believed(record: Record) -> bool:
    """Whether the run's numbers may be used: it is valid or, at worst, suspect."""
    return record.verdict.word != "invalid"
