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


def test_the_warm_up_is_a_command_of_its_own() -> None:
    asked = load(threads=2, warm_up_s=3)
    assert GENERATOR.warm_up_command_line(asked, URL) == (
        ["wrk", "-t2", "-c8", "-d3s", "--timeout=8s", URL]
    )
    assert GENERATOR.command_line(asked, URL, RUN) == (
        ["wrk", "-t2", "-c8", "-d5s", "--timeout=8s", "-s/r/wrk.lua", URL]
    )
    assert GENERATOR.duration_s(asked) == 8
    assert GENERATOR.skipped_s(asked) == 0


def test_without_a_warm_up_there_is_one_command() -> None:
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
def test_a_load_that_wrk_cannot_offer_names_its_key(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UnsuitableLoadError, match=message):
        GENERATOR.check_load(load(**changes))


def test_the_loads_of_the_documentation_suit_wrk() -> None:
    GENERATOR.check_load(load(threads=2, warm_up_s=3))


def test_several_clients_need_a_log() -> None:
    with pytest.raises(SuiteError, match="wrk writes no log of its requests"):
        divide_load(load(), 2)


def test_a_sound_run_has_its_figures_as_numbers() -> None:
    figures = GENERATOR.parse_output(recorded("ok"))
    assert figures.requests_done == figures.requests_total == figures.requests_succeeded == 110461
    assert figures.requests_failed == figures.requests_errored == figures.requests_timed_out == 0
    assert figures.elapsed_s == 2.000579
    assert figures.rate_per_s == pytest.approx(55214.52, abs=0.005)  # as wrk prints it
    assert figures.latency is not None
    assert (figures.latency.p50_us, figures.latency.p99_us) == (124, 2561)
    assert (figures.latency.p999_us, figures.latency.max_us) == (4308, 7059)
    assert figures.requests_started is None
    assert figures.status_2xx is None


def test_errors_count_as_answers_that_failed() -> None:
    figures = GENERATOR.parse_output(recorded("all-404"))
    assert (figures.requests_done, figures.requests_succeeded) == (55955, 0)
    assert (figures.requests_failed, figures.requests_errored) == (55955, 0)


def test_connections_that_break_count_as_requests_without_an_answer() -> None:
    figures = GENERATOR.parse_output(recorded("drop"))
    assert (figures.requests_done, figures.requests_errored) == (23964, 4790)
    assert figures.requests_total == 23964 + 4790


@pytest.mark.parametrize(("case", "done", "timed_out"), [("nothing", 0, 0), ("timeouts", 8, 8)])
def test_without_a_latency_there_is_none(case: str, done: int, timed_out: int) -> None:
    figures = GENERATOR.parse_output(recorded(case))
    assert (figures.requests_done, figures.requests_timed_out) == (done, timed_out)
    assert figures.latency is not None
    assert set(figures.latency.model_dump().values()) == {None}
    assert figures.request_time_us is not None
    assert figures.request_time_us.min == 0


def test_a_percentile_has_at_least_ten_answers_beyond_it() -> None:
    few = recorded("ok").replace('"requests": 110461.000', '"requests": 999.000')
    latency = GENERATOR.parse_output(few).latency
    assert latency is not None
    assert (latency.p95_us, latency.p99_us, latency.p999_us) == (741, None, None)
    exactly_ten = recorded("ok").replace('"requests": 110461.000', '"requests": 10000.000')
    latency = GENERATOR.parse_output(exactly_ten).latency
    assert latency is not None
    assert latency.p999_us == 4308


def test_the_version_is_in_the_first_line() -> None:
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
        "fwbench-wrk []",
        "fwbench-wrk 7",
        "fwbench-wrk {" + "[" * 100_000,
    ],
)
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(ParseError, match="wrk printed"):
        GENERATOR.parse_output(text)


@given(st.text(), st.integers(0, 2000))
def test_no_output_makes_the_parser_fail_otherwise(inserted: str, at: int) -> None:
    text = recorded("ok")
    with suppress(ParseError):
        GENERATOR.parse_output(text[:at] + inserted + text[at:])


def test_the_script_prints_every_field_once() -> None:
    script = GENERATOR.files[SCRIPT]
    assert script.count('"requests": %.3f') == 1
    assert script.count("latency:percentile(99.9)") == 1
