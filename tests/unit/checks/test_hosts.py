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


def judged(**changes: Any) -> Verdict:
    return evaluate_run(run(), FLASK, observation(**changes))


def codes(**changes: Any) -> list[str]:
    return [finding.code for finding in judged(**changes).findings]


def only(**changes: Any) -> Finding:
    (found,) = judged(**changes).findings
    return found


def usage(side: str, **changes: Any) -> dict[str, HostUsage]:
    return {side: target_usage(**changes) if side == "target" else client_usage(**changes)}


def used(**changes: Any) -> HostUsage:
    return target_usage(container=ContainerUsage(**changes))


def networked(side: str, **changes: Any) -> dict[str, HostUsage]:
    return usage(side, network=NetworkUsage(**changes))


def test_hosts_at_rest_give_no_finding() -> None:
    assert codes() == []


# Missing


@pytest.mark.parametrize("side", BOTH)
def test_a_host_of_which_nothing_is_known_makes_a_run_suspect(side: str) -> None:
    found = only(**{side: None})
    assert (found.code, found.level) == ("telemetry-missing", Level.SUSPECT)
    assert found.evidence == f"there is no telemetry of the {side}"


def test_both_hosts_may_be_missing() -> None:
    found = only(target=None, client=None)
    assert found.evidence == "there is no telemetry of the target and the client"


def test_a_run_that_failed_lacks_no_telemetry() -> None:
    assert "telemetry-missing" not in codes(target=None, client=None, failure="lost")
    assert "telemetry-missing" not in codes(target=None, client=None, load=None)


BARE = HostUsage(window_s=1, samples=2)
BARE_TARGET = HostUsage(window_s=1, samples=2, container=ContainerUsage())


@pytest.mark.parametrize("target", [BARE, BARE_TARGET])
def test_what_is_unknown_is_never_a_finding(target: HostUsage) -> None:
    assert codes(target=target, client=BARE, clock=None) == []


# The client


@pytest.mark.parametrize(("cores", "expected"), [(0.7, []), (0.71, ["client-saturated"])])
def test_a_thread_near_the_end_of_its_core_saturates_the_client(
    cores: float, expected: list[str]
) -> None:
    threads = (
        LoadThread(tid=1, command="h2load", cores=cores, wait_share=0),
        LoadThread(tid=2, command="h2load", cores=0.1, wait_share=0),
    )
    assert codes(client=client_usage(threads=threads)) == expected


def test_a_saturated_client_is_told_in_numbers() -> None:
    thread = LoadThread(tid=1, command="h2load", cores=0.85, wait_share=0)
    found = only(client=client_usage(threads=(thread,)))
    assert found.level is Level.INVALID
    assert found.evidence.startswith(
        "1 thread of h2load used up to 85 % of a CPU (threshold: 70 %)"
    )
    assert "threads" in found.advice


@pytest.mark.parametrize(("wait", "expected"), [(0.1, []), (0.11, ["client-starved"])])
def test_a_thread_that_waits_for_a_cpu_is_starved(wait: float, expected: list[str]) -> None:
    thread = LoadThread(tid=1, command="h2load", cores=0.2, wait_share=wait)
    assert codes(client=client_usage(threads=(thread,))) == expected


# Either host


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(("cores", "expected"), [(0.05, []), (0.06, ["background-load"])])
def test_others_that_are_busy_disturb(side: str, cores: float, expected: list[str]) -> None:
    assert codes(**usage(side, background_cores=cores)) == expected


def test_the_host_and_the_busiest_process_are_named() -> None:
    busy = BusyProcess(command="apt-get", cores=0.9)
    found = only(**usage("client", background_cores=0.93, busiest_background_process=busy))
    assert found.level is Level.INVALID
    assert found.evidence == (
        "on the client, processes outside the benchmark used 0.93 of a CPU (threshold: 0.05),"
        " most of it by 'apt-get' (0.90)"
    )


@pytest.mark.parametrize(("cores", "named"), [(0.8, True), (0.79, False)])
def test_a_process_that_used_little_of_it_is_not_named(cores: float, named: bool) -> None:
    """One that came and went is in what was used, and in no list of processes."""
    busy = BusyProcess(command="sshd-session", cores=cores)
    evidence = only(
        **usage("target", background_cores=1.6, busiest_background_process=busy)
    ).evidence
    assert ("sshd-session" in evidence) is named
    assert ("short-lived" in evidence) is not named


@pytest.mark.parametrize(("window_s", "expected"), [(0.45, []), (2.5, ["steal"])])
def test_a_tick_or_two_of_a_short_load_are_no_doubt(window_s: float, expected: list[str]) -> None:
    assert codes(**usage("target", steal_share=0.02, window_s=window_s)) == expected


@pytest.mark.parametrize(("window_s", "expected"), [(0.45, []), (1.9, ["background-load"])])
def test_the_little_that_begins_and_ends_a_short_load_is_no_doubt(
    window_s: float, expected: list[str]
) -> None:
    assert codes(**usage("target", background_cores=0.08, window_s=window_s)) == expected


def test_both_hosts_are_named() -> None:
    busy = {"background_cores": 0.5, "busiest_background_process": None}
    evidence = only(**usage("target", **busy), **usage("client", **busy)).evidence
    assert evidence.startswith("on the target, ")
    assert "; on the client, " in evidence


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(
    ("stolen", "expected"), [(0.01, []), (0.011, ["steal"]), (0.0, []), (None, [])]
)
def test_time_that_was_stolen_from_busy_cpus_is_a_reason_for_doubt(
    side: str, stolen: float | None, expected: list[str]
) -> None:
    assert codes(**usage(side, steal_share=stolen)) == expected


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(
    ("stalls", "expected"),
    [
        (PressureStalls(cpu=1, memory=0.05, io=0.05), []),
        (PressureStalls(memory=0.06), ["pressure"]),
        (PressureStalls(io=0.06), ["pressure"]),
    ],
)
def test_waiting_for_memory_or_the_disk_is_suspect(
    side: str, stalls: PressureStalls, expected: list[str]
) -> None:
    assert codes(**usage(side, stalls=stalls)) == expected


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(
    ("lowest", "governors", "expected"),
    [
        (2700, ("powersave",), []),
        (2690, ("powersave",), ["governor"]),
        (1000, ("performance",), []),
        (1000, ("performance", "powersave"), ["governor"]),
        (1000, (), []),
    ],
)
def test_a_clock_that_varies_under_another_governor_is_suspect(
    side: str, lowest: float, governors: tuple[str, ...], expected: list[str]
) -> None:
    clock = Frequency(min_mhz=lowest, mean_mhz=2900, max_mhz=3000, governors=governors)
    assert codes(**usage(side, frequency=clock)) == expected


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(("cores", "expected"), [(0.01, []), (0.011, ["sampler-overhead"])])
def test_a_sampler_that_costs_much_is_noted(side: str, cores: float, expected: list[str]) -> None:
    assert codes(**usage(side, sampler_cores=cores)) == expected


# The container


@pytest.mark.parametrize(("throttled", "expected"), [(1, []), (2, ["cpu-throttled"])])
def test_a_quota_that_is_used_up_is_noted(throttled: int, expected: list[str]) -> None:
    assert codes(target=used(quota_periods=20, throttled_periods=throttled)) == expected


def test_a_quota_that_a_suite_asks_for_makes_no_run_suspect() -> None:
    verdict = judged(target=used(quota_periods=20, throttled_periods=20, throttled_s=1.0))
    assert verdict.status == "valid"
    assert verdict.findings[0].evidence == (
        "the container used up its CPU quota in 20 of 20 periods (threshold: 5 %) and was stopped"
        " for the rest of each, 1.00 s in total"
    )


@pytest.mark.parametrize(("hits", "expected"), [(0, []), (1, ["memory-limit-hit"])])
def test_a_memory_limit_that_was_reached_is_suspect(hits: int, expected: list[str]) -> None:
    assert codes(target=used(memory_limit_hits=hits)) == expected


# The network


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"listen_overflows": 0, "listen_drops": 0}, []),
        ({"listen_overflows": 1, "listen_drops": 1}, ["listen-overflow"]),
        ({"listen_drops": 1}, ["listen-overflow"]),
    ],
)
def test_a_queue_that_overflows_is_invalid(change: dict[str, int], expected: list[str]) -> None:
    assert codes(**networked("target", **change)) == expected
    assert codes(**networked("client", **change)) == []  # nothing connects to it


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(("again", "expected"), [(50, []), (51, ["retransmits"])])
def test_segments_sent_again_are_suspect(side: str, again: int, expected: list[str]) -> None:
    assert codes(**networked(side, retransmits=again, segments_sent=10_000)) == expected


@pytest.mark.parametrize(
    ("beyond", "expected"), [(None, []), (0, []), (1, ["connections-reopened"])]
)
def test_more_connections_than_the_load_has_are_suspect(
    beyond: int | None, expected: list[str]
) -> None:
    opened = None if beyond is None else 2 * run().trial.load.connections + 10 + beyond
    assert codes(**networked("client", connections_opened=opened)) == expected
    assert codes(**networked("target", connections_opened=opened)) == []


def test_connections_that_are_not_kept_are_counted() -> None:
    load = run(load=Load(connections=4, duration_s=3))
    seen = observation(**networked("client", connections_opened=3007))
    (found,) = (
        f for f in evaluate_run(load, FLASK, seen).findings if f.code == "connections-reopened"
    )
    assert found.level is Level.SUSPECT
    assert found.evidence == (
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
def test_packets_that_a_device_loses_are_suspect(
    side: str, change: dict[str, int], expected: list[str]
) -> None:
    assert codes(**networked(side, **change)) == expected


@pytest.mark.parametrize(("cores", "expected"), [(0.05, []), (0.06, ["docker-proxy-busy"])])
def test_a_way_through_docker_proxy_is_suspect(cores: float, expected: list[str]) -> None:
    assert codes(target=target_usage(docker_proxy_cores=cores)) == expected


@pytest.mark.parametrize(
    ("apart_s", "unsure_s", "expected"),
    [
        (0.11, 0.01, []),
        (0.12, 0.01, ["clock-offset"]),
        (-0.12, 0.01, ["clock-offset"]),
        (0.5, 0.45, []),
    ],
)
def test_clocks_that_are_apart_are_suspect(
    apart_s: float, unsure_s: float, expected: list[str]
) -> None:
    clock = ClockOffset(client_minus_target_s=apart_s, uncertainty_s=unsure_s)
    assert codes(clock=clock) == expected


# Thresholds


def test_every_threshold_is_an_argument() -> None:
    """Of a host where everything is a little busy, thresholds of nothing leave nothing out."""
    clock = Frequency(min_mhz=2999, mean_mhz=2999, max_mhz=3000, governors=("schedutil",))
    all_of_it = host_usage(
        steal_share=0.0001,
        docker_proxy_cores=0.001,
        frequency=clock,
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
    seen: Observation = observation(target=all_of_it, client=all_of_it)
    names = (
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
    strict = dict.fromkeys(names, 0.0) | {"clock_offset_s": -0.01}
    of_hosts = {check.code for check in CHECKS if check.order >= 800}
    found = {finding.code for finding in evaluate_run(run(), FLASK, seen, strict).findings}
    assert found >= of_hosts - {"telemetry-missing"}
    lenient = {finding.code for finding in evaluate_run(run(), FLASK, seen).findings}
    assert lenient == {"listen-overflow", "memory-limit-hit"}
