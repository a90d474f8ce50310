import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from builders import finding, record
from hypothesis import given
from hypothesis import strategies as st
from reported import reported

from fwbench.collection.histogram import Histogram
from fwbench.errors import MissingPackageError
from fwbench.report.format import LatenciesBySecond, ReportedSession
from fwbench.report.formats.hdr import render, to_hdr

counts = st.dictionaries(
    st.integers(0, 100) | st.integers(0, 90_000_000), st.integers(1, 2000), min_size=1, max_size=12
)


def session(**latencies: LatenciesBySecond) -> ReportedSession:
    """Return a session with a run of each contender; the values are its latencies."""
    session_without_latencies = reported(record(name) for name in latencies)
    return replace(
        session_without_latencies, read_latencies=lambda run: latencies[run.trial.contender]
    )


def test_hdr_percentiles_are_exact_to_three_digits() -> None:
    latencies = Counter([*(n * n % 70_001 for n in range(20_000)), 3_599_999])
    histogram = to_hdr(latencies)
    assert histogram.get_total_count() == latencies.total()
    for percent in (50, 75, 90, 95, 99, 99.9):
        exact = Histogram.of(latencies).percentile(percent)
        assert exact is not None
        assert histogram.get_value_at_percentile(percent) == pytest.approx(exact, rel=1e-3)


@given(counts)
def test_histogram_contains_every_value(latencies: dict[int, int]) -> None:
    histogram = to_hdr(latencies)
    assert histogram.get_total_count() == sum(latencies.values())
    assert histogram.get_max_value() == pytest.approx(max(latencies), rel=1e-3)


def test_hdrh_reads_the_histogram_log(tmp_path: Path) -> None:
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader

    flask = Counter([*range(2_000), *[9_999] * 20])
    fastapi = Counter(range(5_000, 9_000))
    hdr_session = session(flask={1_000: flask}, fastapi={1_001: fastapi, 1_000: {7: 1}})
    first, second = hdr_session.runs
    hdr_session = replace(hdr_session, runs=(first, replace(second, id="fast, api")))
    path = tmp_path / "latencies.hlog"
    path.write_text("".join(render(hdr_session)))

    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))
    histograms = list(iter(reader.get_next_interval_histogram, None))
    reader.input_file.close()
    assert [(each.get_tag(), each.get_start_time_stamp()) for each in histograms] == [
        ("fast__api", 1_000_000),
        (first.id, 1_000_000),
        ("fast__api", 1_001_000),
    ]
    assert [each.get_total_count() for each in histograms] == [1, 2_020, 4_000]
    exact = Histogram.of(flask).percentile(50), Histogram.of(fastapi).percentile(99)
    assert histograms[1].get_value_at_percentile(50) == pytest.approx(exact[0], rel=1e-3)
    assert histograms[2].get_value_at_percentile(99) == pytest.approx(exact[1], rel=1e-3)


def test_run_without_latencies_has_no_line() -> None:
    assert "Tag=" not in "".join(render(session(flask={})))


def test_latencies_of_an_invalid_run_are_not_read() -> None:
    def fail(_: object) -> LatenciesBySecond:
        raise AssertionError

    invalid = replace(reported([record(findings=(finding(),))]), read_latencies=fail)
    assert "Tag=" not in "".join(render(invalid))


def test_missing_package_is_reported_before_any_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'fwbench\[hdr\]'"):
        next(render(session(flask={})))
