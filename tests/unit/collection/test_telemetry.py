import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from telemetry_builders import counters, telemetry, without

from fwbench.collection import telemetry as reader
from fwbench.collection.telemetry import ClockReading, TimeWindow
from fwbench.errors import RunError
from fwbench.model.telemetry import HostUsage

ALL = TimeWindow(1000, 1005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.json"


def read(path: Path, content: Any, window: TimeWindow = ALL) -> HostUsage:
    path.write_text(json.dumps(content))
    return reader.read_telemetry(path, window)


# Usage


def test_cores_are_cpu_time_divided_by_elapsed_time(path: Path) -> None:
    content = telemetry()
    content["series"]["idle_ticks"] = [12 * number for number in range(26)]
    content["series"]["steal_ticks"] = list(range(26))
    usage = read(path, content)
    assert (usage.samples, usage.window_s, usage.cpus) == (26, pytest.approx(5), 2)
    assert usage.sampler_cores == pytest.approx(0.005)
    assert usage.docker_proxy_cores == 0
    assert usage.container is not None
    assert usage.container.cores == pytest.approx(0.5)
    assert usage.cpu is not None
    assert usage.cpu.user == pytest.approx(0.5)
    assert usage.cpu.steal == pytest.approx(1 / 40)


@pytest.mark.parametrize(
    ("ticks", "stolen"),
    [
        ({"cpu0": [400, 0, 90, 0, 0, 0, 0, 10], "cpu1": [0, 0, 50, 440, 0, 0, 0, 10]}, 10 / 500),
        ({"cpu0": [400, 0, 90, 0, 0, 0, 0, 10], "cpu1": [390, 0, 90, 0, 0, 0, 0, 20]}, 30 / 1000),
        ({"cpu0": [0, 0, 50, 440, 0, 0, 0, 10], "cpu1": [0, 0, 0, 250, 250, 0, 0, 0]}, None),
        ({"cpu0": [500, 0, 0, 0], "cpu1": [0] * 8}, 0),
    ],
)
def test_steal_of_idle_cpus_does_not_count(
    path: Path, ticks: dict[str, list[int]], stolen: float | None
) -> None:
    content = telemetry()
    content["after"]["cpu_ticks"] |= ticks
    assert read(path, content).steal_share == pytest.approx(stolen)


def test_background_is_the_host_minus_all_known_groups(path: Path) -> None:
    assert read(path, telemetry()).background_cores == pytest.approx(0.01)


def test_kernel_threads_are_subtracted_from_the_root_group(path: Path) -> None:
    kernel = telemetry()["processes"] | {"kernel_s": 0.02}
    usage = read(path, telemetry(cpu_accounting="group", processes=kernel))
    assert usage.background_cores == pytest.approx(0.01 - 0.02 / 5)


def test_background_without_groups_is_the_sum_of_processes(path: Path) -> None:
    content = without(("host_cpu_ns",), cpu_accounting="none")
    assert read(path, content).background_cores == pytest.approx(0.01)


@pytest.mark.parametrize("name", ["host_cpu_ns", "own_cpu_ns", "load_cpu_ns"])
def test_background_is_unknown_if_a_part_is_unknown(path: Path, name: str) -> None:
    assert read(path, without((name,))).background_cores is None


def test_client_has_no_container_to_subtract(path: Path) -> None:
    usage = read(path, without(("container_cpu_ns",)))
    assert usage.container is None
    assert usage.background_cores == pytest.approx(0.51)


def test_exited_container_has_unknown_cores(path: Path) -> None:
    content = telemetry()
    content["series"]["container_cpu_ns"][10:] = [None] * 16
    usage = read(path, content)
    assert usage.container is not None
    assert usage.container.cores is None


def test_docker_proxy_is_separate_from_the_background(path: Path) -> None:
    content = telemetry()
    content["series"]["docker_proxy_ticks"] = [number // 5 for number in range(26)]
    usage = read(path, content)
    assert usage.docker_proxy_cores == pytest.approx(0.01)
    assert usage.background_cores == pytest.approx(0)


def test_busiest_background_process_is_named(path: Path) -> None:
    busiest = read(path, telemetry()).busiest_background_process
    assert busiest is not None
    assert (busiest.command, busiest.cores) == ("containerd", pytest.approx(0.01))


def test_container_has_its_counters(path: Path) -> None:
    after = counters(monotonic_s=105.0, memory_limit_hits=7, oom_kills=1, memory_peak_bytes=2**27)
    usage = read(path, telemetry(after=after)).container
    assert usage is not None
    assert (usage.quota_periods, usage.throttled_periods, usage.throttled_s) == (50, 25, 0.25)
    assert (usage.memory_limit_hits, usage.oom_kills, usage.memory_peak_bytes) == (4, 0, 2**27)
    assert usage.memory_bytes == 105 * 2**20


def test_thread_has_its_cores_and_its_share_of_waiting(path: Path) -> None:
    (thread,) = read(path, telemetry()).threads
    assert (thread.tid, thread.command) == (201, "h2load")
    assert thread.cores == pytest.approx(0.2)
    assert thread.wait_share == pytest.approx(0.02)


def test_thread_waits_at_most_all_of_the_time(path: Path) -> None:
    content = telemetry()
    (thread,) = content["threads"]
    thread["wait_ns"] = [sample * 206_000_000 for sample in range(len(thread["wait_ns"]))]
    (waiting,) = read(path, content).threads
    assert waiting.wait_share == 1  # 103 % by the clocks of samples and scheduler


def test_thread_that_ended_counts_while_it_was_sampled(path: Path) -> None:
    content = telemetry()
    (thread,) = content["threads"]
    thread["cpu_ns"], thread["wait_ns"] = thread["cpu_ns"][:10], thread["wait_ns"][:10]
    (usage,) = read(path, content).threads
    assert usage.cores == pytest.approx(0.2)


def test_thread_with_one_sample_is_omitted(path: Path) -> None:
    content = telemetry()
    content["threads"][0] |= {"cpu_ns": [5], "wait_ns": [5]}
    assert read(path, content).threads == ()


def test_network_counters_of_host_and_container_are_added(path: Path) -> None:
    after = counters(monotonic_s=105.0)
    host, container = dict(after["network"]["host"]), dict(after["network"]["container"])
    host |= {"listen_overflows": 6, "segments_sent": 1_000_010, "connections_opened": 61}
    container |= {"connections_opened": 99}  # opened by the contender, for example to a database
    container |= {"listen_overflows": 25, "retransmits": 103, "segments_sent": 1_030_000}
    after["network"] = {
        "host": host,
        "container": container,
        "devices": {"eth0": [1100, 12, 1, 2, 2300, 23, 4, 8], "eth1": [9] * 8},
    }
    network = read(path, telemetry(after=after)).network
    assert (network.listen_overflows, network.listen_drops) == (21, 0)
    assert (network.retransmits, network.segments_sent, network.time_wait) == (3, 30_010, 2)
    assert network.connections_opened == 11
    assert (network.received_bytes, network.sent_bytes, network.packets) == (100, 300, 5)
    assert (network.errors, network.drops) == (5, 10)


def test_counters_of_a_removed_container_are_unknown(path: Path) -> None:
    after = counters(monotonic_s=105.0)
    after["network"] = after["network"] | {"container": None}
    network = read(path, telemetry(after=after)).network
    assert (network.listen_overflows, network.retransmits) == (None, None)


@pytest.mark.parametrize("side", ["before", "after"])
def test_connections_without_a_counter_are_unknown(path: Path, side: str) -> None:
    content = telemetry()
    host = dict(content[side]["network"]["host"])
    del host["connections_opened"]
    content[side]["network"] = content[side]["network"] | {"host": host}
    assert read(path, content).network.connections_opened is None


def test_stalls_are_shares_of_elapsed_time(path: Path) -> None:
    stalls = read(path, telemetry()).stalls
    assert (stalls.cpu, stalls.memory, stalls.io) == (
        pytest.approx(0.5),
        pytest.approx(0.01),
        pytest.approx(0.02),
    )


def test_frequency_uses_only_samples_that_have_one(path: Path) -> None:
    frequency = read(path, telemetry()).frequency
    assert frequency is not None
    assert (frequency.min_mhz, frequency.mean_mhz, frequency.max_mhz) == (3000, 3012.5, 3025)
    assert frequency.governors == ("performance",)


def test_missing_counters_are_none_and_not_zero(path: Path) -> None:
    content = telemetry()
    times = {name: content["series"][name] for name in ("time_s", "monotonic_s")}
    no_counters = dict.fromkeys(content["before"]["network"]["host"])
    empty_counters = counters(
        cpu_ticks={},
        network={"host": no_counters, "container": None, "devices": {}},
        memory_peak_bytes=None,
        memory_limit_hits=None,
        oom_kills=None,
    )
    content |= {
        "series": times,
        "threads": [],
        "before": empty_counters,
        "after": empty_counters | {"monotonic_s": 105.0},
    }
    content["processes"]["busiest"] = []
    usage = read(path, content)
    known_fields = {"window_s", "samples", "threads", "network", "stalls"}
    assert {key for key, value in usage if value is not None} == known_fields
    assert set(dict(usage.network).values()) == {None}
    assert set(dict(usage.stalls).values()) == {None}


def test_decreasing_counter_is_unknown(path: Path) -> None:
    content = telemetry()
    content["series"]["own_cpu_ns"][0] = 10**12
    content["after"] = counters(monotonic_s=105.0, memory_limit_hits=0)
    usage = read(path, content)
    assert usage.sampler_cores is None
    assert usage.container is not None
    assert usage.container.memory_limit_hits is None


# Selection of samples


@pytest.mark.parametrize(
    ("window", "samples", "window_s"),
    [
        (TimeWindow(1001, 1003), 11, 2.0),
        (TimeWindow(1001.1, 1002.9), 9, 1.6),  # the samples inside
        (TimeWindow(1001.1, 1001.4), 3, 0.4),  # too few inside, so the samples around
        (TimeWindow(1001.05, 1001.1), 2, 0.2),
        (TimeWindow(0, 9999), 26, 5.0),
        (TimeWindow(4000, 5000), 26, 5.0),  # the clock is wrong, so all samples
    ],
)
def test_samples_inside_the_window_count(
    path: Path, window: TimeWindow, samples: int, window_s: float
) -> None:
    usage = read(path, telemetry(), window)
    assert (usage.samples, usage.window_s) == (samples, pytest.approx(window_s))
    assert usage.background_cores == pytest.approx(0.01)


def test_samples_before_the_window_do_not_count(path: Path) -> None:
    content = telemetry()
    for row in range(6, 26):
        content["series"]["host_cpu_ns"][row] += 10**9  # a second of CPU time at 1001.2 s
    assert read(path, content, TimeWindow(1002, 1004)).background_cores == pytest.approx(0.01)
    assert read(path, content, ALL).background_cores == pytest.approx(0.21)


# Malformed files


@pytest.mark.parametrize(
    "change",
    [
        {"series": {}},
        {"series": {"time_s": [1.0], "monotonic_s": [1.0]}},
        {"series": {"time_s": [1.0, 2.0], "monotonic_s": [1.0]}},
        {"series": {"time_s": [1.0, 2.0], "monotonic_s": [1.0, 1.0]}},
        {"series": {"time_s": [1.0, 2.0]}},
        {"ticks_per_s": 0},
        {"surprise": 1},
        {"threads": [{"tid": 1}]},
        {"before": None},
    ],
)
def test_malformed_fields_are_an_error(path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"telemetry\.json: malformed"):
        read(path, telemetry() | change)


@pytest.mark.parametrize("text", ["", "{", "null", '{"interval_s": NaN}', "\xff"])
def test_malformed_json_is_an_error(path: Path, text: str) -> None:
    path.write_text(text, encoding="latin-1")
    with pytest.raises(RunError, match="malformed"):
        reader.read_telemetry(path, ALL)


def test_file_over_the_size_limit_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LIMIT_BYTES", 1 << 10)
    with pytest.raises(RunError, match="larger than"):
        read(path, telemetry())


NUMBERS = st.none() | st.integers(0, 2**62) | st.floats(-1e12, 1e12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.dictionaries(
        st.sampled_from(sorted(telemetry()["series"])), st.lists(NUMBERS, max_size=4)
    ),
    window=st.builds(TimeWindow, st.floats(990, 1010), st.floats(990, 1010)),
    first=st.integers(0, 40),
    cpu_accounting=st.sampled_from(["group", "groups", "none", "?"]),
)
def test_any_numbers_give_a_usage_or_a_run_error(
    path: Path, columns: dict[str, list[Any]], window: TimeWindow, first: int, cpu_accounting: str
) -> None:
    content = telemetry(samples=8, cpu_accounting=cpu_accounting)
    for name, values in columns.items():
        content["series"][name][: len(values)] = values
    content["threads"][0]["first_sample"] = first
    try:
        usage = read(path, content, window)
    except RunError:
        return
    assert usage.samples >= 2
    assert usage.window_s > 0
    assert HostUsage.model_validate_json(usage.model_dump_json()) == usage


# Clocks


def test_offset_uncertainty_is_half_of_both_round_trips() -> None:
    target = ClockReading(asked_s=10, host_s=1000.01, answered_s=10.02)
    client = ClockReading(asked_s=11, host_s=1001.52, answered_s=11.04)
    offset = reader.clock_offset(target, client)
    assert offset.client_minus_target_s == pytest.approx(0.5)
    assert offset.uncertainty_s == pytest.approx(0.03)
