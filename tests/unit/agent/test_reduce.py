import gzip
import json
import os
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from builders import SAMPLES, reduced
from hypothesis import example, given
from hypothesis import strategies as st

from fwbench.agent import h2load_log, reduce
from fwbench.collection.histogram import HEAD, LatencyCounts

START_US = 1_795_340_656_695_560
Row = tuple[int, int, int]  # start after START_US, status, latency


def log_text(rows: list[Row]) -> str:
    return "".join(f"{START_US + start}\t{status}\t{latency}\n" for start, status, latency in rows)


def summary(text: str, **window: float) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(reduced(text, **window)["log.json"])
    return result


def counts(text: str, **window: float) -> LatencyCounts:
    return LatencyCounts.parse(
        gzip.decompress(reduced(text, **window)["counts.gz"]).decode().splitlines(keepends=True)
    )


def sample_id(path: Path) -> str:
    return f"{path.parent.name} {path.stem}"


@pytest.mark.parametrize("head", sorted(SAMPLES.glob("*/*.log-head")), ids=sample_id)
def test_every_recorded_log_is_parsed(head: Path) -> None:
    meta = dict(line.split(": ", 1) for line in head.with_suffix(".meta").read_text().splitlines())
    result = summary(head.read_text())
    assert result["rows"] == min(5, int(meta["log_rows"])) == counts(head.read_text()).total()
    assert result["truncated_rows"] == 0
    assert set(result["rows_by_status"]) <= {"200", "500"}


def test_counts_have_a_line_for_each_second_and_status() -> None:
    rows = [(0, 200, 10), (5, 200, 10), (5, 500, 20), (6, 200, 12), (0, 200, 304_440)]
    assert gzip.decompress(reduced(log_text(rows))["counts.gz"]).decode() == (
        "fwbench-counts 1\n"
        "1795340656\t200\t10 2\t2 1\n"
        "1795340656\t500\t20\t1\n"
        "1795340657\t200\t304440\t1\n"
    )
    assert summary(log_text(rows)) == {
        "rows": 5,
        "rows_outside_window": 0,
        "truncated_rows": 0,
        "rows_by_status": {"200": 4, "500": 1},
        "first_start_us": START_US,
        "last_end_us": START_US + 304_440,
        "longest_gap_us": 304_440 - 25,
        "pauses_us": [[START_US + 25, START_US + 304_440]],
        "completions_per_100ms": [4, 0, 0, 0, 1],
    }


def test_controller_and_agent_use_the_same_header() -> None:
    assert HEAD == reduce.HEADER


def test_empty_log_has_no_values() -> None:
    result = summary("")
    assert (result["rows"], result["truncated_rows"], result["completions_per_100ms"]) == (0, 0, [])
    assert result["first_start_us"] is result["last_end_us"] is result["longest_gap_us"] is None
    assert counts("") == LatencyCounts({})


def test_summary_spans_first_start_to_last_completion() -> None:
    result = summary(log_text([(300, 200, 10), (0, 200, 1_500_000), (20, 200, 50)]))
    assert result["first_start_us"] == START_US
    assert result["last_end_us"] == START_US + 1_500_000


def test_longest_gap_is_longest_time_without_completion() -> None:
    every_50_ms = [(start, 200, 5_000) for start in range(0, 2_000_000, 50_000)]
    stalled = [row for row in every_50_ms if not 700_000 <= row[0] < 1_000_000]
    assert summary(log_text(every_50_ms))["longest_gap_us"] == 50_000
    assert summary(log_text(stalled))["longest_gap_us"] == 350_000


def test_wait_for_the_first_completion_is_a_gap() -> None:
    rows = [(0, 200, 800_000), (790_000, 200, 20_000)]
    assert summary(log_text(rows))["longest_gap_us"] == 800_000


def test_out_of_order_row_closes_the_gap_around_it() -> None:
    rows = [(0, 200, 100_000), (0, 200, 500_000), (0, 200, 300_000)]
    assert summary(log_text(rows))["longest_gap_us"] == 200_000


def test_row_that_is_seconds_late_makes_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the client's clock was set back, rows of earlier seconds still count."""
    monkeypatch.setattr(h2load_log, "_READ_BYTES", 200)
    rows = [(start, 200, 1_000) for start in range(0, 12_000_000, 5_000)]
    text = log_text([*rows, (1_002_000, 200, 1_000), (12_000_000, 200, 1_000)])
    assert summary(text)["longest_gap_us"] == 5_000
    assert counts(text).total() == len(rows) + 2


@pytest.mark.parametrize("last", ["\n", "1795", f"{START_US}\t200\t12", "\0", "1\t2\n"])
def test_truncated_last_row_is_counted_separately(last: str) -> None:
    result = summary(log_text([(0, 200, 3), (1, 200, 3)]) + last)
    assert (result["rows"], result["truncated_rows"]) == (2, 1)


@pytest.mark.parametrize("text", ["\n1795", "1795\t2\n1795"])
def test_only_the_last_row_can_be_truncated(text: str) -> None:
    assert summary(text)["error"].startswith("line 1 of h2load's log is not a row")


def test_log_of_one_truncated_row_has_no_rows() -> None:
    result = summary("1795\t2")
    assert (result["rows"], result["truncated_rows"], result["last_end_us"]) == (0, 1, None)


@pytest.mark.parametrize(
    "row",
    [
        "\n",
        "1795340656695629 200 2993\n",
        "1795340656695629\t200\n",
        "1795340656695629\t200\t-5\n",
        "1795340656695629\t-2\t5\n",
        "1795340656695629\t2000\t5\n",
        "1795340656695629\t200\t2_993\n",
        "1795340656695629\t200\t٣\n",
        "1795340656695629\t200\t" + "9" * 5000 + "\n",
        "1795340656695629\t200\t29931795340656695629\t200\t2993\n",
    ],
)
@pytest.mark.parametrize("before", [1, 3000])
def test_malformed_row_is_refused_with_its_number(row: str, before: int) -> None:
    text = log_text([(0, 200, 3)] * before) + row + log_text([(1, 200, 3)])
    files = reduced(text)
    assert set(files) == {"log.json"}
    result = json.loads(files["log.json"])
    assert set(result) == {"error"}
    assert result["error"].startswith(f"line {before + 1} of h2load's log is not a row: ")
    assert len(result["error"]) < 300


@pytest.mark.parametrize("text", ["x" * 200_000, "1" * 200_000, "\n" * 200_000])
def test_large_log_without_a_row_is_refused(text: str) -> None:
    assert summary(text)["error"].startswith("line 1 of h2load's log is not a row")


@pytest.mark.parametrize("window", [{}, {"skip_s": 1.0, "window_s": 2.0}])
def test_log_of_more_than_a_day_is_refused(window: dict[str, float]) -> None:
    rows = [(0, 200, 3), (-2 * 86_400_000_000, 200, 3)]
    assert "more than a day" in summary(log_text(rows), **window)["error"]


def test_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "requests.log"
    log.write_text(log_text([(0, 200, 3)]))

    def fail(_: Path) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(reduce, "give_to_folder_owner", fail)
    reduce.reduce_log(log, tmp_path)
    result = json.loads((tmp_path / "log.json").read_text())
    assert result == {"error": "h2load's log could not be reduced: No space left on device"}
    assert {path.name for path in tmp_path.iterdir()} == {"requests.log", "log.json"}


def test_unanswered_http_2_stream_has_its_own_status() -> None:
    assert summary(log_text([(0, 200, 9), (1, -1, 9)]))["rows_by_status"] == {"-1": 1, "200": 1}


def test_window_counts_only_requests_that_start_in_it() -> None:
    rows = [
        (999_999, 200, 1),
        (1_000_000, 200, 2),
        (2_999_999, 500, 1_000_000),
        (3_000_000, 200, 4),
        (0, 200, 3_500_000),
    ]
    result = summary(log_text(rows), skip_s=1, window_s=2)
    assert (result["rows"], result["rows_outside_window"]) == (2, 3)
    assert result["rows_by_status"] == {"200": 1, "500": 1}
    assert result["first_start_us"] == START_US + 1_000_000
    assert result["last_end_us"] == START_US + 3_999_999
    assert sum(result["completions_per_100ms"]) == 2
    assert counts(log_text(rows), skip_s=1, window_s=2).by_status() == {200: 1, 500: 1}


def test_window_without_a_row_is_empty() -> None:
    result = summary(log_text([(0, 200, 3)]), skip_s=5, window_s=1)
    assert (result["rows"], result["rows_outside_window"], result["first_start_us"]) == (0, 1, None)


row = st.tuples(
    st.integers(0, 6_000_000),
    st.sampled_from([200, 200, 200, 404, 500, -1]),
    st.integers(0, 2_000_000) | st.integers(0, 40),
)
rows_in_order = st.lists(row, min_size=1, max_size=200).map(
    lambda rows: sorted(rows, key=lambda row: row[0] + row[2])
)
window = st.just({}) | st.fixed_dictionaries(
    {}, optional={"skip_s": st.floats(0, 3), "window_s": st.floats(0.1, 4)}
)


@pytest.mark.parametrize("read_bytes", [30, 200, 32 * 1024])
@given(
    rows_in_order | st.lists(row, min_size=1, max_size=80), st.sampled_from(["", "1795\t"]), window
)
@example([(0, 200, 0)], "", {})
def test_reduction_agrees_with_simple_counting(
    read_bytes: int, rows: list[Row], truncated: str, window: dict[str, float]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(h2load_log, "_READ_BYTES", read_bytes)
        files = reduced(log_text(rows) + truncated, **window)
    result = json.loads(files["log.json"])

    first_start = min(start for start, _, _ in rows)
    since = first_start + round(window.get("skip_s", 0) * 1e6)
    until = since + round(window["window_s"] * 1e6) if "window_s" in window else float("inf")
    inside = [row for row in rows if since <= row[0] < until] if window else rows
    expected: dict[tuple[int, int], Counter[int]] = {}
    for start, status, latency in inside:
        second = (START_US + start + latency) // 1_000_000
        expected.setdefault((second, status), Counter())[latency] += 1

    lines = gzip.decompress(files["counts.gz"]).decode().splitlines(keepends=True)
    assert LatencyCounts.parse(lines).as_dict() == expected
    assert (result["rows"], result["rows_outside_window"]) == (len(inside), len(rows) - len(inside))
    assert result["truncated_rows"] == bool(truncated)
    assert result["rows_by_status"] == {
        str(status): number for status, number in Counter(s for _, s, _ in inside).items()
    }
    if inside:
        ends = sorted(START_US + start + latency for start, _, latency in inside)
        first = START_US + min(start for start, _, _ in inside)
        assert (result["first_start_us"], result["last_end_us"]) == (first, ends[-1])
        gap = max(later - earlier for earlier, later in pairwise([first, *ends]))
        assert result["longest_gap_us"] == gap or max(result["longest_gap_us"], gap) < 10_000
        tenths = Counter(end // 100_000 for end in ends)
        assert result["completions_per_100ms"] == [
            tenths[tenth] for tenth in range(first // 100_000, ends[-1] // 100_000 + 1)
        ]


@given(
    st.lists(
        st.sampled_from([log_text([(0, 200, 1)]), log_text([(2_000_000, 500, 30_000)])])
        | st.from_regex(r"[0-9]{0,18}\t-?[0-9]{0,4}\t[0-9]{0,18}\n?", fullmatch=True)
        | st.text(st.characters(codec="utf-8"), max_size=20),
        max_size=6,
    )
)
@example(["10000000000000000\t0\t0\n", "0"])
def test_any_log_is_reduced_or_refused(pieces: list[str]) -> None:
    text = "".join(pieces)
    files = reduced(text)
    result = json.loads(files["log.json"])
    if "error" in result:
        assert set(files) == {"log.json"}
    else:
        lines = text.encode().count(b"\n") + (not text.endswith("\n") and text != "")
        assert result["rows"] + result["truncated_rows"] == lines
        assert counts(text).total() == result["rows"]


def test_memory_use_does_not_grow_with_the_run(tmp_path: Path) -> None:
    def peak_bytes(seconds: int) -> int:
        log = tmp_path / f"{seconds}"
        log.write_text(
            log_text([(us, 200, us * 7919 % 3_001) for us in range(0, seconds * 1_000_000, 250)])
        )
        tracemalloc.start()
        try:
            reduce.reduce_log(log, tmp_path)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_bytes(30) < 1.2 * peak_bytes(10)


@pytest.mark.parametrize(
    ("window", "counted"),
    [
        (h2load_log.Window(START_US + 10, START_US + 20), [10, 19]),  # rows that start in it
        (
            h2load_log.Window(START_US + 10, START_US + 20, must_end_inside=True),
            [10],
        ),  # rows that start and end in it
    ],
)
def test_window_counts_starts_or_whole_rows(
    tmp_path: Path, window: h2load_log.Window, counted: list[int]
) -> None:
    log = tmp_path / "requests.log"
    log.write_text(log_text([(start, 200, 3) for start in (9, 10, 19, 20)]))
    reduce.reduce_window(log, tmp_path, window)
    result = json.loads((tmp_path / "log.json").read_text())
    assert (result["rows"], result["rows_outside_window"]) == (len(counted), 4 - len(counted))
    assert result["first_start_us"] == START_US + counted[0]


def test_clock_offset_is_subtracted(tmp_path: Path) -> None:
    """Rows of one second by the log's clock belong to two seconds by the other clock."""
    log = tmp_path / "requests.log"
    log.write_text(log_text([(0, 200, 3), (10, 200, 3)]))
    second = START_US // 10**6
    ahead_us = START_US % 10**6 + 5
    window = h2load_log.Window(0, 10**16)
    reduce.reduce_window(log, tmp_path, window, ahead_us)
    assert LatencyCounts.read(tmp_path / "counts.gz") == LatencyCounts.of(
        {(second - 1, 200): {3: 1}, (second, 200): {3: 1}}
    )


def test_pauses_of_100_ms_are_listed() -> None:
    rows = [(0, 200, 0), (100_000, 200, 0), (150_000, 200, 0), (3_000_000, 200, 0)]
    assert summary(log_text(rows))["pauses_us"] == [
        [START_US, START_US + 100_000],
        [START_US + 150_000, START_US + 3_000_000],
    ]


def test_log_ends_are_the_first_start_and_the_last_end(tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    log.write_text(log_text([(500, 200, 9_000), (0, 200, 3), (800, 200, 3)]))
    assert reduce.log_ends(log) == (START_US, START_US + 9_500)
    log.write_text("")
    assert reduce.log_ends(log) == (None, None)
