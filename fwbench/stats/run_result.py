"""From a record to its run result: what estimates and reports use, a tenth of its size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fwbench.errors import SessionError
from fwbench.loadgen.generator import UnsuitableLoadError
from fwbench.loadgen.registry import generator_of
from fwbench.model.figures import Percentiles, SummaryStatistics
from fwbench.model.load import Load
from fwbench.model.observation import ClientOverlap, LoadResult, Observation
from fwbench.model.record import Record
from fwbench.model.run import Trial
from fwbench.model.verdict import Effect, Verdict
from fwbench.stats.search import passed

PERCENTILES = {
    "p50": "p50_us",
    "p75": "p75_us",
    "p90": "p90_us",
    "p95": "p95_us",
    "p99": "p99_us",
    "p99_9": "p999_us",
    "max": "max_us",
}
_P99 = list(PERCENTILES).index("p99")

# No measurement is larger, and no sum, square or ratio of smaller ones overflows.
_LARGEST = 1e15

Latencies = tuple[float | None, ...]
"""Microseconds, in the order of `PERCENTILES`."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run, used or not, without its artifacts, telemetry and evidence.

    Figures are None for an invalid run. `corrected_latency` exists only for a fixed rate.
    `passed` is a search step's answer; None for other runs and for a step without an answer.
    `busiest_thread_cores` is that of h2load's busiest thread on any client. `client_excess` is how
    many times the threshold that is, if a finding says that the clients were the limit.
    """

    id: str
    rig: str
    block: int
    step: int | None
    trial: Trial
    trial_id: str
    offered_rate: float | None
    verdict: str
    findings: tuple[str, ...]
    not_applicable: tuple[str, ...]
    not_observed: tuple[str, ...]
    passed: bool | None
    throughput: float | None
    latency: Latencies | None
    corrected_latency: Latencies | None
    request_time_us: SummaryStatistics | None
    rate_per_connection: SummaryStatistics | None
    overlap: ClientOverlap | None
    busiest_thread_cores: float
    client_excess: float | None

    @property
    def is_believed(self) -> bool:
        """Whether the run's numbers may be used: it is valid or, at worst, suspect."""
        return self.verdict != "invalid"

    @property
    def has_answer(self) -> bool:
        """Whether the run answers its question; "too high" is an answer of a search's step."""
        return self.is_believed if self.trial.load.search is None else self.passed is not None

    @property
    def load(self) -> Load:
        """What was offered to the server; for a search, by this step."""
        return self.trial.load.at_rate(self.offered_rate)

    @property
    def p99_us(self) -> float | None:
        """Return the p99, corrected where the rate was fixed; None for an invalid run."""
        fixed = self.offered_rate is not None or self.trial.load.rate is not None
        latency = self.corrected_latency if fixed else self.latency
        return None if latency is None else latency[_P99]


def run_result(record: Record) -> RunResult:
    """Return what estimates and reports use of a record.

    Raises `SessionError` if it contains a figure that no run can have, or another load generator.
    """
    try:
        return _result(record)
    except OverflowError as error:
        raise SessionError(
            f"records.jsonl: run {record.run.id} has a figure that no run can have: {error}"
        ) from error
    except UnsuitableLoadError as error:
        raise SessionError(
            f"records.jsonl: run {record.run.id} has a load that fwbench cannot offer: {error}"
        ) from error


def _result(record: Record) -> RunResult:
    run, observation, verdict = record.run, record.observation, record.verdict.status
    search = run.trial.load.search
    load = None if verdict == "invalid" else observation.load
    log = None if load is None else load.log
    # h2load's own table is printed of a number of requests alone.
    summary = None if load is None or run.trial.load.requests is None else load.summary
    return RunResult(
        id=run.id,
        rig=run.rig,
        block=run.block,
        step=run.step,
        trial=run.trial,
        trial_id=_id_of(run.trial),
        offered_rate=observation.offered_rate,
        verdict=verdict,
        findings=tuple([finding.code for finding in record.verdict.findings]),
        not_applicable=_shared(record.verdict.not_applicable),
        not_observed=_shared(record.verdict.not_observed),
        passed=None if search is None else passed(record, search),
        throughput=None if verdict == "invalid" else _throughput(record),
        latency=_latencies(_percentiles(load)),
        corrected_latency=None if log is None else _latencies(log.corrected_latency),
        request_time_us=_checked(summary.request_time_us) if summary else None,
        rate_per_connection=_checked(summary.rate_per_connection) if summary else None,
        overlap=observation.overlap,
        busiest_thread_cores=_busiest_thread_cores(observation),
        client_excess=_client_excess(record.verdict),
    )


ResultsByRig = Mapping[str, Mapping[str, Sequence[RunResult]]]
"""By rig and by the trial's id, in the order in which they were recorded."""


def results_by_rig(rigs: Iterable[str], results: Iterable[RunResult]) -> ResultsByRig:
    """Return the results of these rigs; a rig without one is empty."""
    found: dict[str, dict[str, list[RunResult]]] = {rig: {} for rig in rigs}
    for result in results:
        if (of_rig := found.get(result.rig)) is not None:
            of_rig.setdefault(result.trial_id, []).append(result)
    return found


def _throughput(record: Record) -> float | None:
    """Return the successful (2xx) responses per second of the load window.

    With a number of requests: those that succeeded, over the time that they took. With a duration:
    the log's 2xx rows, over the nominal duration; a row is the only proof of a single answer. From
    a load generator without a log: the requests that succeeded, over the time that it measured.
    With several clients: the log's rows over the time in which all of them loaded. This is neither
    h2load's headline, which counts answers of every status, nor its `req/s` row, a mean over
    connections that leaves out for how long each of them lived.
    """
    observation = record.observation
    loaded = observation.load
    if loaded is None or loaded.summary is None:
        return None
    several = observation.overlap is not None
    window_s = observation.overlap_s if several else record.run.trial.load.duration_s
    if several or (window_s is not None and generator_of(record.run.trial.load).writes_request_log):
        return _per_s(loaded.log.successful_rows, window_s) if loaded.log else None
    return _per_s(loaded.summary.requests_succeeded, loaded.summary.elapsed_s)


def _percentiles(load: LoadResult | None) -> Percentiles | None:
    """Return the percentiles of the log, or those that a load generator without a log prints."""
    if load is None:
        return None
    if load.log is not None:
        return load.log.latency
    return None if load.summary is None else load.summary.latency


def _per_s(count: int, seconds: float | None) -> float | None:
    return _figure(count / _figure(seconds)) if seconds else None


def _latencies(percentiles: Percentiles | None) -> Latencies | None:
    if percentiles is None:
        return None
    values = [getattr(percentiles, field) for field in PERCENTILES.values()]
    return tuple([None if value is None else _figure(value) for value in values])


def _checked(statistics: SummaryStatistics | None) -> SummaryStatistics | None:
    if statistics is None:
        return None
    for _, value in statistics:
        if value is not None:
            _figure(value)
    return statistics


def _figure(value: float) -> float:
    """Return the value; OverflowError if no run can have it."""
    if value > _LARGEST:
        raise OverflowError(f"{float(value):g}")
    return float(value)


def _busiest_thread_cores(observation: Observation) -> float:
    cores = [
        thread.cores
        for client in observation.clients
        if client.usage is not None
        for thread in client.usage.threads
    ]
    return _figure(max(cores, default=0.0))


def _client_excess(verdict: Verdict) -> float | None:
    limits = [each for each in verdict.findings if each.effect is Effect.CLIENT_LIMITED]
    return max((_figure(each.excess or 1.0) for each in limits), default=None)


@lru_cache(maxsize=1024)
def _shared(codes: tuple[str, ...]) -> tuple[str, ...]:
    """Return one object for equal codes, since those of most runs are equal."""
    return codes


@lru_cache(maxsize=1024)
def _id_of(trial: Trial) -> str:
    return trial.id
