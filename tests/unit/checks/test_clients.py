"""Findings with several clients: each client is checked separately and named."""

from typing import Any

import pytest
from builders import FLASK, client_side, client_usage, figures, load_result, log, observation, run

from fwbench.checks.evaluate import evaluate_run
from fwbench.model.load import Load
from fwbench.model.observation import ClientOverlap
from fwbench.model.telemetry import ClockOffset, LoadThread, NetworkUsage
from fwbench.model.verdict import Verdict

LOAD = Load(connections=20, duration_s=3)  # each client has the figures of `builders`
OVERLAP = ClientOverlap(skew_s=0.004, uncertainty_s=0.01, overlap_s=2.99)


def evaluate(
    load: Load = LOAD,
    overlap: ClientOverlap = OVERLAP,
    /,
    merged: Any = None,
    **second_changes: Any,
) -> Verdict:
    first = client_side(host="near", load=load_result(), began_s=100.0, ended_s=103.0)
    changes = {"load": load_result(), "began_s": 100.004, "ended_s": 103.0} | second_changes
    second = client_side(host="far", **changes)
    load_of_both = merged or load_result(summary=figures(), log=log(28336))
    observed = observation(clients=(first, second), overlap=overlap, load=load_of_both)
    return evaluate_run(run(load=load), FLASK, observed)


def evidence_by_code(verdict: Verdict) -> dict[str, str]:
    return {finding.code: finding.evidence for finding in verdict.findings}


def test_two_faultless_clients_give_no_finding() -> None:
    assert evaluate().findings == ()


@pytest.mark.parametrize(
    ("changes", "code", "message"),
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
def test_finding_about_one_client_names_only_that_client(
    changes: dict[str, Any], code: str, message: str
) -> None:
    findings = evidence_by_code(evaluate(**changes))
    assert findings[code].startswith(f"on far, {message}")
    assert "near" not in findings[code]


def test_missing_data_of_one_client_is_reported() -> None:
    assert evidence_by_code(evaluate(usage=None)) == {
        "telemetry-missing": "there is no telemetry of far"
    }
    assert evidence_by_code(evaluate(answer_after=None)) == {
        "not-observed": "not observed: the answer after the load"
    }


def test_lost_requests_are_compared_with_the_clients_connections() -> None:
    lost = figures(requests_started=14168 + 11)
    assert "requests-lost" in evidence_by_code(evaluate(load=load_result(summary=lost)))
    kept = figures(requests_started=14168 + 10)
    assert evidence_by_code(evaluate(load=load_result(summary=kept))) == {}


def test_client_may_open_twice_its_share_of_connections() -> None:
    opened = client_usage(network=NetworkUsage(connections_opened=31))
    assert evidence_by_code(evaluate(usage=opened))["connections-reopened"].startswith(
        "far opened 31 connections for a load with 10"
    )


def test_clock_of_each_client_is_compared_with_the_targets() -> None:
    clock = ClockOffset(client_minus_target_s=-2, uncertainty_s=0.01)
    assert evidence_by_code(evaluate(clock=clock))["clock-offset"].startswith(
        "far's clock is 2.00 s behind"
    )


def test_advice_for_a_saturated_client_is_to_add_a_client() -> None:
    threads = (LoadThread(tid=1, command="h2load", cores=0.9, wait_share=0),)
    (finding,) = evaluate(usage=client_usage(threads=threads)).findings
    assert "add a client to the rig" in finding.advice
    assert "fwbench_rig" in finding.advice


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
def test_clients_must_begin_within_50_ms(
    skew_s: float | None, uncertainty_s: float | None, expected: list[str]
) -> None:
    overlap = ClientOverlap(skew_s=skew_s, uncertainty_s=uncertainty_s, overlap_s=3)
    assert list(evidence_by_code(evaluate(LOAD, overlap))) == expected


def test_client_that_began_last_is_named() -> None:
    overlap = ClientOverlap(skew_s=0.2, uncertainty_s=0.01, overlap_s=3)
    assert evidence_by_code(evaluate(LOAD, overlap, began_s=100.2))["client-skew"] == (
        "far began 200 ms after near (± 10 ms; threshold: 50 ms)"
    )


@pytest.mark.parametrize(("overlap_s", "expected"), [(2.7, []), (2.69, ["short-overlap"])])
def test_clients_must_overlap_for_90_percent_of_the_duration(
    overlap_s: float, expected: list[str]
) -> None:
    overlap = ClientOverlap(skew_s=0, uncertainty_s=0, overlap_s=overlap_s)
    assert list(evidence_by_code(evaluate(LOAD, overlap))) == expected


def test_overlap_of_a_counted_load_refers_to_its_total_time() -> None:
    load = Load(connections=20, requests=28336)
    overlap = ClientOverlap(skew_s=0, uncertainty_s=0, overlap_s=2.5)
    findings = evidence_by_code(evaluate(load, overlap))
    assert (
        findings["short-overlap"]
        == "all clients loaded at the same time for 2.50 s of 3.00 s (threshold: 90 %)"
    )


def test_rate_of_all_clients_is_measured_over_their_overlap() -> None:
    load = Load(connections=20, rate=9500, duration_s=3)
    offered = load_result(summary=figures(), log=log(28336))
    assert list(evidence_by_code(evaluate(load, merged=offered))) == ["bursty-rate"]
    short = ClientOverlap(skew_s=0.01, uncertainty_s=0, overlap_s=3.1)
    assert "rate-not-reached" in evidence_by_code(evaluate(load, short, merged=offered))


def test_more_clients_than_connections_can_be_evaluated() -> None:
    findings = evidence_by_code(evaluate(Load(connections=1, duration_s=3)))
    assert isinstance(findings, dict)
