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


def read(path: Path, told: Any, window: TimeWindow = ALL) -> HostUsage:
    path.write_text(json.dumps(told))
    return reader.read_telemetry(path, window)


# What a host did


def test_cores_are_cpu_time_over_time(path: Path) -> None:
    told = telemetry()
    told["series"]["idle_ticks"] = [12 * number for number in range(26)]
    told["series"]["steal_ticks"] = list(range(26))
    usage = read(path, told)
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
def test_what_is_stolen_from_idle_cpus_does_not_count(
    path: Path, ticks: dict[str, list[int]], stolen: float | None
) -> None:
    told = telemetry()
    told["after"]["cpu_ticks"] |= ticks
    assert read(path, told).steal_share == pytest.approx(stolen)


def test_others_are_what_is_left_of_all_groups(path: Path) -> None:
    assert read(path, telemetry()).background_cores == pytest.approx(0.01)


def test_threads_of_the_kernel_are_taken_off_the_one_group_that_holds_all(path: Path) -> None:
    kernel = telemetry()["processes"] | {"kernel_s": 0.02}
    usage = read(path, telemetry(cpu_accounting="group", processes=kernel))
    assert usage.background_cores == pytest.approx(0.01 - 0.02 / 5)


def test_without_groups_others_are_the_processes_that_were_seen(path: Path) -> None:
    told = without(("host_cpu_ns",), cpu_accounting="none")
    assert read(path, told).background_cores == pytest.approx(0.01)


@pytest.mark.parametrize("name", ["host_cpu_ns", "own_cpu_ns", "load_cpu_ns"])
def test_others_are_unknown_if_a_part_is(path: Path, name: str) -> None:
    assert read(path, without((name,))).background_cores is None


def test_a_client_has_no_container_to_take_off(path: Path) -> None:
    usage = read(path, without(("container_cpu_ns",)))
    assert usage.container is None
    assert usage.background_cores == pytest.approx(0.51)


def test_a_container_that_ended_makes_nobody_busy(path: Path) -> None:
    told = telemetry()
    told["series"]["container_cpu_ns"][10:] = [None] * 16
    usage = read(path, told)
    assert usage.container is not None
    assert usage.container.cores is None


def test_docker_proxy_is_told_apart_from_the_others(path: Path) -> None:
    told = telemetry()
    told["series"]["docker_proxy_ticks"] = [number // 5 for number in range(26)]
    usage = read(path, told)
    assert usage.docker_proxy_cores == pytest.approx(0.01)
    assert usage.background_cores == pytest.approx(0)


def test_the_busiest_of_the_others_is_named(path: Path) -> None:
    busiest = read(path, telemetry()).busiest_background_process
    assert busiest is not None
    assert (busiest.command, busiest.cores) == ("containerd", pytest.approx(0.01))


def test_a_container_has_its_counters(path: Path) -> None:
    after = counters(monotonic_s=105.0, memory_limit_hits=7, oom_kills=1, memory_peak_bytes=2**27)
    used = read(path, telemetry(after=after)).container
    assert used is not None
    assert (used.quota_periods, used.throttled_periods, used.throttled_s) == (50, 25, 0.25)
    assert (used.memory_limit_hits, used.oom_kills, used.memory_peak_bytes) == (4, 0, 2**27)
    assert used.memory_bytes == 105 * 2**20


def test_threads_have_their_share_of_a_core_and_of_waiting(path: Path) -> None:
    (thread,) = read(path, telemetry()).threads
    assert (thread.tid, thread.command) == (201, "h2load")
    assert thread.cores == pytest.approx(0.2)
    assert thread.wait_share == pytest.approx(0.02)


def test_a_thread_that_ended_counts_for_as_long_as_it_was_seen(path: Path) -> None:
    told = telemetry()
    (thread,) = told["threads"]
    thread["cpu_ns"], thread["wait_ns"] = thread["cpu_ns"][:10], thread["wait_ns"][:10]
    (usage,) = read(path, told).threads
    assert usage.cores == pytest.approx(0.2)


def test_a_thread_that_was_seen_once_is_unknown(path: Path) -> None:
    told = telemetry()
    told["threads"][0] |= {"cpu_ns": [5], "wait_ns": [5]}
    assert read(path, told).threads == ()


def test_networks_of_host_and_container_add_up(path: Path) -> None:
    after = counters(monotonic_s=105.0)
    host, container = dict(after["network"]["host"]), dict(after["network"]["container"])
    host |= {"listen_overflows": 6, "segments_sent": 1_000_010, "connections_opened": 61}
    container |= {"connections_opened": 99}  # those that the contender opens, to a database say
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


def test_counters_of_a_container_that_is_gone_are_unknown(path: Path) -> None:
    after = counters(monotonic_s=105.0)
    after["network"] = after["network"] | {"container": None}
    network = read(path, telemetry(after=after)).network
    assert (network.listen_overflows, network.retransmits) == (None, None)


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_agent_that_counted_no_connections_leaves_them_unknown(path: Path, side: str) -> None:
    told = telemetry()
    host = dict(told[side]["network"]["host"])
    del host["connections_opened"]
    told[side]["network"] = told[side]["network"] | {"host": host}
    assert read(path, told).network.connections_opened is None


def test_stalls_are_shares_of_the_time(path: Path) -> None:
    stalls = read(path, telemetry()).stalls
    assert (stalls.cpu, stalls.memory, stalls.io) == (
        pytest.approx(0.5),
        pytest.approx(0.01),
        pytest.approx(0.02),
    )


def test_the_frequency_is_that_of_the_samples_that_have_one(path: Path) -> None:
    clock = read(path, telemetry()).frequency
    assert clock is not None
    assert (clock.min_mhz, clock.mean_mhz, clock.max_mhz) == (3000, 3012.5, 3025)
    assert clock.governors == ("performance",)


def test_what_a_host_does_not_tell_is_none_and_not_zero(path: Path) -> None:
    told = telemetry()
    kept = {name: told["series"][name] for name in ("time_s", "monotonic_s")}
    nothing = dict.fromkeys(told["before"]["network"]["host"])
    bare = counters(
        cpu_ticks={},
        network={"host": nothing, "container": None, "devices": {}},
        memory_peak_bytes=None,
        memory_limit_hits=None,
        oom_kills=None,
    )
    told |= {"series": kept, "threads": [], "before": bare, "after": bare | {"monotonic_s": 105.0}}
    told["processes"]["busiest"] = []
    usage = read(path, told)
    kept_fields = {"window_s", "samples", "threads", "network", "stalls"}
    assert {key for key, value in usage if value is not None} == kept_fields
    assert set(dict(usage.network).values()) == {None}
    assert set(dict(usage.stalls).values()) == {None}


def test_a_counter_that_went_back_is_unknown(path: Path) -> None:
    told = telemetry()
    told["series"]["own_cpu_ns"][0] = 10**12
    told["after"] = counters(monotonic_s=105.0, memory_limit_hits=0)
    usage = read(path, told)
    assert usage.sampler_cores is None
    assert usage.container is not None
    assert usage.container.memory_limit_hits is None


# Which samples count


@pytest.mark.parametrize(
    ("window", "samples", "window_s"),
    [
        (TimeWindow(1001, 1003), 11, 2.0),
        (TimeWindow(1001.1, 1002.9), 9, 1.6),  # those inside
        (TimeWindow(1001.1, 1001.4), 3, 0.4),  # too few inside: those around
        (TimeWindow(1001.05, 1001.1), 2, 0.2),
        (TimeWindow(0, 9999), 26, 5.0),
        (TimeWindow(4000, 5000), 26, 5.0),  # a clock that nobody set: better all than none
    ],
)
def test_samples_inside_the_window_count(
    path: Path, window: TimeWindow, samples: int, window_s: float
) -> None:
    usage = read(path, telemetry(), window)
    assert (usage.samples, usage.window_s) == (samples, pytest.approx(window_s))
    assert usage.background_cores == pytest.approx(0.01)


def test_what_was_before_the_window_does_not_count(path: Path) -> None:
    told = telemetry()
    for row in range(6, 26):
        told["series"]["host_cpu_ns"][row] += 10**9  # a second of CPU at 1001.2 s
    assert read(path, told, TimeWindow(1002, 1004)).background_cores == pytest.approx(0.01)
    assert read(path, told, ALL).background_cores == pytest.approx(0.21)


# Files that the agent does not write


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
def test_another_file_is_an_error(path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"telemetry\.json: malformed"):
        read(path, telemetry() | change)


@pytest.mark.parametrize("text", ["", "{", "null", '{"interval_s": NaN}', "\xff"])
def test_another_text_is_an_error(path: Path, text: str) -> None:
    path.write_text(text, encoding="latin-1")
    with pytest.raises(RunError, match="malformed"):
        reader.read_telemetry(path, ALL)


def test_a_huge_file_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    told = telemetry(samples=8, cpu_accounting=cpu_accounting)
    for name, values in columns.items():
        told["series"][name][: len(values)] = values
    told["threads"][0]["first_sample"] = first
    try:
        usage = read(path, told, window)
    except RunError:
        return
    assert usage.samples >= 2
    assert usage.window_s > 0
    assert HostUsage.model_validate_json(usage.model_dump_json()) == usage


# Clocks


def test_an_offset_is_unsure_by_half_of_both_round_trips() -> None:
    target = ClockReading(asked_s=10, host_s=1000.01, answered_s=10.02)
    client = ClockReading(asked_s=11, host_s=1001.52, answered_s=11.04)
    offset = reader.clock_offset(target, client)
    assert offset.client_minus_target_s == pytest.approx(0.5)
    assert offset.uncertainty_s == pytest.approx(0.03)
