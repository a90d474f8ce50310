"""Findings about hosts and network: each fires above its threshold, and never at or below it."""

from typing import Any

import pytest
from builders import FLASK, client_usage, host_usage, observation, run, target_usage

from fwbench.checks.evaluate import evaluate_run
from fwbench.checks.registry import CHECKS
from fwbench.model.load import Load
from fwbench.model.observation import Observation
from fwbench.model.telemetry import (
    BusyProcess,
    ClockOffset,
    ContainerUsage,
    Frequency,
    HostUsage,
    LoadThread,
    NetworkUsage,
    PressureStalls,
)
from fwbench.model.verdict import Finding, Level, Verdict

BOTH = ["target", "client"]


def evaluate(**changes: Any) -> Verdict:
    return evaluate_run(run(), FLASK, observation(**changes))


def codes(**changes: Any) -> list[str]:
    return [finding.code for finding in evaluate(**changes).findings]


def only_finding(**changes: Any) -> Finding:
    (finding,) = evaluate(**changes).findings
    return finding


def usage(side: str, **changes: Any) -> dict[str, HostUsage]:
    return {side: target_usage(**changes) if side == "target" else client_usage(**changes)}


def target_with_container(**changes: Any) -> HostUsage:
    return target_usage(container=ContainerUsage(**changes))


def usage_with_network(side: str, **changes: Any) -> dict[str, HostUsage]:
    return usage(side, network=NetworkUsage(**changes))


def test_idle_hosts_give_no_finding() -> None:
    assert codes() == []


# Missing telemetry


@pytest.mark.parametrize("side", BOTH)
def test_missing_telemetry_of_one_host_is_suspect(side: str) -> None:
    finding = only_finding(**{side: None})
    assert (finding.code, finding.level) == ("telemetry-missing", Level.SUSPECT)
    assert finding.evidence == f"there is no telemetry of the {side}"


def test_missing_telemetry_of_both_hosts_is_one_finding() -> None:
    finding = only_finding(target=None, client=None)
    assert finding.evidence == "there is no telemetry of the target and the client"


def test_failed_run_needs_no_telemetry() -> None:
    assert "telemetry-missing" not in codes(target=None, client=None, failure="lost")
    assert "telemetry-missing" not in codes(target=None, client=None, load=None)


EMPTY_USAGE = HostUsage(window_s=1, samples=2)
EMPTY_TARGET_USAGE = HostUsage(window_s=1, samples=2, container=ContainerUsage())


@pytest.mark.parametrize("target", [EMPTY_USAGE, EMPTY_TARGET_USAGE])
def test_unknown_values_give_no_finding(target: HostUsage) -> None:
    assert codes(target=target, client=EMPTY_USAGE, clock=None) == []


# The client


@pytest.mark.parametrize(("cores", "expected"), [(0.7, []), (0.71, ["client-saturated"])])
def test_busy_load_thread_saturates_the_client(cores: float, expected: list[str]) -> None:
    threads = (
        LoadThread(tid=1, command="h2load", cores=cores, wait_share=0),
        LoadThread(tid=2, command="h2load", cores=0.1, wait_share=0),
    )
    assert codes(client=client_usage(threads=threads)) == expected


def test_saturated_client_is_reported_with_its_cpu_use() -> None:
    thread = LoadThread(tid=1, command="h2load", cores=0.85, wait_share=0)
    finding = only_finding(client=client_usage(threads=(thread,)))
    assert finding.level is Level.INVALID
    assert finding.evidence.startswith(
        "1 thread of h2load used up to 85 % of a CPU (threshold: 70 %)"
    )
    assert "threads" in finding.advice


@pytest.mark.parametrize(("wait_share", "expected"), [(0.1, []), (0.11, ["client-starved"])])
def test_thread_that_waits_for_a_cpu_is_starved(wait_share: float, expected: list[str]) -> None:
    thread = LoadThread(tid=1, command="h2load", cores=0.2, wait_share=wait_share)
    assert codes(client=client_usage(threads=(thread,))) == expected


# Either host


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(("cores", "expected"), [(0.05, []), (0.06, ["background-load"])])
def test_busy_background_processes_give_a_finding(
    side: str, cores: float, expected: list[str]
) -> None:
    assert codes(**usage(side, background_cores=cores)) == expected


def test_host_and_busiest_process_are_named() -> None:
    busy = BusyProcess(command="apt-get", cores=0.9)
    finding = only_finding(
        **usage("client", background_cores=0.93, busiest_background_process=busy)
    )
    assert finding.level is Level.INVALID
    assert finding.evidence == (
        "on the client, processes outside the benchmark used 0.93 of a CPU (threshold: 0.05),"
        " most of it by 'apt-get' (0.90)"
    )


@pytest.mark.parametrize(("cores", "named"), [(0.8, True), (0.79, False)])
def test_process_with_a_small_share_is_not_named(cores: float, named: bool) -> None:
    """The background use includes short-lived processes, which no list of processes shows."""
    busy = BusyProcess(command="sshd-session", cores=cores)
    evidence = only_finding(
        **usage("target", background_cores=1.6, busiest_background_process=busy)
    ).evidence
    assert ("sshd-session" in evidence) is named
    assert ("short-lived" in evidence) is not named


@pytest.mark.parametrize(("window_s", "expected"), [(0.45, []), (2.5, ["steal"])])
def test_few_ticks_of_steal_in_a_short_load_are_tolerated(
    window_s: float, expected: list[str]
) -> None:
    assert codes(**usage("target", steal_share=0.02, window_s=window_s)) == expected


@pytest.mark.parametrize(("window_s", "expected"), [(0.45, []), (1.9, ["background-load"])])
def test_little_background_use_in_a_short_load_is_tolerated(
    window_s: float, expected: list[str]
) -> None:
    assert codes(**usage("target", background_cores=0.08, window_s=window_s)) == expected


def test_both_hosts_are_named() -> None:
    busy = {"background_cores": 0.5, "busiest_background_process": None}
    evidence = only_finding(**usage("target", **busy), **usage("client", **busy)).evidence
    assert evidence.startswith("on the target, ")
    assert "; on the client, " in evidence


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(
    ("steal_share", "expected"), [(0.01, []), (0.011, ["steal"]), (0.0, []), (None, [])]
)
def test_steal_above_the_threshold_gives_a_finding(
    side: str, steal_share: float | None, expected: list[str]
) -> None:
    assert codes(**usage(side, steal_share=steal_share)) == expected


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(
    ("stalls", "expected"),
    [
        (PressureStalls(cpu=1, memory=0.05, io=0.05), []),
        (PressureStalls(memory=0.06), ["pressure"]),
        (PressureStalls(io=0.06), ["pressure"]),
    ],
)
def test_memory_or_io_pressure_is_suspect(
    side: str, stalls: PressureStalls, expected: list[str]
) -> None:
    assert codes(**usage(side, stalls=stalls)) == expected


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(
    ("min_mhz", "governors", "expected"),
    [
        (2700, ("powersave",), []),
        (2690, ("powersave",), ["governor"]),
        (1000, ("performance",), []),
        (1000, ("performance", "powersave"), ["governor"]),
        (1000, (), []),
    ],
)
def test_varying_frequency_of_other_governors_is_suspect(
    side: str, min_mhz: float, governors: tuple[str, ...], expected: list[str]
) -> None:
    frequency = Frequency(min_mhz=min_mhz, mean_mhz=2900, max_mhz=3000, governors=governors)
    assert codes(**usage(side, frequency=frequency)) == expected


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(("cores", "expected"), [(0.01, []), (0.011, ["sampler-overhead"])])
def test_sampler_overhead_gets_a_note(side: str, cores: float, expected: list[str]) -> None:
    assert codes(**usage(side, sampler_cores=cores)) == expected


# The container


@pytest.mark.parametrize(("throttled_periods", "expected"), [(1, []), (2, ["cpu-throttled"])])
def test_exhausted_quota_gets_a_note(throttled_periods: int, expected: list[str]) -> None:
    assert (
        codes(target=target_with_container(quota_periods=20, throttled_periods=throttled_periods))
        == expected
    )


def test_throttling_by_a_quota_leaves_a_run_valid() -> None:
    verdict = evaluate(
        target=target_with_container(quota_periods=20, throttled_periods=20, throttled_s=1.0)
    )
    assert verdict.status == "valid"
    assert verdict.findings[0].evidence == (
        "the container used up its CPU quota in 20 of 20 periods (threshold: 5 %) and was stopped"
        " for the rest of each, 1.00 s in total"
    )


@pytest.mark.parametrize(("limit_hits", "expected"), [(0, []), (1, ["memory-limit-hit"])])
def test_reached_memory_limit_is_suspect(limit_hits: int, expected: list[str]) -> None:
    assert codes(target=target_with_container(memory_limit_hits=limit_hits)) == expected


# The network


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"listen_overflows": 0, "listen_drops": 0}, []),
        ({"listen_overflows": 1, "listen_drops": 1}, ["listen-overflow"]),
        ({"listen_drops": 1}, ["listen-overflow"]),
    ],
)
def test_listen_queue_overflow_is_invalid(change: dict[str, int], expected: list[str]) -> None:
    assert codes(**usage_with_network("target", **change)) == expected
    assert codes(**usage_with_network("client", **change)) == []  # nothing connects to the client


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(("retransmits", "expected"), [(50, []), (51, ["retransmits"])])
def test_retransmitted_segments_are_suspect(
    side: str, retransmits: int, expected: list[str]
) -> None:
    assert (
        codes(**usage_with_network(side, retransmits=retransmits, segments_sent=10_000)) == expected
    )


@pytest.mark.parametrize(
    ("excess", "expected"), [(None, []), (0, []), (1, ["connections-reopened"])]
)
def test_more_connections_than_the_load_has_are_suspect(
    excess: int | None, expected: list[str]
) -> None:
    opened = None if excess is None else 2 * run().trial.load.connections + 10 + excess
    assert codes(**usage_with_network("client", connections_opened=opened)) == expected
    assert codes(**usage_with_network("target", connections_opened=opened)) == []


def test_reopened_connections_are_counted() -> None:
    four_connections = run(load=Load(connections=4, duration_s=3))
    observed = observation(**usage_with_network("client", connections_opened=3007))
    (finding,) = (
        finding
        for finding in evaluate_run(four_connections, FLASK, observed).findings
        if finding.code == "connections-reopened"
    )
    assert finding.level is Level.SUSPECT
    assert finding.evidence == (
        "the client opened 3007 connections for a load with 4 (threshold: 18): the server does not"
        " keep connections open"
    )


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"drops": 10, "errors": 0, "packets": 10_000}, []),
        ({"drops": 10, "errors": 1, "packets": 10_000}, ["nic-drops"]),
        ({"errors": 11, "packets": 10_000}, ["nic-drops"]),
        ({"drops": 11}, []),
        ({"drops": 0, "packets": 0}, []),
    ],
)
def test_packets_lost_by_a_device_are_suspect(
    side: str, change: dict[str, int], expected: list[str]
) -> None:
    assert codes(**usage_with_network(side, **change)) == expected


@pytest.mark.parametrize(("cores", "expected"), [(0.05, []), (0.06, ["docker-proxy-busy"])])
def test_busy_docker_proxy_is_suspect(cores: float, expected: list[str]) -> None:
    assert codes(target=target_usage(docker_proxy_cores=cores)) == expected


@pytest.mark.parametrize(
    ("offset_s", "uncertainty_s", "expected"),
    [
        (0.11, 0.01, []),
        (0.12, 0.01, ["clock-offset"]),
        (-0.12, 0.01, ["clock-offset"]),
        (0.5, 0.45, []),
    ],
)
def test_clock_offset_is_suspect(
    offset_s: float, uncertainty_s: float, expected: list[str]
) -> None:
    clock = ClockOffset(client_minus_target_s=offset_s, uncertainty_s=uncertainty_s)
    assert codes(clock=clock) == expected


# Thresholds


def test_every_threshold_can_be_set() -> None:
    """With thresholds of 0, every check fires on a host where everything is slightly busy."""
    frequency = Frequency(min_mhz=2999, mean_mhz=2999, max_mhz=3000, governors=("schedutil",))
    slightly_busy = host_usage(
        steal_share=0.0001,
        docker_proxy_cores=0.001,
        frequency=frequency,
        stalls=PressureStalls(memory=0.001),
        threads=(LoadThread(tid=1, command="h2load", cores=0.01, wait_share=0.001),),
        container=ContainerUsage(quota_periods=100, throttled_periods=1, memory_limit_hits=1),
        network=NetworkUsage(
            listen_overflows=1,
            retransmits=1,
            segments_sent=10_000,
            connections_opened=11,
            drops=1,
            packets=10_000,
        ),
    )
    observed: Observation = observation(target=slightly_busy, client=slightly_busy)
    zero_thresholds = (
        "load_thread_cores",
        "load_thread_wait_share",
        "background_cores",
        "background_s",
        "steal_s",
        "steal",
        "throttled_periods",
        "pressure_stall_share",
        "frequency_drop",
        "sampler_cores",
        "retransmits",
        "connections_opened",
        "nic_drop_share",
        "docker_proxy_cores",
    )
    strict = dict.fromkeys(zero_thresholds, 0.0) | {"clock_offset_s": -0.01}
    set_here = {
        check.code
        for check in CHECKS
        if check.thresholds and {each.name for each in check.thresholds} <= set(strict)
    }
    assert len(set_here) >= 13  # a check without these thresholds is not tested here
    strict_codes = {
        finding.code for finding in evaluate_run(run(), FLASK, observed, strict).findings
    }
    assert strict_codes >= set_here
    default_codes = {finding.code for finding in evaluate_run(run(), FLASK, observed).findings}
    assert default_codes == {"listen-overflow", "memory-limit-hit"}
