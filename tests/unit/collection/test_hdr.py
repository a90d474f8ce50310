import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.collection.hdr import hdr_log_lines, to_hdr
from fwbench.collection.histogram import Histogram, LatencyCounts
from fwbench.errors import MissingPackageError

histograms = st.dictionaries(
    st.integers(0, 100) | st.integers(0, 90_000_000), st.integers(1, 2000), min_size=1, max_size=12
).map(Histogram.of)


def test_hdr_histogram_says_the_same_to_three_digits() -> None:
    latencies = Histogram.of(Counter([*(n * n % 70_001 for n in range(20_000)), 3_599_999]))
    histogram = to_hdr(latencies)
    assert histogram.get_total_count() == latencies.total()
    for percent in (50, 75, 90, 95, 99, 99.9):
        exact = latencies.percentile(percent)
        assert exact is not None
        assert histogram.get_value_at_percentile(percent) == pytest.approx(exact, rel=1e-3)


@given(histograms)
def test_a_histogram_has_every_value(latencies: Histogram) -> None:
    histogram = to_hdr(latencies)
    assert histogram.get_total_count() == latencies.total()
    assert histogram.get_max_value() == pytest.approx(latencies.latencies_us[-1], rel=1e-3)


def test_a_log_of_histograms_is_read_by_the_library(tmp_path: Path) -> None:
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader

    flask = LatencyCounts.of({(1_000, 200): Counter(range(2_000)), (1_000, 500): {9_999: 20}})
    other = LatencyCounts.of({(1_000, 200): {7: 1}, (1_001, 200): Counter(range(5_000, 9_000))})
    path = tmp_path / "latencies.hlog"
    path.write_text("\n".join(hdr_log_lines({"flask": flask, "fast, api": other})))

    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))
    read = list(iter(reader.get_next_interval_histogram, None))
    reader.input_file.close()
    assert [(each.get_tag(), each.get_start_time_stamp()) for each in read] == [
        ("fast__api", 1_000_000),
        ("flask", 1_000_000),
        ("fast__api", 1_001_000),
    ]
    assert [each.get_total_count() for each in read] == [1, 2_020, 4_000]
    assert read[1].get_value_at_percentile(50) == pytest.approx(flask.percentile(50), rel=1e-3)
    assert read[2].get_value_at_percentile(99) == pytest.approx(other.percentile(99), rel=1e-3)


def test_nothing_makes_a_log_without_a_histogram() -> None:
    assert not [line for line in hdr_log_lines({"a": LatencyCounts({})}) if line.startswith("Tag=")]


def test_without_its_package_the_format_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'fwbench\[hdr\]'"):
        to_hdr(Histogram.of({5: 1}))
