"""Findings about several clients: each is looked at by itself and named."""

from typing import Any

import pytest
from builders import FLASK, client_side, client_usage, figures, load_result, log, observation, run

from fwbench.checks.evaluate import evaluate_run
from fwbench.model.load import Load
from fwbench.model.observation import ClientOverlap
from fwbench.model.telemetry import ClockOffset, LoadThread, NetworkUsage
from fwbench.model.verdict import Verdict

LOAD = Load(connections=20, duration_s=3)  # each of both has what builders' figures say
TOGETHER = ClientOverlap(skew_s=0.004, uncertainty_s=0.01, overlap_s=2.99)


def judged(
    load: Load = LOAD,
    overlap: ClientOverlap = TOGETHER,
    /,
    whole: Any = None,
    **of_the_second: Any,
) -> Verdict:
    first = client_side(host="near", load=load_result(), began_s=100.0, ended_s=103.0)
    changes = {"load": load_result(), "began_s": 100.004, "ended_s": 103.0} | of_the_second
    second = client_side(host="far", **changes)
    both = whole or load_result(summary=figures(), log=log(28336))
    seen = observation(clients=(first, second), overlap=overlap, load=both)
    return evaluate_run(run(load=load), FLASK, seen)


def evidence(verdict: Verdict) -> dict[str, str]:
    return {finding.code: finding.evidence for finding in verdict.findings}


def test_two_clients_that_did_well_give_no_finding() -> None:
    assert judged().findings == ()


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"load": load_result(exit_status=1)}, "loadgen-failed", "h2load exited with status 1"),
        (
            {"load": load_result(timed_out=True, summary=None, log=None)},
            "loadgen-timeout",
            "h2load did not end within 4 s",
        ),
        ({"load": load_result(log=log(14000))}, "log-mismatch", "h2load counts 14168 answered"),
        (
            {"load": load_result(summary=None)},
            "loadgen-output-unknown",
            "h2load's output could not",
        ),
        (
            {
                "usage": client_usage(
                    threads=(LoadThread(tid=1, command="h2load", cores=1, wait_share=0),)
                )
            },
            "client-saturated",
            "1 thread of h2load used up to 100 % of a CPU",
        ),
        (
            {
                "usage": client_usage(
                    threads=(LoadThread(tid=1, command="h2load", cores=0, wait_share=1),)
                )
            },
            "client-starved",
            "a thread of h2load was ready",
        ),
        (
            {"usage": client_usage(background_cores=1.0)},
            "background-load",
            "processes outside the benchmark used 1.00",
        ),
        ({"ended_s": 101.5}, "completion-gap", "the last answer came after 1.5 s of 3 s of load"),
    ],
)
def test_what_is_wrong_with_one_client_is_told_of_it_alone(
    changes: dict[str, Any], code: str, said: str
) -> None:
    found = evidence(judged(**changes))
    assert found[code].startswith(f"on far, {said}")
    assert "near" not in found[code]


def test_what_is_missing_of_one_client_is_told_of_it() -> None:
    assert evidence(judged(usage=None)) == {"telemetry-missing": "there is no telemetry of far"}
    assert evidence(judged(answer_after=None)) == {
        "not-observed": "not observed: the answer after the load"
    }


def test_lost_requests_are_held_against_the_connections_of_the_client() -> None:
    lost = figures(requests_started=14168 + 11)
    assert "requests-lost" in evidence(judged(load=load_result(summary=lost)))
    kept = figures(requests_started=14168 + 10)
    assert evidence(judged(load=load_result(summary=kept))) == {}


def test_a_client_may_open_twice_as_many_connections_as_its_share_has() -> None:
    opened = client_usage(network=NetworkUsage(connections_opened=31))
    assert evidence(judged(usage=opened))["connections-reopened"].startswith(
        "far opened 31 connections for a load with 10"
    )


def test_the_clock_of_each_client_is_held_against_the_targets() -> None:
    clock = ClockOffset(client_minus_target_s=-2, uncertainty_s=0.01)
    assert evidence(judged(clock=clock))["clock-offset"].startswith("far's clock is 2.00 s behind")


def test_a_saturated_client_may_be_helped_by_another_one() -> None:
    threads = (LoadThread(tid=1, command="h2load", cores=0.9, wait_share=0),)
    (found,) = judged(usage=client_usage(threads=threads)).findings
    assert "add a client to the rig" in found.advice
    assert "fwbench_rig" in found.advice


@pytest.mark.parametrize(
    ("skew_s", "uncertainty_s", "expected"),
    [
        (0.04, 0.01, []),
        (0.05, 0.0, []),
        (0.051, 0.0, ["client-skew"]),
        (0.051, None, ["client-skew"]),
        (0.04, 0.011, ["client-skew-uncertain"]),
        (0.04, None, ["client-skew-uncertain"]),
        (None, 0.01, []),
    ],
)
def test_clients_begin_within_50_ms(
    skew_s: float | None, uncertainty_s: float | None, expected: list[str]
) -> None:
    overlap = ClientOverlap(skew_s=skew_s, uncertainty_s=uncertainty_s, overlap_s=3)
    assert list(evidence(judged(LOAD, overlap))) == expected


def test_who_began_last_is_named() -> None:
    overlap = ClientOverlap(skew_s=0.2, uncertainty_s=0.01, overlap_s=3)
    assert evidence(judged(LOAD, overlap, began_s=100.2))["client-skew"] == (
        "far began 200 ms after near (± 10 ms; threshold: 50 ms)"
    )


@pytest.mark.parametrize(("overlap_s", "expected"), [(2.7, []), (2.69, ["short-overlap"])])
def test_clients_load_together_for_nine_tenths_of_the_duration(
    overlap_s: float, expected: list[str]
) -> None:
    overlap = ClientOverlap(skew_s=0, uncertainty_s=0, overlap_s=overlap_s)
    assert list(evidence(judged(LOAD, overlap))) == expected


def test_with_a_number_of_requests_the_whole_time_counts() -> None:
    load = Load(connections=20, requests=28336)
    overlap = ClientOverlap(skew_s=0, uncertainty_s=0, overlap_s=2.5)
    found = evidence(judged(load, overlap))
    assert (
        found["short-overlap"]
        == "all clients loaded at the same time for 2.50 s of 3.00 s (threshold: 90 %)"
    )


def test_the_rate_is_that_of_all_clients_over_the_time_they_have_in_common() -> None:
    load = Load(connections=20, rate=9500, duration_s=3)
    offered = load_result(summary=figures(), log=log(28336))
    assert list(evidence(judged(load, whole=offered))) == ["bursty-rate"]
    short = ClientOverlap(skew_s=0.01, uncertainty_s=0, overlap_s=3.1)
    assert "rate-not-reached" in evidence(judged(load, short, whole=offered))


def test_more_clients_than_connections_can_be_judged() -> None:
    found = evidence(judged(Load(connections=1, duration_s=3)))
    assert isinstance(found, dict)
