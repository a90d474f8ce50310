import re
from contextlib import suppress
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repository import FIXTURES

from fwbench.errors import ParseError, SuiteError
from fwbench.loadgen.generator import UnsuitableLoadError
from fwbench.loadgen.shares import divide_load
from fwbench.loadgen.wrk import GENERATOR, SCRIPT
from fwbench.model.load import Load, Search

RECORDED = FIXTURES / "wrk/4.1.0"
URL = "http://192.0.2.1:8001/"
RUN = PurePosixPath("/r")


def load(**changes: object) -> Load:
    values: dict[str, object] = {"generator": "wrk", "connections": 8, "duration_s": 5}
    return Load.model_validate(values | changes)


def recorded(case: str) -> str:
    return (RECORDED / f"{case}.out").read_text()


def test_warm_up_is_a_separate_command() -> None:
    load_with_warm_up = load(threads=2, warm_up_s=3)
    assert GENERATOR.warm_up_command_line(load_with_warm_up, URL) == (
        ["wrk", "-t2", "-c8", "-d3s", "--timeout=8s", URL]
    )
    assert GENERATOR.command_line(load_with_warm_up, URL, RUN) == (
        ["wrk", "-t2", "-c8", "-d5s", "--timeout=8s", "-s/r/wrk.lua", URL]
    )
    assert GENERATOR.duration_s(load_with_warm_up) == 8
    assert GENERATOR.skipped_s(load_with_warm_up) == 0


def test_load_without_warm_up_has_no_warm_up_command() -> None:
    assert GENERATOR.warm_up_command_line(load(), URL) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"requests": 100, "duration_s": None}, "requests: wrk has closed loads"),
        ({"rate": 50}, "rate: wrk has closed loads"),
        ({"search": Search(p99_ms=5, lowest=1, highest=9)}, "search: wrk has closed loads"),
        ({"connections": 9, "threads": 2}, "connections: .* 9 is no multiple of 2 threads"),
    ],
)
def test_unsuitable_load_is_rejected_with_its_key(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UnsuitableLoadError, match=message):
        GENERATOR.check_load(load(**changes))


def test_documented_load_suits_wrk() -> None:
    GENERATOR.check_load(load(threads=2, warm_up_s=3))


def test_several_clients_need_a_request_log() -> None:
    with pytest.raises(SuiteError, match="wrk writes no log of its requests"):
        divide_load(load(), 2)


def test_output_of_a_normal_run_is_parsed() -> None:
    summary = GENERATOR.parse_output(recorded("ok"))
    assert summary.requests_done == summary.requests_total == summary.requests_succeeded == 110461
    assert summary.requests_failed == summary.requests_errored == summary.requests_timed_out == 0
    assert summary.elapsed_s == 2.000579
    assert summary.rate_per_s == pytest.approx(55214.52, abs=0.005)  # as wrk prints it
    assert summary.latency is not None
    assert (summary.latency.p50_us, summary.latency.p99_us) == (124, 2561)
    assert (summary.latency.p999_us, summary.latency.max_us) == (4308, 7059)
    assert summary.requests_started is None
    assert summary.status_2xx is None


def test_error_responses_count_as_failed_requests() -> None:
    summary = GENERATOR.parse_output(recorded("all-404"))
    assert (summary.requests_done, summary.requests_succeeded) == (55955, 0)
    assert (summary.requests_failed, summary.requests_errored) == (55955, 0)


def test_broken_connections_count_as_errored_requests() -> None:
    summary = GENERATOR.parse_output(recorded("drop"))
    assert (summary.requests_done, summary.requests_errored) == (23964, 4790)
    assert summary.requests_total == 23964 + 4790


@pytest.mark.parametrize(("case", "done", "timed_out"), [("nothing", 0, 0), ("timeouts", 8, 8)])
def test_latency_is_unknown_if_wrk_measured_none(case: str, done: int, timed_out: int) -> None:
    summary = GENERATOR.parse_output(recorded(case))
    assert (summary.requests_done, summary.requests_timed_out) == (done, timed_out)
    assert summary.latency is not None
    assert set(summary.latency.model_dump().values()) == {None}
    assert summary.request_time_us is not None
    assert summary.request_time_us.min == 0


def test_percentile_needs_ten_answers_beyond_it() -> None:
    few = recorded("ok").replace('"requests": 110461.000', '"requests": 999.000')
    latency = GENERATOR.parse_output(few).latency
    assert latency is not None
    assert (latency.p95_us, latency.p99_us, latency.p999_us) == (741, None, None)
    exactly_ten = recorded("ok").replace('"requests": 110461.000', '"requests": 10000.000')
    latency = GENERATOR.parse_output(exactly_ten).latency
    assert latency is not None
    assert latency.p999_us == 4308


def test_version_is_in_the_first_line() -> None:
    assert GENERATOR.parse_version(recorded("version")) == "debian/4.1.0-3+b2"
    with pytest.raises(ParseError, match="`wrk --version` printed no version: 'nonsense'"):
        GENERATOR.parse_version("nonsense")


@pytest.mark.parametrize(
    "text",
    [
        recorded("refused"),
        recorded("ok") * 2,
        recorded("ok").replace("110461.000", "-1"),
        recorded("ok").replace("110461.000", "0.5"),
        recorded("ok").replace("110461.000", "NaN"),
        recorded("ok").replace('"requests": 110461.000, ', ""),
        recorded("ok").replace('"max_us"', '"0max_us"'),
        recorded("ok").replace("110461.000", "1" + "0" * 400),
        re.sub('"duration_us": [0-9.]+', '"duration_us": 1e-300', recorded("ok")),
        "fwbench-wrk []",
        "fwbench-wrk 7",
        "fwbench-wrk {" + "[" * 100_000,
    ],
)
def test_malformed_output_is_rejected(text: str) -> None:
    with pytest.raises(ParseError, match="wrk printed"):
        GENERATOR.parse_output(text)


@given(st.text(), st.integers(0, 2000))
def test_any_changed_output_is_parsed_or_rejected(inserted: str, position: int) -> None:
    text = recorded("ok")
    with suppress(ParseError):
        GENERATOR.parse_output(text[:position] + inserted + text[position:])


def test_script_prints_every_field_once() -> None:
    script = GENERATOR.files[SCRIPT]
    assert script.count('"requests": %.3f') == 1
    assert script.count("latency:percentile(99.9)") == 1
