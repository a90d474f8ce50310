"""Every check: a run on which it fires, one that passes, and those that it cannot check."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from inspect import getsource
from sys import modules
from typing import Any

import pytest
from builders import (
    COUNTED,
    FLASK,
    TIMED,
    answer,
    client_side,
    client_usage,
    container,
    figures,
    load_result,
    log,
    observation,
    run,
    target_usage,
)

from fwbench.checks.evaluate import evaluate_run
from fwbench.checks.registry import CHECKS
from fwbench.checks.support.check import Check, Status
from fwbench.checks.support.context import CheckContext
from fwbench.model.load import Load, Search
from fwbench.model.observation import Answer, ClientOverlap
from fwbench.model.setting import CpuMode, Limits
from fwbench.model.telemetry import (
    ClockOffset,
    ContainerUsage,
    Frequency,
    LoadThread,
    NetworkUsage,
    PressureStalls,
)
from fwbench.model.verdict import Finding

QUOTA = Limits(cpus=1, cpu_mode=CpuMode.QUOTA, memory="512m")
PINNED = Limits(cpus=1, memory="512m")
PACED = Load(connections=10, rate=4000, duration_s=3)
SEARCH = Load(connections=10, duration_s=3, search=Search(p99_ms=10, lowest=1, highest=9))


class Read(Mapping[str, float]):
    """No thresholds of a suite; remembers which a check asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return default

    def __getitem__(self, key: str) -> float:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass
class Seen:
    """A run, as it was seen."""

    changes: dict[str, Any] = field(default_factory=dict)
    load: Load = TIMED
    limits: Limits = PINNED

    def context(self, thresholds: Mapping[str, float]) -> CheckContext:
        done = run(load=self.load)
        done = done.model_copy(
            update={"trial": done.trial.model_copy(update={"limits": self.limits})}
        )
        return CheckContext(done, FLASK, observation(**self.changes), thresholds)


def seen(load: Load = TIMED, /, limits: Limits = PINNED, **changes: Any) -> Seen:
    return Seen(changes, load, limits)


def loaded(load: Load = TIMED, /, **changes: Any) -> Seen:
    return seen(load, load=load_result(**changes))


def tenths(*counts: int, **changes: Any) -> Seen:
    """A window whose tenths had so many completions."""
    written = log(
        last_end_us=len(counts) * 100_000 + 50_000, completions_per_100ms=(*counts, 1), **changes
    )
    load = Load(connections=10, duration_s=-(-len(counts) // 10))
    return seen(load, load=load_result(log=written))


def two_clients(**overlap: Any) -> Seen:
    known = {"skew_s": 0.01, "uncertainty_s": 0.01, "overlap_s": 3.0} | overlap
    clients = tuple(client_side(host=name, load=load_result()) for name in ("near", "far"))
    return seen(clients=clients, overlap=ClientOverlap(**known))


def thread(cores: float, wait: float) -> dict[str, Any]:
    busy = LoadThread(tid=1, command="h2load", cores=cores, wait_share=wait)
    return {"client": client_usage(threads=(busy,))}


def used(limits: Limits = PINNED, **changes: Any) -> Seen:
    return seen(limits=limits, target=target_usage(container=ContainerUsage(**changes)))


def target(**changes: Any) -> Seen:
    return seen(target=target_usage(**changes))


def networked(**changes: Any) -> Seen:
    network = NetworkUsage(**changes)
    return seen(target=target_usage(network=network), client=client_usage(network=network))


def clocked(lowest_mhz: float) -> Seen:
    clock = Frequency(min_mhz=lowest_mhz, mean_mhz=2900, max_mhz=3000, governors=("powersave",))
    return seen(target=target_usage(frequency=clock), client=client_usage(frequency=clock))


@dataclass
class Case:
    fires: Seen
    passes: Seen = field(default_factory=seen)
    not_applicable: Seen | None = None
    not_observed: Seen | None = None


NO_LOAD = seen(load=None, failure="gave up")
BLIND = seen(target=None)
UNPARSED = loaded(summary=None)
UNLOGGED = loaded(log=None)
TIMED_OUT = loaded(timed_out=True, exit_status=None, summary=None, log=None)
ENDED = container(running=False, exit_code=137)
RESTARTED = container(restarts=1, started_at="2026-11-23T10:00:03Z")
FIGURES_N = figures("ok-n")
SLOW_N = figures("ok-n", elapsed_s=2.0)
UNBIASED_N = figures(
    "ok-n",
    rate_per_connection=FIGURES_N.rate_per_connection.model_copy(
        update={"mean": FIGURES_N.rate_per_s / 40}
    ),
)
FAST_CONNECTIONS = figures(
    rate_per_connection=figures().rate_per_connection.model_copy(
        update={"mean": figures().rate_per_s}
    )
)

CASES = {
    "run-failed": Case(NO_LOAD),
    "never-ready": Case(
        seen(answer_before=Answer(error="refused")), not_observed=seen(answer_before=None)
    ),
    "contract-broken": Case(
        seen(answer_after=answer(status=500)), not_observed=seen(answer_after=None)
    ),
    "never-idle": Case(
        seen(container_before=container(reached_idle=False)),
        not_applicable=seen(answer_before=Answer(error="refused")),
        not_observed=seen(container_before=None),
    ),
    "not-observed": Case(seen(answer_after=None), not_applicable=NO_LOAD),
    "container-stopped": Case(seen(container_after=ENDED), not_observed=seen(container_after=None)),
    "container-restarted": Case(
        seen(container_after=RESTARTED), not_observed=seen(container_before=None)
    ),
    "oom-kill": Case(
        seen(container_after=container(oom_kills=1)),
        not_observed=seen(container_after=container(oom_kills=None)),
    ),
    "worker-replaced": Case(
        seen(container_after=container(processes=())),
        not_applicable=seen(container_after=ENDED),
        not_observed=seen(container_after=None),
    ),
    "loadgen-failed": Case(loaded(exit_status=1), not_applicable=TIMED_OUT, not_observed=NO_LOAD),
    "loadgen-timeout": Case(TIMED_OUT, not_observed=NO_LOAD),
    "loadgen-output-unknown": Case(UNPARSED, not_applicable=TIMED_OUT, not_observed=NO_LOAD),
    "nothing-done": Case(loaded(summary=figures("refused")), not_observed=UNPARSED),
    "requests-failed": Case(loaded(summary=figures(requests_failed=1)), not_observed=UNPARSED),
    "responses-not-2xx": Case(loaded(summary=figures(status_5xx=1)), not_observed=UNPARSED),
    "log-mismatch": Case(UNLOGGED, not_observed=UNPARSED),
    "requests-lost": Case(
        loaded(summary=figures(requests_started=99_999)),
        not_applicable=loaded(summary=figures(requests_started=None)),
        not_observed=UNPARSED,
    ),
    "connections-lost": Case(
        loaded(summary=FAST_CONNECTIONS),
        not_applicable=loaded(PACED, summary=FAST_CONNECTIONS),
        not_observed=UNPARSED,
    ),
    "completion-gap": Case(loaded(log=log(longest_gap_us=1_000_000)), not_observed=UNLOGGED),
    "too-short": Case(
        loaded(COUNTED, summary=FIGURES_N),
        passes=loaded(COUNTED, summary=SLOW_N),
        not_applicable=seen(),
        not_observed=loaded(COUNTED, summary=None),
    ),
    "connection-mean-biased": Case(
        loaded(COUNTED, summary=FIGURES_N),
        passes=loaded(COUNTED, summary=UNBIASED_N),
        not_applicable=seen(),
        not_observed=loaded(COUNTED, summary=None),
    ),
    "client-skew": Case(
        two_clients(skew_s=0.2),
        passes=two_clients(),
        not_applicable=seen(),
        not_observed=two_clients(skew_s=None),
    ),
    "short-overlap": Case(
        two_clients(overlap_s=1.0),
        passes=two_clients(),
        not_applicable=seen(),
        not_observed=two_clients(overlap_s=None),
    ),
    "client-skew-uncertain": Case(
        two_clients(uncertainty_s=0.2),
        passes=two_clients(),
        not_applicable=two_clients(skew_s=0.2),
        not_observed=two_clients(skew_s=None),
    ),
    "rate-not-reached": Case(
        loaded(PACED, log=log(6000)),
        passes=loaded(PACED, log=log(12_000)),
        not_applicable=seen(),
        not_observed=loaded(PACED, log=None),
    ),
    "bursty-rate": Case(
        seen(PACED),
        passes=seen(Load(connections=10, rate=1000, duration_s=3)),
        not_applicable=seen(),
        not_observed=seen(SEARCH),
    ),
    "slow-warm-up": Case(
        tenths(*[70] * 20, *[100] * 80),
        passes=tenths(*[100] * 100),
        not_applicable=tenths(*[100] * 10),
        not_observed=UNLOGGED,
    ),
    "drift": Case(
        tenths(*range(200, 100, -1)),
        passes=tenths(*[100] * 100),
        not_applicable=seen(COUNTED),
        not_observed=UNLOGGED,
    ),
    "stall": Case(
        tenths(*[100] * 30, 0, 0, 0, *[100] * 30, longest_gap_us=345_678),
        passes=tenths(*[100] * 60),
        not_applicable=seen(COUNTED),
        not_observed=UNLOGGED,
    ),
    "telemetry-missing": Case(BLIND, not_applicable=NO_LOAD),
    "client-saturated": Case(seen(**thread(1, 0)), not_observed=seen(client=None)),
    "client-starved": Case(
        seen(**thread(0, 1)), not_observed=seen(client=client_usage(threads=()))
    ),
    "background-load": Case(target(background_cores=1), not_observed=target(background_cores=None)),
    "steal": Case(
        target(steal_share=0.5),
        not_applicable=seen(
            target=target_usage(steal_share=None), client=client_usage(steal_share=None)
        ),
        not_observed=target(steal_share=None, cpu=None),
    ),
    "memory-limit-hit": Case(
        used(memory_limit_hits=1),
        not_applicable=used(Limits(), memory_limit_hits=0),
        not_observed=used(),
    ),
    "pressure": Case(
        target(stalls=PressureStalls(io=1)), not_observed=target(stalls=PressureStalls(io=0))
    ),
    "governor": Case(clocked(1000), passes=clocked(2900), not_observed=seen()),
    "cpu-throttled": Case(
        used(quota_periods=10, throttled_periods=9),
        passes=used(QUOTA, quota_periods=10, throttled_periods=0),
        not_applicable=seen(),
        not_observed=used(QUOTA, quota_periods=10),
    ),
    "sampler-overhead": Case(target(sampler_cores=1), not_observed=BLIND),
    "listen-overflow": Case(networked(listen_drops=1), not_observed=networked(listen_overflows=0)),
    "retransmits": Case(
        networked(retransmits=9, segments_sent=10), not_observed=networked(retransmits=0)
    ),
    "connections-reopened": Case(networked(connections_opened=999), not_observed=networked()),
    "nic-drops": Case(networked(drops=9, packets=10), not_observed=networked(drops=0, packets=10)),
    "docker-proxy-busy": Case(target(docker_proxy_cores=1), not_observed=BLIND),
    "clock-offset": Case(
        seen(clock=ClockOffset(client_minus_target_s=-2, uncertainty_s=0.01)),
        not_observed=seen(clock=None),
    ),
}


def result(check: Check, run_seen: Seen) -> Finding | Status:
    return check.finding(run_seen.context({}))


def by_code(check: Check) -> str:
    return check.code


@pytest.mark.parametrize("check", CHECKS, ids=by_code)
def test_each_check_fires_and_passes(check: Check) -> None:
    case = CASES[check.code]
    found = result(check, case.fires)
    assert isinstance(found, Finding)
    assert (found.code, found.level, found.effect) == (check.code, check.level, check.effect)
    assert found.evidence
    assert result(check, case.passes) is Status.PASSED


@pytest.mark.parametrize("check", CHECKS, ids=by_code)
def test_each_check_says_what_it_cannot_check(check: Check) -> None:
    case = CASES[check.code]
    source = getsource(modules[check.evaluate.__module__])
    can_be_not_applicable = "NOT_APPLICABLE" in source or "support.stationarity" in source
    assert (case.not_applicable is not None) is can_be_not_applicable
    if case.not_applicable:
        assert result(check, case.not_applicable) is Status.NOT_APPLICABLE
    assert (case.not_observed is not None) is bool(check.needs)
    if case.not_observed:
        assert result(check, case.not_observed) is Status.NOT_OBSERVED


@pytest.mark.parametrize("check", CHECKS, ids=by_code)
def test_each_check_reads_the_thresholds_that_it_names(check: Check) -> None:
    thresholds, case = Read(), CASES[check.code]
    for run_seen in (case.fires, case.passes):
        check.finding(run_seen.context(thresholds))
    assert thresholds.names == {each.name for each in check.thresholds}


def test_a_verdict_names_the_checks_that_could_not_check() -> None:
    verdict = evaluate_run(run(), FLASK, observation(target=target_usage(sampler_cores=None)))
    assert verdict.status == "valid"
    assert verdict.not_observed == ("governor", "sampler-overhead")
    assert verdict.not_applicable == (
        "too-short",
        "connection-mean-biased",
        "client-skew",
        "short-overlap",
        "client-skew-uncertain",
        "rate-not-reached",
        "bursty-rate",
        "cpu-throttled",
    )


def test_evidence_of_one_host_counts_though_the_other_was_not_observed() -> None:
    half_blind = observation(target=target_usage(steal_share=0.5), client=None)
    verdict = evaluate_run(run(), FLASK, half_blind)
    assert "steal" in {finding.code for finding in verdict.findings}
    assert "steal" not in verdict.not_observed


@pytest.mark.parametrize(
    ("threshold", "excess"), [({}, 1.0 / 0.7), ({"load_thread_cores": 0.0}, 100.0)]
)
def test_a_saturated_client_is_told_how_far_beyond_the_threshold(
    threshold: dict[str, float], excess: float
) -> None:
    verdict = evaluate_run(run(), FLASK, observation(**thread(1, 0)), threshold)
    (found,) = verdict.findings
    assert found.excess == pytest.approx(excess)
