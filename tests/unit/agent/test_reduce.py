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

from fwbench.agent import h2load_log as rows_of_log
from fwbench.agent import reduce
from fwbench.collection.histogram import HEAD, LatencyCounts

START_US = 1_795_340_656_695_560
Row = tuple[int, int, int]  # start after START_US, status, latency


def written(rows: list[Row]) -> str:
    return "".join(f"{START_US + start}\t{status}\t{latency}\n" for start, status, latency in rows)


def summary(text: str, **window: float) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(reduced(text, **window)["log.json"])
    return told


def counts(text: str, **window: float) -> LatencyCounts:
    return LatencyCounts.parse(
        gzip.decompress(reduced(text, **window)["counts.gz"]).decode().splitlines(keepends=True)
    )


def named(path: Path) -> str:
    return f"{path.parent.name} {path.stem}"


@pytest.mark.parametrize("head", sorted(SAMPLES.glob("*/*.log-head")), ids=named)
def test_every_recorded_log_is_read(head: Path) -> None:
    meta = dict(line.split(": ", 1) for line in head.with_suffix(".meta").read_text().splitlines())
    told = summary(head.read_text())
    assert told["rows"] == min(5, int(meta["log_rows"])) == counts(head.read_text()).total()
    assert told["truncated_rows"] == 0
    assert set(told["rows_by_status"]) <= {"200", "500"}


def test_a_log_becomes_a_line_for_each_second_and_status() -> None:
    rows = [(0, 200, 10), (5, 200, 10), (5, 500, 20), (6, 200, 12), (0, 200, 304_440)]
    assert gzip.decompress(reduced(written(rows))["counts.gz"]).decode() == (
        "fwbench-counts 1\n"
        "1795340656\t200\t10 2\t2 1\n"
        "1795340656\t500\t20\t1\n"
        "1795340657\t200\t304440\t1\n"
    )
    assert summary(written(rows)) == {
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


def test_the_driver_and_the_agent_agree_on_the_head() -> None:
    assert HEAD == reduce.HEADER


def test_an_empty_log_knows_nothing() -> None:
    told = summary("")
    assert (told["rows"], told["truncated_rows"], told["completions_per_100ms"]) == (0, 0, [])
    assert told["first_start_us"] is told["last_end_us"] is told["longest_gap_us"] is None
    assert counts("") == LatencyCounts({})


def test_the_window_goes_from_the_first_start_to_the_last_completion() -> None:
    told = summary(written([(300, 200, 10), (0, 200, 1_500_000), (20, 200, 50)]))
    assert told["first_start_us"] == START_US
    assert told["last_end_us"] == START_US + 1_500_000


def test_the_longest_gap_is_the_longest_time_without_a_completion() -> None:
    every_50_ms = [(start, 200, 5_000) for start in range(0, 2_000_000, 50_000)]
    stalled = [row for row in every_50_ms if not 700_000 <= row[0] < 1_000_000]
    assert summary(written(every_50_ms))["longest_gap_us"] == 50_000
    assert summary(written(stalled))["longest_gap_us"] == 350_000


def test_a_wait_for_the_first_completion_is_a_gap() -> None:
    rows = [(0, 200, 800_000), (790_000, 200, 20_000)]
    assert summary(written(rows))["longest_gap_us"] == 800_000


def test_rows_out_of_order_close_the_gap_they_lie_in() -> None:
    rows = [(0, 200, 100_000), (0, 200, 500_000), (0, 200, 300_000)]
    assert summary(written(rows))["longest_gap_us"] == 200_000


def test_a_row_that_comes_late_by_seconds_makes_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's clock was put back: what it says of seconds long written still counts."""
    monkeypatch.setattr(rows_of_log, "_READ_BYTES", 200)
    rows = [(start, 200, 1_000) for start in range(0, 12_000_000, 5_000)]
    text = written([*rows, (1_002_000, 200, 1_000), (12_000_000, 200, 1_000)])
    assert summary(text)["longest_gap_us"] == 5_000
    assert counts(text).total() == len(rows) + 2


@pytest.mark.parametrize("last", ["\n", "1795", f"{START_US}\t200\t12", "\0", "1\t2\n"])
def test_a_last_row_cut_off_is_counted_as_torn_and_not_as_a_row(last: str) -> None:
    told = summary(written([(0, 200, 3), (1, 200, 3)]) + last)
    assert (told["rows"], told["truncated_rows"]) == (2, 1)


@pytest.mark.parametrize("text", ["\n1795", "1795\t2\n1795"])
def test_only_the_last_row_can_be_cut_off(text: str) -> None:
    assert summary(text)["error"].startswith("line 1 of h2load's log is not a row")


def test_a_log_of_one_torn_row_is_empty_but_for_it() -> None:
    told = summary("1795\t2")
    assert (told["rows"], told["truncated_rows"], told["last_end_us"]) == (0, 1, None)


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
def test_any_other_row_that_is_none_is_refused_with_its_number(row: str, before: int) -> None:
    text = written([(0, 200, 3)] * before) + row + written([(1, 200, 3)])
    left = reduced(text)
    assert set(left) == {"log.json"}
    told = json.loads(left["log.json"])
    assert set(told) == {"error"}
    assert told["error"].startswith(f"line {before + 1} of h2load's log is not a row: ")
    assert len(told["error"]) < 300


@pytest.mark.parametrize("text", ["x" * 200_000, "1" * 200_000, "\n" * 200_000])
def test_a_flood_without_a_row_is_refused(text: str) -> None:
    assert summary(text)["error"].startswith("line 1 of h2load's log is not a row")


@pytest.mark.parametrize("window", [{}, {"skip_s": 1.0, "window_s": 2.0}])
def test_a_log_of_days_is_refused_instead_of_filling_memory(window: dict[str, float]) -> None:
    rows = [(0, 200, 3), (-2 * 86_400_000_000, 200, 3)]
    assert "more than a day" in summary(written(rows), **window)["error"]


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "requests.log"
    log.write_text(written([(0, 200, 3)]))

    def full(_: Path) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(reduce, "give_to_folder_owner", full)
    reduce.reduce_log(log, tmp_path)
    told = json.loads((tmp_path / "log.json").read_text())
    assert told == {"error": "h2load's log could not be reduced: No space left on device"}
    assert {path.name for path in tmp_path.iterdir()} == {"requests.log", "log.json"}


def test_an_unanswered_stream_of_http_2_is_a_status_of_its_own() -> None:
    assert summary(written([(0, 200, 9), (1, -1, 9)]))["rows_by_status"] == {"-1": 1, "200": 1}


def test_of_a_window_only_the_requests_that_start_in_it_are_counted() -> None:
    rows = [
        (999_999, 200, 1),
        (1_000_000, 200, 2),
        (2_999_999, 500, 1_000_000),
        (3_000_000, 200, 4),
        (0, 200, 3_500_000),
    ]
    told = summary(written(rows), skip_s=1, window_s=2)
    assert (told["rows"], told["rows_outside_window"]) == (2, 3)
    assert told["rows_by_status"] == {"200": 1, "500": 1}
    assert told["first_start_us"] == START_US + 1_000_000
    assert told["last_end_us"] == START_US + 3_999_999
    assert sum(told["completions_per_100ms"]) == 2
    assert counts(written(rows), skip_s=1, window_s=2).by_status() == {200: 1, 500: 1}


def test_a_window_without_a_row_is_empty() -> None:
    told = summary(written([(0, 200, 3)]), skip_s=5, window_s=1)
    assert (told["rows"], told["rows_outside_window"], told["first_start_us"]) == (0, 1, None)


row = st.tuples(
    st.integers(0, 6_000_000),
    st.sampled_from([200, 200, 200, 404, 500, -1]),
    st.integers(0, 2_000_000) | st.integers(0, 40),
)
in_order = st.lists(row, min_size=1, max_size=200).map(
    lambda rows: sorted(rows, key=lambda row: row[0] + row[2])
)
window = st.just({}) | st.fixed_dictionaries(
    {}, optional={"skip_s": st.floats(0, 3), "window_s": st.floats(0.1, 4)}
)


@pytest.mark.parametrize("read_bytes", [30, 200, 32 * 1024])
@given(in_order | st.lists(row, min_size=1, max_size=80), st.sampled_from(["", "1795\t"]), window)
@example([(0, 200, 0)], "", {})
def test_a_reduction_agrees_with_the_plain_way_of_counting(
    read_bytes: int, rows: list[Row], torn: str, window: dict[str, float]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_of_log, "_READ_BYTES", read_bytes)
        left = reduced(written(rows) + torn, **window)
    told = json.loads(left["log.json"])

    begin = min(start for start, _, _ in rows)
    since = begin + round(window.get("skip_s", 0) * 1e6)
    until = since + round(window["window_s"] * 1e6) if "window_s" in window else float("inf")
    inside = [row for row in rows if since <= row[0] < until] if window else rows
    expected: dict[tuple[int, int], Counter[int]] = {}
    for start, status, latency in inside:
        second = (START_US + start + latency) // 1_000_000
        expected.setdefault((second, status), Counter())[latency] += 1

    lines = gzip.decompress(left["counts.gz"]).decode().splitlines(keepends=True)
    assert LatencyCounts.parse(lines).as_dict() == expected
    assert (told["rows"], told["rows_outside_window"]) == (len(inside), len(rows) - len(inside))
    assert told["truncated_rows"] == bool(torn)
    assert told["rows_by_status"] == {
        str(status): number for status, number in Counter(s for _, s, _ in inside).items()
    }
    if inside:
        ends = sorted(START_US + start + latency for start, _, latency in inside)
        first = START_US + min(start for start, _, _ in inside)
        assert (told["first_start_us"], told["last_end_us"]) == (first, ends[-1])
        gap = max(later - earlier for earlier, later in pairwise([first, *ends]))
        assert told["longest_gap_us"] == gap or max(told["longest_gap_us"], gap) < 10_000
        tenths = Counter(end // 100_000 for end in ends)
        assert told["completions_per_100ms"] == [
            tenths[tenth] for tenth in range(first // 100_000, ends[-1] // 100_000 + 1)
        ]


@given(
    st.lists(
        st.sampled_from([written([(0, 200, 1)]), written([(2_000_000, 500, 30_000)])])
        | st.from_regex(r"[0-9]{0,18}\t-?[0-9]{0,4}\t[0-9]{0,18}\n?", fullmatch=True)
        | st.text(st.characters(codec="utf-8"), max_size=20),
        max_size=6,
    )
)
@example(["10000000000000000\t0\t0\n", "0"])
def test_any_log_is_reduced_or_refused_and_nothing_else(pieces: list[str]) -> None:
    text = "".join(pieces)
    left = reduced(text)
    told = json.loads(left["log.json"])
    if "error" in told:
        assert set(left) == {"log.json"}
    else:
        lines = text.encode().count(b"\n") + (not text.endswith("\n") and text != "")
        assert told["rows"] + told["truncated_rows"] == lines
        assert counts(text).total() == told["rows"]


def test_memory_is_of_a_few_seconds_not_of_the_run(tmp_path: Path) -> None:
    def reduced_in(seconds: int) -> int:
        log = tmp_path / f"{seconds}"
        log.write_text(
            written([(us, 200, us * 7919 % 3_001) for us in range(0, seconds * 1_000_000, 250)])
        )
        tracemalloc.start()
        try:
            reduce.reduce_log(log, tmp_path)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert reduced_in(30) < 1.2 * reduced_in(10)


@pytest.mark.parametrize(
    ("window", "counted"),
    [
        (rows_of_log.Window(START_US + 10, START_US + 20), [10, 19]),  # by their start
        (
            rows_of_log.Window(START_US + 10, START_US + 20, must_end_inside=True),
            [10],
        ),  # and by their end
    ],
)
def test_a_window_counts_starts_or_whole_rows(
    tmp_path: Path, window: rows_of_log.Window, counted: list[int]
) -> None:
    log = tmp_path / "requests.log"
    log.write_text(written([(start, 200, 3) for start in (9, 10, 19, 20)]))
    reduce.reduce_window(log, tmp_path, window)
    told = json.loads((tmp_path / "log.json").read_text())
    assert (told["rows"], told["rows_outside_window"]) == (len(counted), 4 - len(counted))
    assert told["first_start_us"] == START_US + counted[0]


def test_a_clock_that_is_ahead_is_put_back(tmp_path: Path) -> None:
    """What lies in one second by one clock lies in two by the other."""
    log = tmp_path / "requests.log"
    log.write_text(written([(0, 200, 3), (10, 200, 3)]))
    second = START_US // 10**6
    ahead_us = START_US % 10**6 + 5
    window = rows_of_log.Window(0, 10**16)
    reduce.reduce_window(log, tmp_path, window, ahead_us)
    assert LatencyCounts.read(tmp_path / "counts.gz") == LatencyCounts.of(
        {(second - 1, 200): {3: 1}, (second, 200): {3: 1}}
    )


def test_pauses_of_a_tenth_of_a_second_are_told_one_by_one() -> None:
    rows = [(0, 200, 0), (100_000, 200, 0), (150_000, 200, 0), (3_000_000, 200, 0)]
    assert summary(written(rows))["pauses_us"] == [
        [START_US, START_US + 100_000],
        [START_US + 150_000, START_US + 3_000_000],
    ]


def test_the_ends_of_a_log_are_not_those_of_its_rows(tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    log.write_text(written([(500, 200, 9_000), (0, 200, 3), (800, 200, 3)]))
    assert reduce.log_ends(log) == (START_US, START_US + 9_500)
    log.write_text("")
    assert reduce.log_ends(log) == (None, None)
