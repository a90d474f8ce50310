import tracemalloc
from collections import Counter
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwbench.errors import ParseError
from fwbench.loadgen import h2load_log

FIXTURES = Path(__file__).parents[2] / "fixtures" / "h2load"


def named(path: Path) -> str:
    return f"{path.parent.name} {path.stem}"


def meta(recorded: Path) -> dict[str, str]:
    lines = recorded.with_suffix(".meta").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines)


START_US = 1_795_340_656_695_560
Row = tuple[int, int, int]


def written(rows: list[Row]) -> list[str]:
    """Log lines of (start after START_US, status, latency)."""
    return [f"{START_US + start}\t{status}\t{latency}\n" for start, status, latency in rows]


@pytest.mark.parametrize("head", sorted(FIXTURES.glob("*/*.log-head")), ids=named)
def test_every_recorded_log_is_read(head: Path) -> None:
    with head.open() as lines:
        log = h2load_log.summarise(lines)
    assert log.rows == min(5, int(meta(head)["log_rows"]))
    assert log.torn_rows == 0
    assert set(log.rows_by_status) <= {200, 500}


def test_a_log_is_counted_by_status_and_only_2xx_is_success() -> None:
    log = h2load_log.summarise(
        written([(0, 200, 9), (1, 500, 9), (2, 204, 9), (3, 301, 9), (4, 200, 9), (5, -1, 9)])
    )
    assert log.rows == 6
    assert log.rows_by_status == {-1: 1, 200: 2, 204: 1, 301: 1, 500: 1}
    assert log.successful_rows == 3


def test_the_window_goes_from_the_first_start_to_the_last_completion() -> None:
    log = h2load_log.summarise(written([(300, 200, 10), (0, 200, 1_500_000), (20, 200, 50)]))
    assert log.first_start_us == START_US
    assert log.last_end_us == START_US + 1_500_000
    assert log.window_s == 1.5


def test_an_empty_log_knows_nothing() -> None:
    log = h2load_log.summarise([])
    assert log.rows == log.torn_rows == log.successful_rows == 0
    assert log.window_s is log.first_start_us is log.longest_gap_us is None
    assert log.latency_p50_us is log.latency_max_us is None
    assert log.completions_per_second == ()


def test_a_second_without_a_completion_is_a_zero() -> None:
    log = h2load_log.summarise(
        written([(0, 200, 500_000), (0, 200, 900_000), (10, 200, 2_600_000)])
    )
    assert log.completions_per_second == (2, 0, 1)


def test_the_longest_gap_is_the_longest_time_without_a_completion() -> None:
    every_50_ms = [(start, 200, 5_000) for start in range(0, 2_000_000, 50_000)]
    stalled = [row for row in every_50_ms if not 700_000 <= row[0] < 1_000_000]
    assert h2load_log.summarise(written(every_50_ms)).longest_gap_us == 50_000
    assert h2load_log.summarise(written(stalled)).longest_gap_us == 350_000


def test_a_wait_for_the_first_completion_is_a_gap() -> None:
    log = h2load_log.summarise(written([(0, 200, 800_000), (790_000, 200, 20_000)]))
    assert log.longest_gap_us == 800_000


def test_rows_out_of_order_close_the_gap_they_lie_in() -> None:
    rows = [(0, 200, 100_000), (0, 200, 500_000), (0, 200, 300_000)]
    assert h2load_log.summarise(written(rows)).longest_gap_us == 200_000


@pytest.mark.parametrize(
    ("rows", "known"),
    [
        (19, [False, False, False]),
        (20, [True, False, False]),
        (99, [True, False, False]),
        (100, [True, True, False]),
        (999, [True, True, False]),
        (1000, [True, True, True]),
    ],
)
def test_a_percentile_needs_ten_requests_beyond_it(rows: int, known: list[bool]) -> None:
    log = h2load_log.summarise(written([(0, 200, latency) for latency in range(rows)]))
    percentiles = [log.latency_p50_us, log.latency_p90_us, log.latency_p99_us]
    assert [percentile is not None for percentile in percentiles] == known
    assert log.latency_max_us == rows - 1


def test_percentiles_are_by_nearest_rank() -> None:
    log = h2load_log.summarise(written([(0, 200, latency) for latency in range(1, 1001)]))
    assert (log.latency_p50_us, log.latency_p90_us, log.latency_p99_us) == (500, 900, 990)


@pytest.mark.parametrize("last", ["", "\n", "1795", f"{START_US}\t200\t12", f"{START_US}\t20"])
def test_a_last_row_cut_off_is_counted_as_torn_and_not_as_a_row(last: str) -> None:
    log = h2load_log.summarise([*written([(0, 200, 3), (1, 200, 3)]), last])
    assert (log.rows, log.torn_rows) == (2, 1)
    assert log.latency_max_us == 3


def test_a_log_of_one_torn_row_is_empty_but_for_it() -> None:
    log = h2load_log.summarise(["1795\t2"])
    assert (log.rows, log.torn_rows, log.window_s) == (0, 1, None)


@pytest.mark.parametrize(
    "row",
    [
        "\n",
        "1795340656695629 200 2993\n",
        "1795340656695629\t200\n",
        "1795340656695629\t200\t-5\n",
        "1795340656695629\t-2\t5\n",
        "1795340656695629\t200\t2_993\n",
        "1795340656695629\t200\t٣\n",
        "1795340656695629\t200\t29931795340656695629\t200\t2993\n",
    ],
)
def test_any_other_row_that_is_none_is_refused_with_its_number(row: str) -> None:
    lines = [*written([(0, 200, 3)]), row, *written([(1, 200, 3)])]
    with pytest.raises(ParseError, match=r"^line 2 of h2load's log is no row: "):
        h2load_log.summarise(lines)


def test_a_log_of_days_is_refused_instead_of_filling_memory_with_seconds() -> None:
    with pytest.raises(ParseError, match="more than a day"):
        h2load_log.summarise(written([(0, 200, 3), (-2 * 86_400_000_000, 200, 3)]))


lines = st.lists(
    st.sampled_from(written([(0, 200, 1), (2_000_000, 500, 30_000)]))
    | st.from_regex(r"[0-9]{0,18}\t-?[0-9]{0,4}\t[0-9]{0,18}\n?", fullmatch=True)
    | st.text(st.characters()),
    max_size=6,
)


@given(lines)
def test_any_log_is_summarised_or_refused_and_nothing_else(lines: list[str]) -> None:
    try:
        log = h2load_log.summarise(lines)
    except ParseError:
        return
    assert log.rows + log.torn_rows == len(lines)


row = st.tuples(
    st.integers(0, 5_000_000), st.sampled_from([200, 404, 500]), st.integers(0, 2_000_000)
)


@settings(deadline=None)
@given(st.lists(row, min_size=1, max_size=60) | st.lists(row, min_size=100, max_size=150))
def test_a_summary_agrees_with_the_plain_way_of_counting(rows: list[Row]) -> None:
    log = h2load_log.summarise(written(rows))
    begin = min(start for start, _, _ in rows)
    ends = sorted(start + latency - begin for start, _, latency in rows)
    latencies = sorted(latency for _, _, latency in rows)

    assert log.rows == sum(log.completions_per_second) == len(rows)
    assert log.rows_by_status == Counter(status for _, status, _ in rows)
    assert log.window_s == ends[-1] / 1e6
    assert len(log.completions_per_second) == ends[-1] // 1_000_000 + 1
    gap = max(later - earlier for earlier, later in zip([0, *ends], ends, strict=False))
    assert log.longest_gap_us is not None
    assert log.longest_gap_us == gap or log.longest_gap_us <= gap < 10_000
    if len(rows) >= 20:
        assert log.latency_p50_us == latencies[ceil(len(rows) * 0.5) - 1]
    if len(rows) >= 100:
        assert log.latency_p90_us == latencies[ceil(len(rows) * 90 / 100) - 1]


def test_the_completions_of_a_second_are_right_to_ten_milliseconds() -> None:
    ends = [number * number % 3_000_017 for number in range(5_000)]
    log = h2load_log.summarise(written([(0, 200, end) for end in ends]))
    for second, counted in enumerate(log.completions_per_second):
        begin, end = second * 1_000_000, (second + 1) * 1_000_000
        at_least = sum(begin + 10_000 <= at < end - 10_000 for at in ends)
        at_most = sum(begin - 10_000 <= at < end + 10_000 for at in ends)
        assert at_least <= counted <= at_most


def test_a_last_second_that_has_just_begun_is_not_empty() -> None:
    log = h2load_log.summarise(written([(0, 200, 995_000), (999_000, 200, 3_000)]))
    assert log.completions_per_second[-1] > 0


def test_memory_is_of_the_length_of_the_run_not_of_its_rows() -> None:
    def summarised(rows_per_ms: int) -> int:
        rows = (
            f"{START_US + 1000 * ms}\t200\t{ms % 700}\n"
            for ms in range(1_000)
            for _ in range(rows_per_ms)
        )
        tracemalloc.start()
        try:
            assert h2load_log.summarise(rows).rows == 1_000 * rows_per_ms
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert summarised(20) < 1.5 * summarised(1)
