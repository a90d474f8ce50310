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


def judged(load: Load = TIMED, /, **changes: Any) -> Verdict:
    return evaluate_run(run(load=load), FLASK, observation(**changes))


def codes(verdict: Verdict) -> list[str]:
    return [finding.code for finding in verdict.findings]


def only(verdict: Verdict) -> Finding:
    assert len(verdict.findings) == 1, codes(verdict)
    return verdict.findings[0]


def loaded(load: Load = TIMED, /, **changes: Any) -> Verdict:
    return judged(load, load=load_result(**changes))


def test_an_honest_run_gives_no_finding() -> None:
    assert judged().findings == ()


@pytest.mark.parametrize("version", sorted(path.name for path in SAMPLES.glob("[0-9]*")))
def test_an_honest_run_of_every_recorded_version_gives_no_finding(version: str) -> None:
    said = figures("ok-duration", version)
    assert loaded(summary=said, log=log(said.requests_done)).findings == ()


@pytest.mark.parametrize("version", ["1.52", "1.64", "1.70"])
def test_a_published_load_that_went_well_is_valid_with_two_notes(version: str) -> None:
    said = figures("ok-n", version)
    verdict = loaded(COUNTED, summary=said, log=log(1000, 1))
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
def test_what_h2load_hid_behind_exit_status_0_is_invalid(
    case: str, load: Load, expected: list[str]
) -> None:
    said = figures(case)
    rows = said.requests_done
    an_even_log = log(rows) if rows else log(0, window_s=None, per_second=())
    verdict = loaded(load, summary=said, log=an_even_log)
    invalid = [finding.code for finding in verdict.findings if finding.level is Level.INVALID]
    assert invalid == expected


# The run as a whole


def test_a_run_that_was_not_executed_to_its_end_is_invalid() -> None:
    found = only(judged(failure="target: no answer for 30 s", load=None, answer_after=None))
    assert found.code == "run-failed"
    assert "target: no answer for 30 s" in found.evidence


def test_a_run_without_a_load_is_never_valid() -> None:
    assert codes(judged(load=None)) == ["nothing-done"]


@pytest.mark.parametrize(
    "missing", ["answer_before", "answer_after", "container_before", "container_after"]
)
def test_a_run_of_which_something_was_not_observed_is_suspect(missing: str) -> None:
    verdict = judged(**{missing: None})
    assert (verdict.status, codes(verdict)) == ("suspect", ["not-observed"])


def test_a_kernel_that_counts_no_oom_kills_makes_a_run_suspect() -> None:
    found = only(judged(container_after=container(oom_kills=None)))
    assert (found.code, found.level) == ("not-observed", Level.SUSPECT)
    assert "OOM" in found.evidence


# Answers


def test_no_answer_before_the_load_is_never_ready() -> None:
    asked = Phases(start_s=0.5, ready_s=30.6, total_s=33.0)
    refused = Answer(error="connection refused")
    found = only(judged(answer_before=refused, load=load_result(), phases=asked))
    assert found.code == "never-ready"
    assert found.evidence == (
        "the application did not answer within 30.6 s before the load: connection refused"
    )


def test_an_application_that_neither_settled_nor_answered_is_never_ready() -> None:
    never = container(reached_idle=False, idle_wait_s=30.0)
    verdict = judged(
        answer_before=None, answer_after=None, container_before=never, load=None, failure="gave up"
    )
    assert codes(verdict) == ["run-failed", "never-ready"]


def test_an_application_that_answered_but_never_settled_is_suspect() -> None:
    found = only(judged(container_before=container(reached_idle=False, idle_wait_s=30.0)))
    assert (found.code, found.level) == ("never-idle", Level.SUSPECT)
    assert "30.0 s" in found.evidence


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"status": 500}, "returned status 500 instead of 200"),
        ({"content_type": "text/plain"}, "'text/plain' instead of 'text/html; charset=utf-8'"),
        ({"body": "Hello, world!"}, "the body 'Hello, world!' instead of 'Hello, World!'"),
        ({"body": "Hello, World!\n"}, "'Hello, World!\\n' instead of 'Hello, World!'"),
        ({"body": None}, "no body instead of 'Hello, World!'"),
    ],
)
def test_an_answer_that_differs_from_the_contract_is_invalid(
    moment: str, change: dict[str, Any], shown: str
) -> None:
    found = only(judged(**{f"answer_{moment}": answer(**change)}))
    assert found.code == "contract-broken"
    assert found.evidence.startswith(f"{moment} the load, GET / returned")
    assert shown in found.evidence


def test_no_answer_after_the_load_breaks_the_contract() -> None:
    found = only(judged(answer_after=Answer(error="timed out")))
    assert found.code == "contract-broken"
    assert "timed out" in found.evidence


def test_long_answers_are_shown_from_their_first_difference() -> None:
    contract = HELLO.model_copy(update={"body": "x" * 5000 + "wanted" + "y" * 5000})
    contender = FLASK.model_copy(update={"endpoints": {"hello": contract}})
    wrong = answer(contract, body="x" * 5000 + "broken" + "y" * 5000)
    verdict = evaluate_run(run(), contender, observation(contract, answer_after=wrong))
    evidence = only(verdict).evidence
    assert "broken" in evidence
    assert "wanted" in evidence
    assert "from character 4991 on" in evidence
    assert len(evidence) < 300


# The container


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_container_that_is_not_running_is_invalid(moment: str) -> None:
    found = only(judged(**{f"container_{moment}": container(exit_code=137, **ENDED)}))
    assert found.code == "container-stopped"
    assert moment in found.evidence
    assert "137" in found.evidence


@pytest.mark.parametrize("change", [{"restarts": 1}, {"started_at": "2026-11-23T10:00:03Z"}])
def test_a_restarted_container_is_invalid(change: dict[str, Any]) -> None:
    assert codes(judged(container_after=container(**change))) == ["container-restarted"]


def test_oom_kills_are_told_with_their_number_and_the_memory() -> None:
    limit = 100 * 2**20
    memory = {"memory_peak_bytes": limit, "memory_limit_bytes": limit}
    found = only(
        judged(
            container_before=container(oom_kills=38, **memory),
            container_after=container(oom_kills=98, **memory),
        )
    )
    assert found.code == "oom-kill"
    assert found.evidence == (
        "the kernel's OOM killer killed a process 98 times, 60 of them during the load;"
        " peak memory 100.0 MiB, limit 100.0 MiB"
    )
    assert "h2load" in found.advice


def test_oom_kills_before_the_load_alone_are_invalid_too() -> None:
    state = container(oom_kills=3)
    found = only(judged(container_before=state, container_after=state))
    assert "3 times, 0 of them during the load" in found.evidence


def test_oom_kills_of_a_container_that_ended_are_those_counted_before() -> None:
    verdict = judged(
        container_before=container(oom_kills=2),
        container_after=container(exit_code=137, **ENDED),
    )
    assert codes(verdict) == ["container-stopped", "oom-kill"]


def test_the_engine_is_believed_where_the_kernel_no_longer_counts() -> None:
    verdict = judged(container_after=container(exit_code=137, oom_killed=True, **ENDED))
    assert codes(verdict) == ["container-stopped", "oom-kill"]


def test_a_worker_that_was_replaced_is_invalid() -> None:
    old = container().processes
    new = (*old[:-1], Process(pid=900, started_ticks=9000, command="gunicorn app"))
    found = only(judged(container_after=container(processes=new)))
    assert found.code == "worker-replaced"
    assert "1 of the container's 5 processes" in found.evidence


def test_a_worker_whose_pid_was_used_again_is_seen_as_replaced() -> None:
    old = container().processes
    new = (*old[:-1], old[-1].model_copy(update={"started_ticks": 9000}))
    assert codes(judged(container_after=container(processes=new))) == ["worker-replaced"]


def test_an_additional_process_is_no_finding() -> None:
    more = (*container().processes, Process(pid=900, started_ticks=9000, command="gunicorn app"))
    assert judged(container_after=container(processes=more)).findings == ()


# The load


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"exit_status": 134}, "status 134"),
        ({"stderr": "could not open log\n"}, "could not open log"),
        ({"exit_status": None}, "killed"),
    ],
)
def test_a_load_generator_that_failed_is_invalid(change: dict[str, Any], shown: str) -> None:
    found = only(loaded(**change))
    assert found.code == "loadgen-failed"
    assert shown in found.evidence


def test_a_load_generator_that_never_ended_is_invalid_once() -> None:
    verdict = loaded(timed_out=True, exit_status=None, summary=None, log=None)
    assert codes(verdict) == ["loadgen-timeout"]


def test_output_without_figures_is_invalid() -> None:
    found = only(loaded(summary=None, parse_error="h2load printed no 'finished in' line"))
    assert found.code == "loadgen-output-unknown"
    assert "no 'finished in' line" in found.evidence


@pytest.mark.parametrize(
    "change", [{"requests_failed": 3}, {"requests_errored": 3}, {"requests_timed_out": 3}]
)
def test_requests_that_failed_in_any_way_are_invalid(change: dict[str, Any]) -> None:
    found = only(loaded(summary=figures(**change)))
    assert found.code == "requests-failed"
    assert found.evidence.startswith("3 of 14168 requests failed")


@pytest.mark.parametrize("family", ["3xx", "4xx", "5xx"])
def test_an_answer_outside_2xx_is_invalid(family: str) -> None:
    change: dict[str, Any] = {f"status_{family}": 7}
    found = only(loaded(summary=figures(**change)))
    assert found.code == "responses-not-2xx"
    assert found.evidence == f"7 of 14168 responses did not have a 2xx status ({family}: 7)"


@pytest.mark.parametrize(("allowed", "doubted"), [(0.0, True), (0.001, False), (0.0001, True)])
def test_a_suite_may_allow_a_share_of_failures(allowed: float, doubted: bool) -> None:
    thresholds = {"failed_requests": allowed}
    for change in ({"requests_failed": 7}, {"status_4xx": 7}):
        seen = observation(load=load_result(summary=figures(**change)))
        found = set(codes(evaluate_run(run(), FLASK, seen, thresholds)))
        assert bool(found & {"requests-failed", "responses-not-2xx"}) is doubted


@pytest.mark.parametrize("written", [log(14167), log(truncated_rows=1), None])
def test_a_log_that_has_not_a_row_for_each_answer_is_invalid(written: object) -> None:
    assert only(loaded(log=written)).code == "log-mismatch"


@pytest.mark.parametrize(("more", "expected"), [(10, []), (11, ["requests-lost"])])
def test_more_unanswered_requests_than_connections_are_lost(more: int, expected: list[str]) -> None:
    assert codes(loaded(summary=figures(requests_started=14168 + more))) == expected


@pytest.mark.parametrize(("ratio", "expected"), [(1.015, []), (1.03, ["connections-lost"])])
def test_connections_faster_than_the_headline_tell_of_lost_ones(
    ratio: float, expected: list[str]
) -> None:
    said = figures()
    mean = ratio * said.rate_per_s / TIMED.connections
    spread = said.rate_per_connection.model_copy(update={"mean": mean})
    assert codes(loaded(summary=figures(rate_per_connection=spread))) == expected


@pytest.mark.parametrize(
    "written",
    [
        log(per_second=seconds_of(7000, 0, 7168)),
        log(longest_gap_us=1_000_000),
        log(window_s=2.0, per_second=seconds_of(7000, 7168)),
    ],
    ids=["a second", "across seconds", "at the end"],
)
def test_a_second_without_an_answer_is_invalid(written: object) -> None:
    assert only(loaded(log=written)).code == "completion-gap"


@pytest.mark.parametrize("completions", [(0, 7000, 7168), (7000, 7168, 0)])
def test_a_second_in_which_the_window_begins_or_ends_may_be_empty(
    completions: tuple[int, ...],
) -> None:
    """Seconds are the clock's: little of the first or the last may belong to the window."""
    assert loaded(log=log(per_second=seconds_of(*completions))).findings == ()


def test_rows_outside_the_window_are_rows_of_the_log() -> None:
    assert loaded(log=log(14000, rows_outside_window=168)).findings == ()
    assert codes(loaded(log=log(14000, rows_outside_window=167))) == ["log-mismatch"]


@pytest.mark.parametrize(("elapsed_s", "expected"), [(0.99, ["too-short"]), (1.0, [])])
def test_less_than_a_second_of_load_is_noted(elapsed_s: float, expected: list[str]) -> None:
    rate = 1000 / elapsed_s
    mean = figures("ok-n").rate_per_connection.model_copy(update={"mean": rate / 40})
    said = figures("ok-n", elapsed_s=elapsed_s, rate_per_s=rate, rate_per_connection=mean)
    assert codes(loaded(COUNTED, summary=said, log=log(1000, 1))) == expected


def test_thresholds_are_arguments() -> None:
    strict = {"completion_gap_s": 0.005}
    verdict = evaluate_run(run(), FLASK, observation(), strict)
    assert codes(verdict) == ["completion-gap"]


# All of them


def test_every_finding_that_there_is_gets_collected() -> None:
    verdict = judged(
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
def test_no_combination_of_unknowns_is_too_much(
    answers: list[Answer | None], states: list[Any], load: Any, failure: str | None
) -> None:
    seen: Observation = observation(
        answer_before=answers[0],
        answer_after=answers[1],
        container_before=states[0],
        container_after=states[1],
        load=load,
        failure=failure,
    )
    verdict = evaluate_run(run(), FLASK, seen)
    if load is None or load.summary is None or failure is not None:
        assert verdict.status == "invalid"
