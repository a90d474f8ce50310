from typing import Any

import pytest
from builders import (
    COUNTED,
    FLASK,
    HELLO,
    SAMPLES,
    TIMED,
    answer,
    container,
    figures,
    load_result,
    log,
    observation,
    run,
    seconds_of,
)
from hypothesis import given
from hypothesis import strategies as st

from fwbench.checks.evaluate import evaluate_run
from fwbench.model.load import Load
from fwbench.model.observation import Answer, Observation, Phases, Process
from fwbench.model.verdict import Finding, Level, Verdict

ENDED = {"running": False, "oom_kills": None, "memory_peak_bytes": None, "processes": ()}


def evaluate(load: Load = TIMED, /, **changes: Any) -> Verdict:
    return evaluate_run(run(load=load), FLASK, observation(**changes))


def codes(verdict: Verdict) -> list[str]:
    return [finding.code for finding in verdict.findings]


def only_finding(verdict: Verdict) -> Finding:
    assert len(verdict.findings) == 1, codes(verdict)
    return verdict.findings[0]


def evaluate_load(load: Load = TIMED, /, **changes: Any) -> Verdict:
    return evaluate(load, load=load_result(**changes))


def test_normal_run_gives_no_finding() -> None:
    assert evaluate().findings == ()


@pytest.mark.parametrize("version", sorted(path.name for path in SAMPLES.glob("[0-9]*")))
def test_normal_run_of_every_h2load_version_gives_no_finding(version: str) -> None:
    summary = figures("ok-duration", version)
    assert evaluate_load(summary=summary, log=log(summary.requests_done)).findings == ()


@pytest.mark.parametrize("version", ["1.52", "1.64", "1.70"])
def test_published_load_is_valid_with_two_notes(version: str) -> None:
    summary = figures("ok-n", version)
    verdict = evaluate_load(COUNTED, summary=summary, log=log(1000, 1))
    assert verdict.status == "valid"
    assert codes(verdict) == ["too-short", "connection-mean-biased"]
    assert verdict.findings[0].evidence == (
        "1000 requests over 40 connections took 0.06 s, start-up effects included (threshold: 1 s)"
    )


@pytest.mark.parametrize(
    ("case", "load", "expected"),
    [
        ("all-500", Load(connections=10, requests=200), ["requests-failed", "responses-not-2xx"]),
        ("refused", Load(connections=10, requests=100), ["nothing-done", "requests-failed"]),
        ("reset-n", Load(connections=20, requests=400), ["requests-failed"]),
        ("killed-duration", Load(connections=10, duration_s=3), ["connections-lost"]),
        ("killed-warm-up", Load(connections=10, warm_up_s=2, duration_s=3), ["nothing-done"]),
    ],
)
def test_failures_despite_exit_status_0_are_invalid(
    case: str, load: Load, expected: list[str]
) -> None:
    summary = figures(case)
    rows = summary.requests_done
    even_log = log(rows) if rows else log(0, window_s=None, per_second=())
    verdict = evaluate_load(load, summary=summary, log=even_log)
    invalid = [finding.code for finding in verdict.findings if finding.level is Level.INVALID]
    assert invalid == expected


# The run as a whole


def test_aborted_run_is_invalid() -> None:
    finding = only_finding(
        evaluate(failure="target: no answer for 30 s", load=None, answer_after=None)
    )
    assert finding.code == "run-failed"
    assert "target: no answer for 30 s" in finding.evidence


def test_run_without_a_load_is_invalid() -> None:
    assert codes(evaluate(load=None)) == ["nothing-done"]


@pytest.mark.parametrize(
    "missing", ["answer_before", "answer_after", "container_before", "container_after"]
)
def test_run_with_a_missing_observation_is_suspect(missing: str) -> None:
    verdict = evaluate(**{missing: None})
    assert (verdict.status, codes(verdict)) == ("suspect", ["not-observed"])


def test_unknown_number_of_oom_kills_is_suspect() -> None:
    finding = only_finding(evaluate(container_after=container(oom_kills=None)))
    assert (finding.code, finding.level) == ("not-observed", Level.SUSPECT)
    assert "OOM" in finding.evidence


# Answers


def test_no_answer_before_the_load_is_never_ready() -> None:
    phases = Phases(start_s=0.5, ready_s=30.6, total_s=33.0)
    refused = Answer(error="connection refused")
    finding = only_finding(evaluate(answer_before=refused, load=load_result(), phases=phases))
    assert finding.code == "never-ready"
    assert finding.evidence == (
        "the application did not answer within 30.6 s before the load: connection refused"
    )


def test_application_neither_idle_nor_answering_is_never_ready() -> None:
    not_idle = container(reached_idle=False, idle_wait_s=30.0)
    verdict = evaluate(
        answer_before=None,
        answer_after=None,
        container_before=not_idle,
        load=None,
        failure="gave up",
    )
    assert codes(verdict) == ["run-failed", "never-ready"]


def test_application_that_answers_but_is_never_idle_is_suspect() -> None:
    finding = only_finding(
        evaluate(container_before=container(reached_idle=False, idle_wait_s=30.0))
    )
    assert (finding.code, finding.level) == ("never-idle", Level.SUSPECT)
    assert "30.0 s" in finding.evidence


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("change", "excerpt"),
    [
        ({"status": 500}, "returned status 500 instead of 200"),
        ({"content_type": "text/plain"}, "'text/plain' instead of 'text/html; charset=utf-8'"),
        ({"body": "Hello, world!"}, "the body 'Hello, world!' instead of 'Hello, World!'"),
        ({"body": "Hello, World!\n"}, "'Hello, World!\\n' instead of 'Hello, World!'"),
        ({"body": None}, "no body instead of 'Hello, World!'"),
    ],
)
def test_answer_that_breaks_the_contract_is_invalid(
    moment: str, change: dict[str, Any], excerpt: str
) -> None:
    finding = only_finding(evaluate(**{f"answer_{moment}": answer(**change)}))
    assert finding.code == "contract-broken"
    assert finding.evidence.startswith(f"{moment} the load, GET / returned")
    assert excerpt in finding.evidence


def test_no_answer_after_the_load_breaks_the_contract() -> None:
    finding = only_finding(evaluate(answer_after=Answer(error="timed out")))
    assert finding.code == "contract-broken"
    assert "timed out" in finding.evidence


def test_long_bodies_are_quoted_from_their_first_difference() -> None:
    contract = HELLO.model_copy(update={"body": "x" * 5000 + "wanted" + "y" * 5000})
    contender = FLASK.model_copy(update={"endpoints": {"hello": contract}})
    wrong = answer(contract, body="x" * 5000 + "broken" + "y" * 5000)
    verdict = evaluate_run(run(), contender, observation(contract, answer_after=wrong))
    evidence = only_finding(verdict).evidence
    assert "broken" in evidence
    assert "wanted" in evidence
    assert "from character 4991 on" in evidence
    assert len(evidence) < 300


# The container


@pytest.mark.parametrize("moment", ["before", "after"])
def test_stopped_container_is_invalid(moment: str) -> None:
    finding = only_finding(evaluate(**{f"container_{moment}": container(exit_code=137, **ENDED)}))
    assert finding.code == "container-stopped"
    assert moment in finding.evidence
    assert "137" in finding.evidence


@pytest.mark.parametrize("change", [{"restarts": 1}, {"started_at": "2026-11-23T10:00:03Z"}])
def test_restarted_container_is_invalid(change: dict[str, Any]) -> None:
    assert codes(evaluate(container_after=container(**change))) == ["container-restarted"]


def test_oom_kills_are_reported_with_their_number_and_memory() -> None:
    limit = 100 * 2**20
    memory = {"memory_peak_bytes": limit, "memory_limit_bytes": limit}
    finding = only_finding(
        evaluate(
            container_before=container(oom_kills=38, **memory),
            container_after=container(oom_kills=98, **memory),
        )
    )
    assert finding.code == "oom-kill"
    assert finding.evidence == (
        "the kernel's OOM killer killed a process 98 times, 60 of them during the load;"
        " peak memory 100.0 MiB, limit 100.0 MiB"
    )
    assert "h2load" in finding.advice


def test_oom_kills_only_before_the_load_are_invalid() -> None:
    state = container(oom_kills=3)
    finding = only_finding(evaluate(container_before=state, container_after=state))
    assert "3 times, 0 of them during the load" in finding.evidence


def test_stopped_container_keeps_its_earlier_oom_kills() -> None:
    verdict = evaluate(
        container_before=container(oom_kills=2),
        container_after=container(exit_code=137, **ENDED),
    )
    assert codes(verdict) == ["container-stopped", "oom-kill"]


def test_oom_flag_of_the_engine_replaces_a_missing_count() -> None:
    verdict = evaluate(container_after=container(exit_code=137, oom_killed=True, **ENDED))
    assert codes(verdict) == ["container-stopped", "oom-kill"]


def test_replaced_worker_is_invalid() -> None:
    old = container().processes
    new = (*old[:-1], Process(pid=900, started_ticks=9000, command="gunicorn app"))
    finding = only_finding(evaluate(container_after=container(processes=new)))
    assert finding.code == "worker-replaced"
    assert "1 of the container's 5 processes" in finding.evidence


def test_worker_with_a_reused_pid_counts_as_replaced() -> None:
    old = container().processes
    new = (*old[:-1], old[-1].model_copy(update={"started_ticks": 9000}))
    assert codes(evaluate(container_after=container(processes=new))) == ["worker-replaced"]


def test_additional_process_gives_no_finding() -> None:
    processes = (
        *container().processes,
        Process(pid=900, started_ticks=9000, command="gunicorn app"),
    )
    assert evaluate(container_after=container(processes=processes)).findings == ()


# The load


@pytest.mark.parametrize(
    ("change", "excerpt"),
    [
        ({"exit_status": 134}, "status 134"),
        ({"stderr": "could not open log\n"}, "could not open log"),
        ({"exit_status": None}, "killed"),
    ],
)
def test_failed_load_generator_is_invalid(change: dict[str, Any], excerpt: str) -> None:
    finding = only_finding(evaluate_load(**change))
    assert finding.code == "loadgen-failed"
    assert excerpt in finding.evidence


def test_load_generator_timeout_gives_one_finding() -> None:
    verdict = evaluate_load(timed_out=True, exit_status=None, summary=None, log=None)
    assert codes(verdict) == ["loadgen-timeout"]


def test_output_that_cannot_be_parsed_is_invalid() -> None:
    finding = only_finding(
        evaluate_load(summary=None, parse_error="h2load printed no 'finished in' line")
    )
    assert finding.code == "loadgen-output-unknown"
    assert "no 'finished in' line" in finding.evidence


@pytest.mark.parametrize(
    "change", [{"requests_failed": 3}, {"requests_errored": 3}, {"requests_timed_out": 3}]
)
def test_failed_requests_of_any_kind_are_invalid(change: dict[str, Any]) -> None:
    finding = only_finding(evaluate_load(summary=figures(**change)))
    assert finding.code == "requests-failed"
    assert finding.evidence.startswith("3 of 14168 requests failed")


@pytest.mark.parametrize("family", ["3xx", "4xx", "5xx"])
def test_response_without_2xx_status_is_invalid(family: str) -> None:
    change: dict[str, Any] = {f"status_{family}": 7}
    finding = only_finding(evaluate_load(summary=figures(**change)))
    assert finding.code == "responses-not-2xx"
    assert finding.evidence == f"7 of 14168 responses did not have a 2xx status ({family}: 7)"


@pytest.mark.parametrize(("allowed", "fires"), [(0.0, True), (0.001, False), (0.0001, True)])
def test_suite_may_allow_a_share_of_failures(allowed: float, fires: bool) -> None:
    thresholds = {"failed_requests": allowed}
    for change in ({"requests_failed": 7}, {"status_4xx": 7}):
        observed = observation(load=load_result(summary=figures(**change)))
        fired = set(codes(evaluate_run(run(), FLASK, observed, thresholds)))
        assert bool(fired & {"requests-failed", "responses-not-2xx"}) is fires


@pytest.mark.parametrize("request_log", [log(14167), log(truncated_rows=1), None])
def test_log_without_a_row_for_each_answer_is_invalid(request_log: object) -> None:
    assert only_finding(evaluate_load(log=request_log)).code == "log-mismatch"


@pytest.mark.parametrize(("unanswered", "expected"), [(10, []), (11, ["requests-lost"])])
def test_more_unanswered_requests_than_connections_are_lost(
    unanswered: int, expected: list[str]
) -> None:
    assert codes(evaluate_load(summary=figures(requests_started=14168 + unanswered))) == expected


@pytest.mark.parametrize(("ratio", "expected"), [(1.015, []), (1.03, ["connections-lost"])])
def test_connection_rates_above_the_total_show_lost_connections(
    ratio: float, expected: list[str]
) -> None:
    summary = figures()
    mean = ratio * summary.rate_per_s / TIMED.connections
    rates = summary.rate_per_connection.model_copy(update={"mean": mean})
    assert codes(evaluate_load(summary=figures(rate_per_connection=rates))) == expected


@pytest.mark.parametrize(
    "request_log",
    [
        log(per_second=seconds_of(7000, 0, 7168)),
        log(longest_gap_us=1_000_000),
        log(window_s=2.0, per_second=seconds_of(7000, 7168)),
    ],
    ids=["a second", "across seconds", "at the end"],
)
def test_second_without_an_answer_is_invalid(request_log: object) -> None:
    assert only_finding(evaluate_load(log=request_log)).code == "completion-gap"


@pytest.mark.parametrize("completions", [(0, 7000, 7168), (7000, 7168, 0)])
def test_first_and_last_second_may_be_empty(
    completions: tuple[int, ...],
) -> None:
    """Seconds are those of the clock; the window may cover little of the first or the last."""
    assert evaluate_load(log=log(per_second=seconds_of(*completions))).findings == ()


def test_rows_outside_the_window_count_as_rows_of_the_log() -> None:
    assert evaluate_load(log=log(14000, rows_outside_window=168)).findings == ()
    assert codes(evaluate_load(log=log(14000, rows_outside_window=167))) == ["log-mismatch"]


@pytest.mark.parametrize(("elapsed_s", "expected"), [(0.99, ["too-short"]), (1.0, [])])
def test_load_shorter_than_a_second_gets_a_note(elapsed_s: float, expected: list[str]) -> None:
    rate = 1000 / elapsed_s
    mean = figures("ok-n").rate_per_connection.model_copy(update={"mean": rate / 40})
    summary = figures("ok-n", elapsed_s=elapsed_s, rate_per_s=rate, rate_per_connection=mean)
    assert codes(evaluate_load(COUNTED, summary=summary, log=log(1000, 1))) == expected


def test_thresholds_are_arguments() -> None:
    strict = {"completion_gap_s": 0.005}
    verdict = evaluate_run(run(), FLASK, observation(), strict)
    assert codes(verdict) == ["completion-gap"]


# Combinations


def test_all_findings_are_collected() -> None:
    verdict = evaluate(
        answer_after=answer(status=500),
        container_after=container(oom_kills=1),
        load=load_result(stderr="broken", log=log(14167)),
    )
    assert codes(verdict) == ["contract-broken", "oom-kill", "loadgen-failed", "log-mismatch"]


def _maybe(changes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | changes


@given(
    answers=st.lists(_maybe(st.builds(Answer)), min_size=2, max_size=2),
    states=st.lists(
        _maybe(
            st.builds(
                container,
                running=st.booleans(),
                oom_kills=_maybe(st.integers(0, 5)),
                reached_idle=_maybe(st.booleans()),
                memory_peak_bytes=_maybe(st.integers(0, 2**40)),
            )
        ),
        min_size=2,
        max_size=2,
    ),
    load=_maybe(
        st.builds(
            load_result,
            exit_status=_maybe(st.integers(0, 255)),
            timed_out=st.booleans(),
            summary=_maybe(st.sampled_from([figures(), figures("refused"), figures("ok-n")])),
            log=_maybe(st.sampled_from([log(), log(0, window_s=None, longest_gap_us=None)])),
        )
    ),
    failure=_maybe(st.text()),
)
def test_any_combination_of_missing_values_is_evaluated(
    answers: list[Answer | None], states: list[Any], load: Any, failure: str | None
) -> None:
    observed: Observation = observation(
        answer_before=answers[0],
        answer_after=answers[1],
        container_before=states[0],
        container_after=states[1],
        load=load,
        failure=failure,
    )
    verdict = evaluate_run(run(), FLASK, observed)
    if load is None or load.summary is None or failure is not None:
        assert verdict.status == "invalid"
