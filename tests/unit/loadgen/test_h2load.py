import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from repository import FIXTURES

from fwbench.checks.support.connection_rate import connection_rate_ratio
from fwbench.errors import ParseError
from fwbench.loadgen.h2load import GENERATOR as h2load  # noqa: N811 - the tool's own spelling
from fwbench.model.figures import LoadSummary, SummaryStatistics
from fwbench.model.load import Load

RECORDED = FIXTURES / "h2load"
VERSIONS = ["1.40", "1.43", "1.52", "1.59", "1.64", "1.68", "1.69", "1.70"]
BEFORE_1_69 = VERSIONS[:6]
SINCE_1_69 = VERSIONS[6:]
RUN = PurePosixPath("/r")
URL = "http://127.0.0.1:8001/"


def recorded(version: str, case: str) -> str:
    return (RECORDED / version / case).read_text()


def meta(out: Path) -> dict[str, str]:
    lines = out.with_suffix(".meta").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines)


OUTPUTS = sorted(RECORDED.glob("*/*.out"))


def recording_id(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


# The command line --------------------------------------------------------------------------------


def test_published_load_has_the_published_command_line() -> None:
    assert h2load.command_line(Load(connections=40, requests=1000), URL, RUN) == (
        ["h2load", "--h1", "-n1000", "-c40", "--log-file=/r/requests.log", URL]
    )


def test_command_line_with_duration_warm_up_and_threads() -> None:
    load = Load(connections=40, threads=2, warm_up_s=2, duration_s=8)
    assert h2load.command_line(load, URL, RUN) == (
        [
            "h2load",
            "--h1",
            "-D8",
            "--warm-up-time=2",
            "-c40",
            "-t2",
            "--log-file=/r/requests.log",
            URL,
        ]
    )


def test_command_line_without_warm_up() -> None:
    assert h2load.command_line(Load(connections=4, duration_s=8), URL, RUN) == (
        ["h2load", "--h1", "-D8", "-c4", "--log-file=/r/requests.log", URL]
    )


def test_fixed_rate_opens_connections_one_by_one() -> None:
    load = Load(connections=40, rate=500, warm_up_s=2, duration_s=5)
    # Each connection sends every 80 ms, so one of the 40 is opened every 2 ms.
    assert h2load.command_line(load, URL, RUN) == [
        *("h2load", "--h1", "-n3560", "--rps=12.5", "-r1", "--rate-period=2ms"),
        *("-c40", "--log-file=/r/requests.log", URL),
    ]
    assert h2load.measured_window_s(load) == (2, 5)
    assert h2load.duration_s(load) == 7


def test_closed_load_has_no_measured_window() -> None:
    assert h2load.measured_window_s(Load(connections=4, warm_up_s=1, duration_s=8)) is None
    assert h2load.duration_s(Load(connections=4, warm_up_s=1, duration_s=8)) == 9
    assert h2load.duration_s(Load(connections=4, requests=8)) is None


@given(
    connections=st.integers(1, 2000),
    threads=st.integers(1, 8),
    rate=st.floats(1, 200_000),
    warm_up_s=st.integers(0, 10),
    duration_s=st.integers(1, 60),
)
def test_every_connection_sends_throughout_the_window(
    connections: int, threads: int, rate: float, warm_up_s: int, duration_s: int
) -> None:
    assume(threads <= connections <= rate * (warm_up_s + duration_s))
    load = Load(
        connections=connections,
        threads=threads,
        rate=rate,
        warm_up_s=warm_up_s,
        duration_s=duration_s,
    )
    options = dict(
        re.findall(r"--?([a-z-]+?)=?([0-9.e+-]+)(?:ms)?$", option)[0]
        for option in h2load.command_line(load, URL, RUN)[2:-2]
    )
    window = h2load.measured_window_s(load)
    assert window is not None
    begin_s, length_s = window
    last_opened_s = float(options["rate-period"]) / 1e3 * (connections / int(options["r"]))
    assert last_opened_s <= begin_s + 1e-9
    requests_per_connection = int(options["n"]) / connections
    assert requests_per_connection == int(requests_per_connection)
    # The connection that is opened first sends until the end of the window.
    assert requests_per_connection / float(options["rps"]) >= begin_s + length_s
    assert float(options["rps"]) * connections == pytest.approx(rate, rel=1e-6)


# The version -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stdout", "version"),
    [
        ("h2load nghttp2/1.52.0\n", "1.52.0"),
        ("h2load nghttp2/1.40.0", "1.40.0"),
        ("h2load nghttp2/1.71.0-DEV\n", "1.71.0-DEV"),
    ],
)
def test_version_follows_nghttp2(stdout: str, version: str) -> None:
    assert h2load.parse_version(stdout) == version


@given(st.text(st.characters()))
def test_output_without_a_version_is_rejected(stdout: str) -> None:
    with pytest.raises(ParseError, match="printed no version"):
        h2load.parse_version(stdout)


# The output --------------------------------------------------------------------------------------


def test_recordings_are_of_exactly_the_listed_versions() -> None:
    assert sorted(path.name for path in RECORDED.iterdir() if path.is_dir()) == VERSIONS


@pytest.mark.parametrize("out", OUTPUTS, ids=recording_id)
def test_every_recorded_output_agrees_with_its_log(out: Path) -> None:
    summary = h2load.parse_output(out.read_text())
    assert summary.requests_done == int(meta(out)["log_rows"])
    assert summary.requests_total == summary.requests_succeeded + summary.requests_failed


def test_format_before_1_69_is_parsed_completely() -> None:
    assert h2load.parse_output(recorded("1.52", "reset-n.out")) == LoadSummary(
        elapsed_s=0.01206,
        rate_per_s=14931.56,
        requests_total=400,
        requests_started=200,
        requests_done=180,
        requests_succeeded=180,
        requests_failed=220,
        requests_errored=220,
        requests_timed_out=0,
        status_2xx=180,
        status_3xx=0,
        status_4xx=0,
        status_5xx=0,
        total_bytes=9180,
        header_bytes=2880,
        data_bytes=2340,
        request_time_us=SummaryStatistics(
            min=258, max=6690, mean=1160, sd=1950, within_sd_percent=88.89
        ),
        connect_time_us=SummaryStatistics(min=60, max=599, mean=287, sd=152, within_sd_percent=60),
        first_byte_time_us=SummaryStatistics(
            min=6760, max=7160, mean=6940, sd=129, within_sd_percent=55
        ),
        rate_per_connection=SummaryStatistics(
            min=764.89, max=822.87, mean=800.87, sd=13.66, within_sd_percent=75
        ),
    )


def test_format_since_1_69_has_median_and_two_percentiles() -> None:
    summary = h2load.parse_output(recorded("1.70", "all-500.out"))
    assert summary.request_time_us == SummaryStatistics(
        min=121,
        max=948,
        median=141,
        p95=790,
        p99=906,
        mean=186,
        sd=157,
        within_sd_percent=95,
    )
    assert summary.rate_per_connection == SummaryStatistics(
        min=4865.5,
        max=5156.22,
        median=5083.82,
        p95=5156.22,
        p99=5156.22,
        mean=5057.8,
        sd=100.97,
        within_sd_percent=80,
    )
    assert summary.connect_time_us.median == 177
    assert summary.first_byte_time_us.max == 1200


@pytest.mark.parametrize("version", VERSIONS)
def test_percentiles_are_unknown_only_before_1_69(version: str) -> None:
    request_time = h2load.parse_output(recorded(version, "ok-n.out")).request_time_us
    assert (request_time.median is None) == (version in BEFORE_1_69)
    assert (request_time.p95 is None) == (version in BEFORE_1_69)
    assert (request_time.p99 is None) == (version in BEFORE_1_69)


@pytest.mark.parametrize("version", VERSIONS)
def test_responses_of_status_500_fail_but_count_in_the_rate(version: str) -> None:
    summary = h2load.parse_output(recorded(version, "all-500.out"))
    assert (summary.requests_succeeded, summary.requests_failed) == (0, 200)
    assert (summary.status_2xx, summary.status_5xx) == (0, 200)
    assert summary.requests_errored == 0
    assert summary.rate_per_s > 0


@pytest.mark.parametrize("version", VERSIONS)
def test_closed_port_gives_only_errors_and_exit_status_0(version: str) -> None:
    summary = h2load.parse_output(recorded(version, "refused.out"))
    assert (summary.requests_started, summary.requests_done) == (0, 0)
    assert (summary.requests_failed, summary.requests_errored) == (100, 100)
    assert summary.elapsed_s > 0
    assert meta(RECORDED / version / "refused.out")["exit"] == "0"


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_h2load_reports_no_failures_of_a_killed_server(version: str) -> None:
    summary = h2load.parse_output(recorded(version, "killed-duration.out"))
    assert summary.requests_failed == summary.requests_errored == 0
    assert summary.requests_started - summary.requests_done == 10
    assert meta(RECORDED / version / "killed-duration.out")["exit"] == "0"


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_server_killed_during_warm_up_gives_zero_requests(version: str) -> None:
    summary = h2load.parse_output(recorded(version, "killed-warm-up.out"))
    assert summary.requests_total == summary.requests_failed == summary.requests_done == 0
    assert connection_rate_ratio(summary, 10) is None
    assert meta(RECORDED / version / "killed-warm-up.out")["exit"] == "0"


@pytest.mark.parametrize("version", VERSIONS)
def test_warm_up_is_excluded_from_total_but_not_from_data_bytes(version: str) -> None:
    summary = h2load.parse_output(recorded(version, "ok-duration.out"))
    assert summary.total_bytes == 78 * summary.requests_done
    assert summary.data_bytes > 13 * summary.requests_done


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_lost_connections_raise_the_connection_rate_ratio(version: str) -> None:
    normal = h2load.parse_output(recorded(version, "ok-duration.out"))
    killed = h2load.parse_output(recorded(version, "killed-duration.out"))
    assert connection_rate_ratio(normal, 10) == pytest.approx(1, abs=0.01)
    assert (connection_rate_ratio(killed, 10) or 0) > 2


@pytest.mark.parametrize(
    ("time", "us"),
    [("0us", 0), ("999us", 999), ("2.04ms", 2040), ("83.37ms", 83370), ("54.01s", 54_010_000)],
)
def test_times_are_converted_to_microseconds(time: str, us: float) -> None:
    text = recorded("1.52", "ok-n.out").replace("2.34ms", time)
    assert h2load.parse_output(text).request_time_us.mean == us


def test_bytes_per_second_may_have_any_unit() -> None:
    text = recorded("1.52", "ok-n.out")
    for unit in ("0B/s", "1023B/s", "1.00KB/s", "1.22MB/s", "3.50GB/s"):
        assert h2load.parse_output(text.replace("1.22MB/s", unit)).rate_per_s == 16450.07


@pytest.mark.parametrize("version", ["1.52", "1.70"])
@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("finished in", "h2load printed no 'finished in' line"),
        ("requests:", "h2load printed no 'requests:' line"),
        ("status codes:", "h2load printed no 'status codes:' line"),
        ("traffic:", "h2load printed no 'traffic:' line"),
        (" ", "h2load printed no table with columns of any known version"),
        ("req/s", "h2load printed no 'req/s' row"),
    ],
)
def test_missing_line_is_named(version: str, prefix: str, message: str) -> None:
    lines = recorded(version, "ok-n.out").splitlines()
    text = "\n".join(line for line in lines if not line.startswith(prefix))
    with pytest.raises(ParseError, match=f"^{re.escape(message)}$"):
        h2load.parse_output(text)


@pytest.mark.parametrize(
    ("original", "changed", "message"),
    [
        ("60.79ms", "60.79", "h2load printed no time but '60.79'"),
        ("60.79ms", "60.8ms", "h2load printed no time but '60.8ms'"),
        ("16450.07", "nan", "malformed 'finished in' line: 'finished in 60.79ms, nan req/s"),
        ("1000 done", "1_000 done", "malformed 'requests:' line"),
        ("1000 2xx", "-1 2xx", "malformed 'status codes:' line"),
        ("1000 2xx", f"{'9' * 5000} 2xx", "malformed 'status codes:' line"),
        ("(78000)", "(76.17K)", "malformed 'traffic:' line"),
        ("(space savings", "(wasted", "malformed 'traffic:' line"),
        ("   78.60%", "", "malformed 'time for request' row"),
        ("78.60%", "78.60", "malformed 'time for request' row"),
        ("78.60%", "most%", "h2load printed no number with two decimals but 'most'"),
        ("1.08ms", "1.08min", "h2load printed no time but '1.08min'"),
        ("413.81", "4e2", "h2load printed no number with two decimals but '4e2'"),
        ("mean", "average", "no table with columns of any known version"),
        ("time to 1st byte", "time to last byte", "h2load printed no 'time to 1st byte' row"),
    ],
)
def test_malformed_value_is_quoted(original: str, changed: str, message: str) -> None:
    text = recorded("1.52", "ok-n.out")
    assert text.count(original) == 1
    with pytest.raises(ParseError, match=re.escape(message)):
        h2load.parse_output(text.replace(original, changed))


def test_quotation_is_short() -> None:
    text = recorded("1.52", "ok-n.out").replace("req/s, 1.22MB/s", "." * 9999)
    with pytest.raises(ParseError) as caught:
        h2load.parse_output(text)
    assert len(str(caught.value)) < 300


def test_output_of_two_runs_is_rejected() -> None:
    text = recorded("1.52", "ok-n.out")
    with pytest.raises(ParseError, match="'finished in' line 2 times"):
        h2load.parse_output(text + text)


def test_truncated_output_is_rejected() -> None:
    for version in ("1.40", "1.69"):
        text = recorded(version, "ok-n.out").rstrip("\n")
        for end in range(len(text)):
            with pytest.raises(ParseError):
                h2load.parse_output(text[:end])


def parse_or_reject(parse: Callable[[str], LoadSummary], text: str) -> None:
    with suppress(ParseError):
        parse(text)


def mutants(paths: list[Path]) -> st.SearchStrategy[str]:
    """Return a strategy for recorded texts with a few parts replaced by other characters."""

    @st.composite
    def mutate(draw: st.DrawFn) -> str:
        text = draw(st.sampled_from(paths)).read_text()
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, len(text)))
            end = draw(st.integers(start, min(len(text), start + 12)))
            replacement = draw(
                st.text(st.characters(), max_size=4)
                | st.text("0123456789.-+eE%usm", max_size=8)
                | st.sampled_from(["9" * 5000, "\n", "nan", "1e999", "٣", "[" * 9999, "null"])
            )
            text = text[:start] + replacement + text[end:]
        return text

    return mutate()


any_text = st.text(st.characters() | st.characters(categories=["Cs"]))


@settings(max_examples=300, deadline=None)
@given(mutants(OUTPUTS) | any_text)
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    parse_or_reject(h2load.parse_output, text)
