"""Every check: a run on which it fires, one that passes, and runs that it cannot check."""

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


class RecordingThresholds(Mapping[str, float]):
    """Thresholds without values, which record the names that a check reads."""

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
class Scenario:
    """A run with its observation."""

    changes: dict[str, Any] = field(default_factory=dict)
    load: Load = TIMED
    limits: Limits = PINNED

    def context(self, thresholds: Mapping[str, float]) -> CheckContext:
        executed = run(load=self.load)
        executed = executed.model_copy(
            update={"trial": executed.trial.model_copy(update={"limits": self.limits})}
        )
        return CheckContext(executed, FLASK, observation(**self.changes), thresholds)


def observed(load: Load = TIMED, /, limits: Limits = PINNED, **changes: Any) -> Scenario:
    return Scenario(changes, load, limits)


def with_load(load: Load = TIMED, /, **changes: Any) -> Scenario:
    return observed(load, load=load_result(**changes))


def with_completions(*counts: int, **changes: Any) -> Scenario:
    """Return a run whose window has these completions per 0.1 s."""
    request_log = log(
        last_end_us=len(counts) * 100_000 + 50_000, completions_per_100ms=(*counts, 1), **changes
    )
    load = Load(connections=10, duration_s=-(-len(counts) // 10))
    return observed(load, load=load_result(log=request_log))


def with_two_clients(**overlap: Any) -> Scenario:
    values = {"skew_s": 0.01, "uncertainty_s": 0.01, "overlap_s": 3.0} | overlap
    clients = tuple(client_side(host=name, load=load_result()) for name in ("near", "far"))
    return observed(clients=clients, overlap=ClientOverlap(**values))


def load_thread(cores: float, wait_share: float) -> dict[str, Any]:
    busy = LoadThread(tid=1, command="h2load", cores=cores, wait_share=wait_share)
    return {"client": client_usage(threads=(busy,))}


def with_container_usage(limits: Limits = PINNED, **changes: Any) -> Scenario:
    return observed(limits=limits, target=target_usage(container=ContainerUsage(**changes)))


def with_target(**changes: Any) -> Scenario:
    return observed(target=target_usage(**changes))


def with_network(**changes: Any) -> Scenario:
    network = NetworkUsage(**changes)
    return observed(target=target_usage(network=network), client=client_usage(network=network))


def with_frequency(lowest_mhz: float) -> Scenario:
    frequency = Frequency(min_mhz=lowest_mhz, mean_mhz=2900, max_mhz=3000, governors=("powersave",))
    return observed(
        target=target_usage(frequency=frequency), client=client_usage(frequency=frequency)
    )


@dataclass
class Case:
    fires: Scenario
    passes: Scenario = field(default_factory=observed)
    not_applicable: Scenario | None = None
    not_observed: Scenario | None = None


NO_LOAD = observed(load=None, failure="gave up")
NO_TARGET = observed(target=None)
UNPARSED = with_load(summary=None)
UNLOGGED = with_load(log=None)
TIMED_OUT = with_load(timed_out=True, exit_status=None, summary=None, log=None)
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
        observed(answer_before=Answer(error="refused")), not_observed=observed(answer_before=None)
    ),
    "contract-broken": Case(
        observed(answer_after=answer(status=500)), not_observed=observed(answer_after=None)
    ),
    "never-idle": Case(
        observed(container_before=container(reached_idle=False)),
        not_applicable=observed(answer_before=Answer(error="refused")),
        not_observed=observed(container_before=None),
    ),
    "not-observed": Case(observed(answer_after=None), not_applicable=NO_LOAD),
    "container-stopped": Case(
        observed(container_after=ENDED), not_observed=observed(container_after=None)
    ),
    "container-restarted": Case(
        observed(container_after=RESTARTED), not_observed=observed(container_before=None)
    ),
    "oom-kill": Case(
        observed(container_after=container(oom_kills=1)),
        not_observed=observed(container_after=container(oom_kills=None)),
    ),
    "worker-replaced": Case(
        observed(container_after=container(processes=())),
        not_applicable=observed(container_after=ENDED),
        not_observed=observed(container_after=None),
    ),
    "loadgen-failed": Case(
        with_load(exit_status=1), not_applicable=TIMED_OUT, not_observed=NO_LOAD
    ),
    "loadgen-timeout": Case(TIMED_OUT, not_observed=NO_LOAD),
    "loadgen-output-unknown": Case(UNPARSED, not_applicable=TIMED_OUT, not_observed=NO_LOAD),
    "nothing-done": Case(with_load(summary=figures("refused")), not_observed=UNPARSED),
    "requests-failed": Case(with_load(summary=figures(requests_failed=1)), not_observed=UNPARSED),
    "responses-not-2xx": Case(with_load(summary=figures(status_5xx=1)), not_observed=UNPARSED),
    "log-mismatch": Case(UNLOGGED, not_observed=UNPARSED),
    "requests-lost": Case(
        with_load(summary=figures(requests_started=99_999)),
        not_applicable=with_load(summary=figures(requests_started=None)),
        not_observed=UNPARSED,
    ),
    "connections-lost": Case(
        with_load(summary=FAST_CONNECTIONS),
        not_applicable=with_load(PACED, summary=FAST_CONNECTIONS),
        not_observed=UNPARSED,
    ),
    "completion-gap": Case(with_load(log=log(longest_gap_us=1_000_000)), not_observed=UNLOGGED),
    "too-short": Case(
        with_load(COUNTED, summary=FIGURES_N),
        passes=with_load(COUNTED, summary=SLOW_N),
        not_applicable=observed(),
        not_observed=with_load(COUNTED, summary=None),
    ),
    "connection-mean-biased": Case(
        with_load(COUNTED, summary=FIGURES_N),
        passes=with_load(COUNTED, summary=UNBIASED_N),
        not_applicable=observed(),
        not_observed=with_load(COUNTED, summary=None),
    ),
    "client-skew": Case(
        with_two_clients(skew_s=0.2),
        passes=with_two_clients(),
        not_applicable=observed(),
        not_observed=with_two_clients(skew_s=None),
    ),
    "short-overlap": Case(
        with_two_clients(overlap_s=1.0),
        passes=with_two_clients(),
        not_applicable=observed(),
        not_observed=with_two_clients(overlap_s=None),
    ),
    "client-skew-uncertain": Case(
        with_two_clients(uncertainty_s=0.2),
        passes=with_two_clients(),
        not_applicable=with_two_clients(skew_s=0.2),
        not_observed=with_two_clients(skew_s=None),
    ),
    "rate-not-reached": Case(
        with_load(PACED, log=log(6000)),
        passes=with_load(PACED, log=log(12_000)),
        not_applicable=observed(),
        not_observed=with_load(PACED, log=None),
    ),
    "bursty-rate": Case(
        observed(PACED),
        passes=observed(Load(connections=10, rate=1000, duration_s=3)),
        not_applicable=observed(),
        not_observed=observed(SEARCH),
    ),
    "slow-warm-up": Case(
        with_completions(*[70] * 20, *[100] * 80),
        passes=with_completions(*[100] * 100),
        not_applicable=with_completions(*[100] * 10),
        not_observed=UNLOGGED,
    ),
    "drift": Case(
        with_completions(*range(200, 100, -1)),
        passes=with_completions(*[100] * 100),
        not_applicable=observed(COUNTED),
        not_observed=UNLOGGED,
    ),
    "stall": Case(
        with_completions(*[100] * 30, 0, 0, 0, *[100] * 30, longest_gap_us=345_678),
        passes=with_completions(*[100] * 60),
        not_applicable=observed(COUNTED),
        not_observed=UNLOGGED,
    ),
    "telemetry-missing": Case(NO_TARGET, not_applicable=NO_LOAD),
    "client-saturated": Case(observed(**load_thread(1, 0)), not_observed=observed(client=None)),
    "client-starved": Case(
        observed(**load_thread(0, 1)), not_observed=observed(client=client_usage(threads=()))
    ),
    "background-load": Case(
        with_target(background_cores=1), not_observed=with_target(background_cores=None)
    ),
    "steal": Case(
        with_target(steal_share=0.5),
        not_applicable=observed(
            target=target_usage(steal_share=None), client=client_usage(steal_share=None)
        ),
        not_observed=with_target(steal_share=None, cpu=None),
    ),
    "memory-limit-hit": Case(
        with_container_usage(memory_limit_hits=1),
        not_applicable=with_container_usage(Limits(), memory_limit_hits=0),
        not_observed=with_container_usage(),
    ),
    "pressure": Case(
        with_target(stalls=PressureStalls(io=1)),
        not_observed=with_target(stalls=PressureStalls(io=0)),
    ),
    "governor": Case(with_frequency(1000), passes=with_frequency(2900), not_observed=observed()),
    "cpu-throttled": Case(
        with_container_usage(quota_periods=10, throttled_periods=9),
        passes=with_container_usage(QUOTA, quota_periods=10, throttled_periods=0),
        not_applicable=observed(),
        not_observed=with_container_usage(QUOTA, quota_periods=10),
    ),
    "sampler-overhead": Case(with_target(sampler_cores=1), not_observed=NO_TARGET),
    "listen-overflow": Case(
        with_network(listen_drops=1), not_observed=with_network(listen_overflows=0)
    ),
    "retransmits": Case(
        with_network(retransmits=9, segments_sent=10), not_observed=with_network(retransmits=0)
    ),
    "connections-reopened": Case(with_network(connections_opened=999), not_observed=with_network()),
    "nic-drops": Case(
        with_network(drops=9, packets=10), not_observed=with_network(drops=0, packets=10)
    ),
    "docker-proxy-busy": Case(with_target(docker_proxy_cores=1), not_observed=NO_TARGET),
    "clock-offset": Case(
        observed(clock=ClockOffset(client_minus_target_s=-2, uncertainty_s=0.01)),
        not_observed=observed(clock=None),
    ),
}


def check_result(check: Check, scenario: Scenario) -> Finding | Status:
    return check.finding(scenario.context({}))


def check_code(check: Check) -> str:
    return check.code


@pytest.mark.parametrize("check", CHECKS, ids=check_code)
def test_each_check_fires_and_passes(check: Check) -> None:
    case = CASES[check.code]
    finding = check_result(check, case.fires)
    assert isinstance(finding, Finding)
    assert (finding.code, finding.level, finding.effect) == (check.code, check.level, check.effect)
    assert finding.evidence
    assert check_result(check, case.passes) is Status.PASSED


@pytest.mark.parametrize("check", CHECKS, ids=check_code)
def test_each_check_reports_not_applicable_and_not_observed(check: Check) -> None:
    case = CASES[check.code]
    source = getsource(modules[check.evaluate.__module__])
    can_be_not_applicable = "NOT_APPLICABLE" in source or "support.stationarity" in source
    assert (case.not_applicable is not None) is can_be_not_applicable
    if case.not_applicable:
        assert check_result(check, case.not_applicable) is Status.NOT_APPLICABLE
    assert (case.not_observed is not None) is bool(check.needs)
    if case.not_observed:
        assert check_result(check, case.not_observed) is Status.NOT_OBSERVED


@pytest.mark.parametrize("check", CHECKS, ids=check_code)
def test_each_check_reads_exactly_the_thresholds_it_declares(check: Check) -> None:
    thresholds, case = RecordingThresholds(), CASES[check.code]
    for scenario in (case.fires, case.passes):
        check.finding(scenario.context(thresholds))
    assert thresholds.names == {threshold.name for threshold in check.thresholds}


def test_verdict_names_unobserved_and_inapplicable_checks() -> None:
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


def test_evidence_of_one_host_suffices_for_a_finding() -> None:
    target_only = observation(target=target_usage(steal_share=0.5), client=None)
    verdict = evaluate_run(run(), FLASK, target_only)
    assert "steal" in {finding.code for finding in verdict.findings}
    assert "steal" not in verdict.not_observed


@pytest.mark.parametrize(
    ("threshold", "excess"), [({}, 1.0 / 0.7), ({"load_thread_cores": 0.0}, 100.0)]
)
def test_saturated_client_has_its_excess_over_the_threshold(
    threshold: dict[str, float], excess: float
) -> None:
    verdict = evaluate_run(run(), FLASK, observation(**load_thread(1, 0)), threshold)
    (finding,) = verdict.findings
    assert finding.excess == pytest.approx(excess)
