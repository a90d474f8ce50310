"""From records to samples: the values of one metric over the runs of a trial."""

import math
from collections.abc import Sequence
from enum import StrEnum

from fwbench.model.load import LoadKind, Search
from fwbench.model.record import Record
from fwbench.stats.estimate import MIN_VALUES
from fwbench.stats.search import Bracket, bracket, passed

PERCENTILES = {
    "p50": "p50_us",
    "p75": "p75_us",
    "p90": "p90_us",
    "p95": "p95_us",
    "p99": "p99_us",
    "p99_9": "p999_us",
    "max": "max_us",
}


class Metric(StrEnum):
    """By what contenders are compared under a kind of load."""

    THROUGHPUT = "throughput"
    P99 = "p99"
    HIGHEST_RATE = "highest rate"

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""
        return self is not Metric.P99


def metric(kind: LoadKind) -> Metric:
    """A closed load asks how much, a fixed rate how quickly, a search up to where."""
    return {
        LoadKind.CLOSED: Metric.THROUGHPUT,
        LoadKind.FIXED_RATE: Metric.P99,
        LoadKind.SEARCH: Metric.HIGHEST_RATE,
    }[kind]


def throughput(record: Record) -> float | None:
    """Successful (2xx) responses per second of the load window; None for an invalid run.

    With a number of requests: those that succeeded, over the time that they took. With a duration:
    the log's 2xx rows, over the nominal duration; a row is the only proof of a single answer. Of
    several clients, the log's rows over the time in which all of them loaded. Not
    h2load's headline, which counts answers of every status, and not its `req/s` row, a mean over
    connections that leaves out for how long each of them lived.
    """
    loaded = record.observation.load
    if not is_believed(record) or loaded is None or loaded.summary is None:
        return None
    observed = record.observation
    several = observed.overlap is not None
    window_s = observed.overlap_s if several else record.run.trial.load.duration_s
    if several or window_s is not None:
        return loaded.log.successful_rows / window_s if loaded.log and window_s else None
    elapsed_s = loaded.summary.elapsed_s
    return loaded.summary.requests_succeeded / elapsed_s if elapsed_s else None


def throughputs(records: Sequence[Record]) -> tuple[float, ...]:
    """The throughput of every run that has one."""
    values = (throughput(record) for record in records)
    return tuple(value for value in values if value is not None)


def is_believed(record: Record) -> bool:
    """Whether the run's numbers may be used: it is valid or, at worst, suspect."""
    return record.verdict.status != "invalid"


def has_answer(record: Record) -> bool:
    """Whether the run has an answer to its question; of a search's step, "too high" is one."""
    search = record.run.trial.load.search
    return is_believed(record) if search is None else passed(record, search) is not None


def believed_records(records: Sequence[Record]) -> list[Record]:
    """The runs of a trial on a rig that may be used; none where these are `too_few`."""
    return [] if too_few(records) else [record for record in records if has_answer(record)]


def too_few(records: Sequence[Record]) -> str | None:
    """What a trial has too little of on a rig, in words that follow "has"; None if it has enough.

    This is the one rule for estimates and comparisons alike. Half of what was executed has to be
    usable, and three runs of it, or all where fewer were executed. Of a search, blocks count, and
    those that have an answer are usable.
    """
    search = _search(records)
    if search is None:
        told = list(map(is_believed, records))
    else:
        ended = [one for one in steps(records, search) if len(one) >= search.steps or None in one]
        told = [bracket(search, one) is not None for one in ended]
    used, executed = sum(told), len(told)
    needed = max(math.ceil(executed / 2), min(MIN_VALUES, executed))
    if records and used >= needed:
        return None
    if not used:
        return "no valid run" if search is None else "no block with an answer"
    plural = "" if used == 1 else "s"
    if search is None:
        return f"{used} valid run{plural} of {executed} and needs {needed}"
    return f"an answer in {used} block{plural} of {executed} and needs {needed}"


def percentile(records: Sequence[Record], field: str, *, corrected: bool) -> tuple[float, ...]:
    """One percentile of every run that has it, in microseconds.

    `corrected` takes the one corrected for coordinated omission, which a fixed rate alone has.
    """
    values = (_percentile(record, field, corrected=corrected) for record in records)
    return tuple(value for value in values if value is not None)


def p99_us(record: Record) -> float | None:
    """The run's p99, corrected where its rate was fixed; None for an invalid run."""
    return _percentile(record, "p99_us", corrected=record.load.rate is not None)


def by_block(records: Sequence[Record], metric: Metric) -> dict[int, float]:
    """The metric's value in each block of one rig that has one."""
    if metric is Metric.HIGHEST_RATE:
        search = _search(records)
        if search is None:
            return {}
        found = {
            block: bracket(search, of_block) for block, of_block in _steps(records, search).items()
        }
        return {block: one.passed for block, one in found.items() if one and one.passed}
    of = throughput if metric is Metric.THROUGHPUT else p99_us
    values = ((record.run.block, of(record)) for record in records)
    return {block: value for block, value in values if value}


def brackets(records: Sequence[Record]) -> list[Bracket]:
    """What each block of a search on one rig found, of those that have an answer."""
    search = _search(records)
    if search is None:
        return []
    found = (bracket(search, of_block) for of_block in steps(records, search))
    return [one for one in found if one is not None]


def steps(records: Sequence[Record], search: Search) -> tuple[tuple[bool | None, ...], ...]:
    """What each step of a search told, block by block, on one rig."""
    return tuple(_steps(records, search).values())


def _search(records: Sequence[Record]) -> Search | None:
    return next((r.run.trial.load.search for r in records if r.run.trial.load.search), None)


def _steps(records: Sequence[Record], search: Search) -> dict[int, tuple[bool | None, ...]]:
    ordered = sorted(records, key=lambda record: (record.run.block, record.run.step or 0))
    found: dict[int, tuple[bool | None, ...]] = {}
    for record in ordered:
        found[record.run.block] = (*found.get(record.run.block, ()), passed(record, search))
    return found


def _percentile(record: Record, field: str, *, corrected: bool) -> float | None:
    load = record.observation.load
    if not is_believed(record) or load is None or load.log is None:
        return None
    percentiles = load.log.corrected_latency if corrected else load.log.latency
    value = None if percentiles is None else getattr(percentiles, field)
    return None if value is None else float(value)
