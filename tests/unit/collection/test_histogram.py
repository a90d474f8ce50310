import gzip
import tracemalloc
from collections import Counter
from contextlib import suppress
from math import ceil
from pathlib import Path

import pytest
from builders import reduced
from hypothesis import given
from hypothesis import strategies as st

from fwbench.collection.histogram import HEAD, LatencyCounts
from fwbench.errors import ParseError

# The counts of one second and status: latency in µs, and number of requests.
columns = st.dictionaries(
    st.integers(0, 100) | st.integers(0, 90_000_000), st.integers(1, 2000), min_size=1, max_size=12
)
cells = st.dictionaries(
    st.tuples(st.integers(1_000, 1_020), st.sampled_from([200, 404, -1])), columns, max_size=6
)
any_counts = cells.map(LatencyCounts.of)


def values(counts: LatencyCounts) -> list[int]:
    """Return every single latency, in ascending order."""
    return sorted(Counter[int](dict(counts.all.items())).elements())


def counts_of(*latencies_us: int) -> LatencyCounts:
    return LatencyCounts.of({(1_000, 200): Counter(latencies_us)})


# Reading


def test_file_of_the_agent_is_read(tmp_path: Path) -> None:
    rows = "".join(f"{10**15 + n}\t{200 + n % 2}\t{n % 50}\n" for n in range(1000))
    path = tmp_path / "counts.gz"
    path.write_bytes(reduced(rows)["counts.gz"])
    counts = LatencyCounts.read(path)
    assert counts.by_status() == {200: 500, 201: 500}
    assert values(counts) == sorted(n % 50 for n in range(1000))


LINES = [f"{HEAD}\n", "1000\t200\t5 1\t2 1\n", "1001\t-1\t0\t3\n", "1000\t200\t5\t7\n"]


def test_lines_of_one_second_and_status_are_added() -> None:
    assert LatencyCounts.parse(LINES).as_dict() == {(1000, 200): {5: 9, 6: 1}, (1001, -1): {0: 3}}


@pytest.mark.parametrize("head", ["", "\n", "fwbench-counts 2\n", HEAD, "1000\t200\t5\t1\n"])
def test_text_without_the_header_is_refused(head: str) -> None:
    with pytest.raises(ParseError, match="no head"):
        LatencyCounts.parse([head] if head else [])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "1000\t200\t5 1\t2 1",
        "1000\t200\t5 1\t2\n",
        "1000\t200\t5 0\t2 1\n",
        "1000\t200\t5 -1\t2 1\n",
        "1000\t200\t5 1\t2 0\n",
        "1000\t200\t5 1\t2 -1\n",
        "1000\t200\t5  1\t2 1\n",
        "1000\t200\t\t\n",
        "1000\t200\t5\t1\t1\n",
        "1000\t200\t5\n",
        "1000\t\t5\t1\n",
        "1000\t-\t5\t1\n",
        "1000\t-2\t5\t1\n",
        "1000\t2000\t5\t1\n",
        "\t200\t5\t1\n",
        "10000000000\t200\t5\t1\n",
        "-1000\t200\t5\t1\n",
        "1 0\t200\t5\t1\n",
        "1000\t200\t86400000001\t1\n",
        "1000\t200\t99999999999999999999\t1\n",
        "1000\t200\t5\t99999999999999\n",
        "1000\t200\t" + "9" * 5000 + "\t1\n",
        "1000\t200\t٣\t1\n",
        "1000\t200\t5_0\t1\n",
        "90000\t200\t5\t1\n",
    ],
)
def test_malformed_line_is_refused(line: str) -> None:
    with pytest.raises(ParseError, match="latency counts: "):
        LatencyCounts.parse([LINES[0], LINES[1], line])


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=20), max_size=5))
def test_any_text_is_parsed_or_raises_parse_error(lines: list[str]) -> None:
    with suppress(ParseError):
        LatencyCounts.parse(lines)


@given(any_counts)
def test_serialised_counts_are_parsed_unchanged(counts: LatencyCounts) -> None:
    lines = [HEAD + "\n"]
    for (second, status), occurrences in counts.as_dict().items():
        latencies = sorted(occurrences)
        steps = [b - a for a, b in zip([0, *latencies], latencies, strict=False)]
        numbers = [occurrences[latency] for latency in latencies]
        fields = [str(second), str(status), " ".join(map(str, steps)), " ".join(map(str, numbers))]
        lines.append("\t".join(fields) + "\n")
    assert LatencyCounts.parse(lines) == counts


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain",
        gzip.compress(b"fwbench-counts 1\n" * 9, mtime=0)[:20],
        gzip.compress(b"fwbench-counts 1\n\xff", mtime=0),
        gzip.compress(b"fwbench-counts 1\n", mtime=0)[:-8] + b"12345678",
    ],
)
def test_malformed_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counts.gz"
    path.write_bytes(content)
    with pytest.raises(ParseError):
        LatencyCounts.read(path)


@pytest.mark.parametrize("unit", [b"1000\t200\t5\t1\n", b"1"])
def test_decompression_bomb_is_refused_before_it_fills_memory(
    tmp_path: Path, unit: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fwbench.collection.histogram._TEXT_LIMIT", 100_000)
    path = tmp_path / "counts.gz"
    path.write_bytes(gzip.compress(b"fwbench-counts 1\n" + unit * 10_000_000, 1))
    tracemalloc.start()
    try:
        with pytest.raises(ParseError):
            LatencyCounts.read(path)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


# Merging


@given(any_counts, any_counts, any_counts)
def test_merge_is_commutative_and_associative(
    a: LatencyCounts, b: LatencyCounts, c: LatencyCounts
) -> None:
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c)) == a.merge(b, c)
    assert a.merge(LatencyCounts({})) == a
    assert values(a.merge(b)) == sorted(values(a) + values(b))
    assert a.merge(b).total() == a.total() + b.total()


def test_merged_percentile_is_not_the_mean_of_percentiles() -> None:
    fast, slow = counts_of(*[100] * 990), counts_of(*[900] * 10)
    assert fast.merge(slow).percentile(99) == 100
    assert fast.merge(slow, slow).percentile(99) == 900


# Percentiles


single_values = st.lists(st.integers(0, 300), min_size=20, max_size=250).map(
    lambda values: counts_of(*values)
)


@given(any_counts | single_values, st.sampled_from([50, 75, 90, 95, 99, 99.9]))
def test_percentile_is_that_of_the_sorted_list(counts: LatencyCounts, percent: float) -> None:
    ordered = values(counts)
    rank = ceil(round(len(ordered) * percent, 6) / 100)
    beyond = round(len(ordered) * (100 - percent), 6) / 100
    expected = ordered[rank - 1] if ordered and beyond >= 10 else None
    assert counts.percentile(percent) == expected


@pytest.mark.parametrize(
    ("rows", "known"),
    [
        (19, []),
        (20, ["p50_us"]),
        (40, ["p50_us", "p75_us"]),
        (99, ["p50_us", "p75_us"]),
        (100, ["p50_us", "p75_us", "p90_us"]),
        (200, ["p50_us", "p75_us", "p90_us", "p95_us"]),
        (999, ["p50_us", "p75_us", "p90_us", "p95_us"]),
        (1000, ["p50_us", "p75_us", "p90_us", "p95_us", "p99_us"]),
        (9_999, ["p50_us", "p75_us", "p90_us", "p95_us", "p99_us"]),
        (10_000, ["p50_us", "p75_us", "p90_us", "p95_us", "p99_us", "p999_us"]),
    ],
)
def test_percentile_needs_ten_requests_beyond_it(rows: int, known: list[str]) -> None:
    percentiles = counts_of(*range(rows)).percentiles().model_dump()
    assert percentiles.pop("max_us") == rows - 1
    assert percentiles.pop("mean_us") == (rows - 1) / 2
    assert [name for name, value in percentiles.items() if value is not None] == known


def test_percentiles_use_the_nearest_rank() -> None:
    percentiles = counts_of(*range(1, 10_001)).percentiles()
    assert (percentiles.p50_us, percentiles.p75_us, percentiles.p90_us) == (5000, 7500, 9000)
    assert (percentiles.p95_us, percentiles.p99_us, percentiles.p999_us) == (9500, 9900, 9990)
    percentiles = counts_of(*range(1, 10_002)).percentiles()
    assert (percentiles.p50_us, percentiles.p99_us, percentiles.p999_us) == (5001, 9901, 9991)


def test_empty_counts_have_no_percentiles() -> None:
    assert set(LatencyCounts({}).percentiles().model_dump().values()) == {None}


# Correction


def corrected_one_by_one(latencies: list[int], interval: int) -> list[int]:
    """Apply HdrHistogram's `recordValueWithExpectedInterval` to each value."""
    recorded = []
    for value in latencies:
        recorded.append(value)
        missing = value - interval
        while missing >= interval:
            recorded.append(missing)
            missing -= interval
    return sorted(recorded)


@given(
    st.lists(st.integers(0, 60) | st.integers(0, 3_000), max_size=60),
    st.integers(1, 50) | st.sampled_from([2_999, 5_000]),
)
def test_correction_equals_that_of_each_single_value(latencies: list[int], interval: int) -> None:
    counts = LatencyCounts.of({(1_000, 200): Counter(latencies)})
    assert values(counts.corrected(interval)) == corrected_one_by_one(latencies, interval)


@given(any_counts, any_counts, st.integers(500_000, 3_000_000))
def test_correction_and_merge_commute(a: LatencyCounts, b: LatencyCounts, i: int) -> None:
    assert a.merge(b).corrected(i) == a.corrected(i).merge(b.corrected(i))


def test_zero_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="an interval of 0 us"):
        counts_of(1).corrected(0)


def test_correction_that_would_fill_memory_is_refused() -> None:
    with pytest.raises(ParseError, match="too long to be corrected"):
        counts_of(80_000_000_000).corrected(1)


def rows_with_a_stall() -> list[tuple[int, int]]:
    """Return starts and latencies of 20 connections at 1000/s: 5 ms each, 1 s stall every 10 s."""
    rows = []
    for connection in range(20):
        free_us = 0
        for due_us in range(connection * 1_000, 60_000_000, 20_000):
            start_us = max(due_us, free_us)
            into_us = start_us % 10_000_000
            wait_us = 10_000_000 - into_us if into_us >= 9_000_000 else 0
            free_us = start_us + wait_us + 5_000
            rows.append((start_us, free_us - start_us))
    return rows


def test_correction_reveals_a_stall_at_a_fixed_rate() -> None:
    """A measured stall gave p95 8.0 and p99 10.9 ms, corrected 465 and 905 ms (wrk2's p99: 933).

    In this simulation, requests that were due during the stall are sent when their connection
    is free.
    """
    rows = rows_with_a_stall()
    text = "".join(f"{10**15 + start}\t200\t{latency}\n" for start, latency in rows)
    counts = LatencyCounts.parse(
        gzip.decompress(reduced(text)["counts.gz"]).decode().splitlines(True)
    )
    measured, corrected = counts.percentiles(), counts.corrected(20_000).percentiles()
    assert (measured.p95_us, measured.p99_us) == (5_000, 5_000)
    assert corrected.p95_us == pytest.approx(500_000, rel=0.15)
    assert corrected.p99_us == pytest.approx(900_000, rel=0.05)


# Seconds


def test_each_second_has_its_own_completions() -> None:
    counts = LatencyCounts.of(
        {
            (1_000, 200): Counter(range(990)),
            (1_000, 500): {5_000: 10},
            (1_002, 204): {7: 3},
        }
    )
    first, second, third = counts.per_second()
    assert (first.at_s, first.completions, first.successful, first.p99_us) == (1000, 1000, 990, 989)
    assert (second.at_s, second.completions, second.successful, second.p99_us) == (1001, 0, 0, None)
    assert (third.at_s, third.completions, third.successful, third.p99_us) == (1002, 3, 3, None)


def test_seconds_before_the_first_completion_are_optional() -> None:
    assert [each.completions for each in counts_of(1, 2).per_second(998)] == [0, 0, 2]
    assert LatencyCounts({}).per_second(998) == ()


def test_first_second_more_than_a_day_earlier_is_refused() -> None:
    with pytest.raises(ParseError, match="more than a day"):
        LatencyCounts.of({(1_795_340_656, 200): {1: 1}}).per_second(0)
