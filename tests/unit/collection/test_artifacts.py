import json
from pathlib import Path
from typing import Any

import pytest
from builders import COUNTED, SAMPLES, answer, container, reduced
from fakes import STARTED_US
from telemetry_builders import telemetry

from fwbench.agent import protocol
from fwbench.agent.h2load_log import Window
from fwbench.agent.reduce import log_ends, reduce_window
from fwbench.collection import artifacts, files
from fwbench.collection.histogram import LatencyCounts
from fwbench.errors import RunError
from fwbench.model.load import Load
from fwbench.model.observation import Answer, ClientObservation

ENDED = {
    "exit_status": 0,
    "timed_out": False,
    "started_at_s": 1.0,
    "load_s": 4.1,
    "answer_after": answer().model_dump(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a successful run with 1000 requests and 1000 rows."""
    command = {"client": "one-client", "argv": ["h2load"]}
    commands = {"contender": ["docker"], "load": [command]}
    (tmp_path / files.COMMANDS).write_text(json.dumps(commands))
    client = client_folder(tmp_path)
    client.mkdir()
    (client / protocol.LOAD_EXIT).write_text(json.dumps(ENDED))
    (client / protocol.LOAD_OUTPUT).write_text((SAMPLES / "1.52" / "ok-n.out").read_text())
    (client / protocol.LOAD_ERRORS).write_text("")
    write_log(tmp_path, "".join(f"{10**15 + n * 1000}\t200\t2000\n" for n in range(1000)))
    (tmp_path / protocol.CONTAINER_AFTER).write_text(container().model_dump_json())
    return tmp_path


def client_folder(folder: Path) -> Path:
    """Return the folder of the only client."""
    return folder / "client-1"


def write_log(folder: Path, text: str) -> None:
    for name, content in reduced(text).items():
        (client_folder(folder) / name).write_bytes(content)


def change_load_exit(folder: Path, **changes: Any) -> None:
    (client_folder(folder) / protocol.LOAD_EXIT).write_text(json.dumps(ENDED | changes))


def only_client(result: artifacts.RunArtifacts) -> ClientObservation:
    (client,) = result.clients
    return client


def test_successful_run_has_all_results(folder: Path) -> None:
    result = artifacts.read_artifacts(folder, COUNTED)
    assert result.load_s == 4.1
    assert only_client(result).answer_after == answer()
    assert result.container_after == container()
    assert result.load is not None
    assert (result.load.exit_status, result.load.timed_out, result.load.stderr) == (0, False, "")
    assert result.load.summary is not None
    assert result.load.summary.requests_done == 1000
    assert result.load.log is not None
    log = result.load.log
    assert (log.rows, log.rows_outside_window, log.truncated_rows, log.successful_rows) == (
        1000,
        0,
        0,
        1000,
    )
    assert log.rows_by_status == {200: 1000}
    assert (log.first_start_us, log.last_end_us) == (10**15, 10**15 + 999_000 + 2000)
    assert log.window_s == 1.001
    assert [(second.at_s, second.completions) for second in log.per_second] == [
        (10**9, 998),
        (10**9 + 1, 2),
    ]
    assert log.completions_per_100ms == (98, *[100] * 9, 2)
    assert log.longest_gap_us == 2000
    assert (log.latency.p50_us, log.latency.p99_us, log.latency.p999_us) == (2000, 2000, None)
    assert log.corrected_latency is None
    assert result.load.parse_error is None


def test_reading_twice_gives_the_same_result(folder: Path) -> None:
    assert artifacts.read_artifacts(folder, COUNTED) == artifacts.read_artifacts(folder, COUNTED)


def test_empty_folder_has_no_results(tmp_path: Path) -> None:
    assert artifacts.read_artifacts(tmp_path, COUNTED) == artifacts.RunArtifacts()


def test_run_without_a_load_has_only_its_container(folder: Path) -> None:
    (client_folder(folder) / protocol.LOAD_EXIT).unlink()
    assert artifacts.read_artifacts(folder, COUNTED) == artifacts.RunArtifacts(
        container_after=container(), clients=(ClientObservation(host="one-client"),)
    )


def test_unknown_output_gives_a_parse_error_and_no_summary(folder: Path) -> None:
    (client_folder(folder) / protocol.LOAD_OUTPUT).write_text("Segmentation fault\n")
    load = artifacts.read_artifacts(folder, COUNTED).load
    assert load is not None
    assert load.summary is None
    assert load.parse_error == "h2load printed no 'finished in' line"


def test_start_error_of_the_load_generator_is_the_parse_error(folder: Path) -> None:
    change_load_exit(folder, exit_status=None, start_error="h2load: No such file or directory")
    load = artifacts.read_artifacts(folder, COUNTED).load
    assert load is not None
    assert load.parse_error == "h2load: No such file or directory"
    assert (load.summary, load.log) == (None, None)


def test_killed_load_generator_has_no_exit_status(folder: Path) -> None:
    change_load_exit(folder, exit_status=None, timed_out=True)
    (client_folder(folder) / protocol.LOAD_OUTPUT).write_text("")
    load = artifacts.read_artifacts(folder, COUNTED).load
    assert load is not None
    assert (load.exit_status, load.timed_out, load.summary) == (None, True, None)


def test_fixed_rate_has_measured_and_corrected_latencies(folder: Path) -> None:
    every_10_ms = [(n * 10_000, 1_000) for n in range(100)]
    rows = [*every_10_ms, (1_000_000, 1_000_000), *[(n * 10_000, 1_000) for n in range(200, 300)]]
    write_log(folder, "".join(f"{10**15 + start}\t200\t{latency}\n" for start, latency in rows))
    load = artifacts.read_artifacts(folder, Load(connections=1, duration_s=3, rate=100)).load
    assert load is not None
    assert load.log is not None
    assert (load.log.latency.p50_us, load.log.latency.p90_us) == (1_000, 1_000)
    assert load.log.corrected_latency is not None
    assert (load.log.corrected_latency.p50_us, load.log.corrected_latency.p90_us) == (
        1_000,
        700_000,
    )


def test_missing_log_has_no_rows(folder: Path) -> None:
    (client_folder(folder) / protocol.LATENCY_COUNTS).unlink()
    (client_folder(folder) / protocol.LOG_SUMMARY).unlink()
    load = artifacts.read_artifacts(folder, COUNTED).load
    assert load is not None
    assert load.log is not None
    assert load.log.rows == 0


def test_truncated_log_gives_a_parse_error_and_no_summary(folder: Path) -> None:
    compressed = (client_folder(folder) / protocol.LATENCY_COUNTS).read_bytes()
    (client_folder(folder) / protocol.LATENCY_COUNTS).write_bytes(
        compressed[: len(compressed) // 2]
    )
    load = artifacts.read_artifacts(folder, COUNTED).load
    assert load is not None
    assert load.log is None
    assert load.parse_error is not None


@pytest.mark.parametrize("content", [b"plain text\n", b"\x1f\x8b\x08\x00garbage of all kinds"])
def test_log_that_is_not_gzip_gives_a_parse_error(folder: Path, content: bytes) -> None:
    (client_folder(folder) / protocol.LATENCY_COUNTS).write_bytes(content)
    load = artifacts.read_artifacts(folder, COUNTED).load
    assert load is not None
    assert load.log is None
    assert load.parse_error is not None


def test_log_that_the_agent_could_not_parse_gives_its_error(folder: Path) -> None:
    (client_folder(folder) / protocol.LATENCY_COUNTS).unlink()
    write_log(folder, "nonsense\n1\t200\t5\n")
    load = artifacts.read_artifacts(folder, COUNTED).load
    assert load is not None
    assert load.log is None
    assert load.parse_error == "line 1 of h2load's log is not a row: 'nonsense\\n'"


def test_inconsistent_counts_and_log_give_a_parse_error(folder: Path) -> None:
    counts = (client_folder(folder) / protocol.LATENCY_COUNTS).read_bytes()
    write_log(folder, "1000\t200\t5\n")
    (client_folder(folder) / protocol.LATENCY_COUNTS).write_bytes(counts)
    load = artifacts.read_artifacts(folder, COUNTED).load
    assert load is not None
    assert load.log is None
    assert load.parse_error == "counts.gz has 1000 rows, log.json has 1"


@pytest.mark.parametrize("content", [b"", b"{", b"7", b'{"rows": -1}', b'{"surprise": 1}'])
def test_malformed_log_file_is_an_error(folder: Path, content: bytes) -> None:
    (client_folder(folder) / protocol.LOG_SUMMARY).write_bytes(content)
    with pytest.raises(RunError, match=str(client_folder(folder) / protocol.LOG_SUMMARY)):
        artifacts.read_artifacts(folder, COUNTED)


def test_long_stderr_is_cut_to_its_end(folder: Path) -> None:
    (client_folder(folder) / protocol.LOAD_ERRORS).write_text("x" * 100_000 + "end")
    load = artifacts.read_artifacts(folder, COUNTED).load
    assert load is not None
    assert len(load.stderr) == 4000
    assert load.stderr.endswith("end")


def test_undecodable_bytes_in_stderr_are_escaped(folder: Path) -> None:
    (client_folder(folder) / protocol.LOAD_ERRORS).write_bytes(b"\xff!")
    load = artifacts.read_artifacts(folder, COUNTED).load
    assert load is not None
    assert load.stderr == "\\xff!"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"{}", b"\xff", json.dumps(ENDED | {"answer_after": 7}).encode()],
)
def test_malformed_load_file_is_an_error(folder: Path, content: bytes) -> None:
    (client_folder(folder) / protocol.LOAD_EXIT).write_bytes(content)
    with pytest.raises(RunError, match=str(client_folder(folder) / protocol.LOAD_EXIT)):
        artifacts.read_artifacts(folder, COUNTED)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff"])
def test_malformed_container_file_is_an_error(folder: Path, content: bytes) -> None:
    (folder / protocol.CONTAINER_AFTER).write_bytes(content)
    with pytest.raises(RunError, match=str(folder / protocol.CONTAINER_AFTER)):
        artifacts.read_artifacts(folder, COUNTED)


def test_model_is_parsed_from_json() -> None:
    assert files.read_model(Answer, '{"status": 200}', Path("answer.json")) == Answer(status=200)


def test_malformed_model_is_an_error_that_names_the_file() -> None:
    with pytest.raises(RunError, match=r"answer\.json: malformed"):
        files.read_model(Answer, '{"surprise": 1}', Path("answer.json"))


# Telemetry


def write_telemetry(folder: Path, *, ahead_s: float = 0.0) -> None:
    """Write both hosts' samples from 1000 s to 1005 s on the client's clock, which may be ahead."""
    (client_folder(folder) / protocol.TELEMETRY_CLIENT).write_text(json.dumps(telemetry()))
    (folder / protocol.TELEMETRY_TARGET).write_text(json.dumps(telemetry(began_s=1000 - ahead_s)))
    target = {"asked_s": 10.0, "host_s": 1000.01 - ahead_s, "answered_s": 10.02}
    client = {"asked_s": 11.0, "host_s": 1001.01, "answered_s": 11.02}
    (folder / files.CLOCKS).write_text(json.dumps({"target": target, "clients": [client]}))
    change_load_exit(folder, started_at_s=1000.1, load_s=4.5)


def windows(result: artifacts.RunArtifacts) -> list[float | None]:
    return [
        usage and round(usage.window_s, 3) for usage in (result.target, only_client(result).usage)
    ]


def test_hosts_have_no_usage_without_telemetry(folder: Path) -> None:
    result = artifacts.read_artifacts(folder, COUNTED)
    assert (result.target, only_client(result).usage, only_client(result).clock) == (
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("load", "window_s"),
    [
        (Load(connections=10, requests=100), 4.4),
        (Load(connections=10, duration_s=3), 2.8),
        (Load(connections=10, warm_up_s=2, duration_s=2), 1.8),
        (Load(connections=10, warm_up_s=1, duration_s=9), 3.4),  # the load ended early
        (Load(connections=10, warm_up_s=9, duration_s=9), 4.4),  # the load ended during its warm-up
    ],
)
def test_usage_covers_only_the_measured_window(folder: Path, load: Load, window_s: float) -> None:
    write_telemetry(folder)
    assert windows(artifacts.read_artifacts(folder, load)) == [window_s, window_s]


def test_usage_before_the_measured_window_is_ignored(folder: Path) -> None:
    write_telemetry(folder)
    samples = telemetry()
    for row in range(3, 26):
        samples["series"]["host_cpu_ns"][row] += 10**9  # a second of CPU time in the warm-up
    (client_folder(folder) / protocol.TELEMETRY_CLIENT).write_text(json.dumps(samples))
    usage = only_client(
        artifacts.read_artifacts(folder, Load(connections=10, warm_up_s=2, duration_s=2))
    ).usage
    assert usage is not None
    assert usage.background_cores == pytest.approx(0.01)


def test_samples_of_the_target_are_selected_by_its_own_clock(folder: Path) -> None:
    write_telemetry(folder, ahead_s=600)
    result = artifacts.read_artifacts(folder, Load(connections=10, warm_up_s=2, duration_s=2))
    clock = only_client(result).clock
    assert clock is not None
    assert clock.client_minus_target_s == pytest.approx(600)
    assert windows(result) == [1.8, 1.8]


def test_malformed_telemetry_is_an_error(folder: Path) -> None:
    write_telemetry(folder)
    (folder / protocol.TELEMETRY_TARGET).write_text("{}")
    with pytest.raises(RunError, match=r"telemetry-target\.json"):
        artifacts.read_artifacts(folder, COUNTED)


# Several clients


def write_client(folder: Path, number: int, log: str, window: Window, ahead_us: int = 0) -> None:
    """Write a client's files with this log, reduced to a window on the first client's clock."""
    client = folder / files.client_folder(number)
    client.mkdir()
    log_file = folder / "requests.log"
    log_file.write_text(log)
    reduce_window(log_file, client, window, ahead_us)
    first_us, last_us = log_ends(log_file)
    log_file.unlink()
    load_exit = ENDED | {"first_start_us": first_us, "last_end_us": last_us, "load_s": 4.0 + number}
    (client / protocol.LOAD_EXIT).write_text(json.dumps(load_exit))
    (client / protocol.LOAD_OUTPUT).write_text((SAMPLES / "1.52" / "ok-n.out").read_text())
    (client / protocol.LOAD_ERRORS).write_text("")


def clock(ahead_s: float, trip_s: float = 0.0) -> dict[str, float]:
    return {"asked_s": 10.0, "host_s": 10.0 + ahead_s + trip_s / 2, "answered_s": 10.0 + trip_s}


def write_commands_and_clocks(folder: Path, clients: int, clocks: list[dict[str, float]]) -> None:
    commands = [{"client": f"c{number}", "argv": ["h2load"]} for number in range(clients)]
    (folder / files.COMMANDS).write_text(json.dumps({"contender": ["docker"], "load": commands}))
    (folder / files.CLOCKS).write_text(json.dumps({"target": clock(0), "clients": clocks}))


def rows(*starts_and_latencies: tuple[int, int], status: int = 200, ahead_us: int = 0) -> str:
    return "".join(
        f"{STARTED_US + ahead_us + start}\t{status}\t{latency}\n"
        for start, latency in starts_and_latencies
    )


ALL = Window(STARTED_US, STARTED_US + 10**9)
TIMED = Load(connections=10, duration_s=3)


def test_logs_of_several_clients_are_added_on_one_clock(tmp_path: Path) -> None:
    """The clocks of the two clients differ by half a second."""
    write_commands_and_clocks(tmp_path, 2, [clock(0), clock(0.5)])
    write_client(tmp_path, 1, rows((0, 100), (900_000, 300)), ALL)
    shifted = rows((0, 200), (950_000, 400), status=500, ahead_us=500_000)
    write_client(tmp_path, 2, shifted, ALL, ahead_us=500_000)
    result = artifacts.read_artifacts(tmp_path, TIMED)
    assert result.load is not None
    log = result.load.log
    assert log is not None
    assert (log.rows, log.successful_rows, log.rows_by_status) == (4, 2, {200: 2, 500: 2})
    assert [(second.at_s, second.completions) for second in log.per_second] == [(10**9, 4)]
    assert log.completions_per_100ms == (2, 0, 0, 0, 0, 0, 0, 0, 0, 2)
    assert (log.first_start_us, log.last_end_us) == (STARTED_US, STARTED_US + 950_400)
    assert (log.latency.max_us, log.latency.mean_us) == (400, 250)
    assert log.longest_gap_us == 900_300 - 200
    assert result.load_s == 6.0
    assert artifacts.read_latency_counts(tmp_path) == LatencyCounts.of(
        {(10**9, 200): {100: 1, 300: 1}, (10**9, 500): {200: 1, 400: 1}}
    )


def test_logs_of_clients_that_start_apart_are_aligned(tmp_path: Path) -> None:
    write_commands_and_clocks(tmp_path, 2, [clock(0), clock(0)])
    write_client(tmp_path, 1, rows((0, 0), (110_000, 0), (320_000, 0)), ALL)
    write_client(tmp_path, 2, rows((210_000, 0), (320_000, 0)), ALL)
    load = artifacts.read_artifacts(tmp_path, TIMED).load
    assert load is not None
    assert load.log is not None
    assert load.log.completions_per_100ms == (1, 1, 1, 2)


def test_samples_of_each_client_are_selected_by_its_own_clock(tmp_path: Path) -> None:
    """The overlap is 1 s long: from 1001 s to 1002 s on the first client's clock."""
    write_commands_and_clocks(tmp_path, 2, [clock(0), clock(600)])
    began_us = 1_001_000_000
    log = "".join(f"{began_us + start}\t200\t0\n" for start in (0, 1_000_000))
    late_log = "".join(f"{began_us + start}\t200\t0\n" for start in (600_000_000, 601_000_000))
    write_client(tmp_path, 1, log, ALL)
    write_client(tmp_path, 2, late_log, ALL, ahead_us=600_000_000)
    for number, began_s in ((1, 1000.0), (2, 1600.0)):
        samples = telemetry(began_s=began_s)
        (tmp_path / files.client_folder(number) / protocol.TELEMETRY_CLIENT).write_text(
            json.dumps(samples)
        )
    result = artifacts.read_artifacts(tmp_path, TIMED)
    assert [client.usage and round(client.usage.window_s, 3) for client in result.clients] == [
        1.0,
        1.0,
    ]


def test_gap_counts_only_while_every_client_has_one(tmp_path: Path) -> None:
    write_commands_and_clocks(tmp_path, 2, [clock(0), clock(0)])
    early_requests = [(50_000 * number, 0) for number in range(11)]
    late_requests = [(700_000 + 50_000 * number, 0) for number in range(7)]
    write_client(tmp_path, 1, rows(*early_requests, (1_000_000, 0)), ALL)
    write_client(tmp_path, 2, rows((0, 0), *late_requests), ALL)
    result = artifacts.read_artifacts(tmp_path, TIMED)
    assert result.load is not None
    assert result.load.log is not None
    assert result.load.log.longest_gap_us == 200_000


def test_load_has_the_worst_exit_of_its_clients(tmp_path: Path) -> None:
    write_commands_and_clocks(tmp_path, 2, [clock(0), clock(0)])
    for number in (1, 2):
        write_client(tmp_path, number, rows((0, 100), (900_000, 300)), ALL)
    (tmp_path / "client-2" / protocol.LOAD_EXIT).write_text(
        json.dumps(ENDED | {"exit_status": None, "timed_out": True})
    )
    (tmp_path / "client-2" / protocol.LOAD_OUTPUT).write_text("")
    load = artifacts.read_artifacts(tmp_path, TIMED).load
    assert load is not None
    assert (load.exit_status, load.timed_out, load.summary, load.log) == (None, True, None, None)
    assert load.parse_error == "c1: h2load printed no 'finished in' line"


def test_skew_uncertainty_is_that_of_the_two_worst_clocks(tmp_path: Path) -> None:
    trips_s = (0.01, 0.04, 0.02)
    write_commands_and_clocks(tmp_path, 3, [clock(0, trip_s) for trip_s in trips_s])
    for number in (1, 2, 3):
        write_client(tmp_path, number, rows((number * 10_000, 100), (900_000, 300)), ALL)
    overlap = artifacts.read_artifacts(tmp_path, TIMED).overlap
    assert overlap is not None
    assert overlap.skew_s == pytest.approx(0.02)
    assert overlap.uncertainty_s == pytest.approx(0.03)


def test_fixed_rate_overlap_is_computed_from_request_starts(
    tmp_path: Path,
) -> None:
    write_commands_and_clocks(tmp_path, 2, [clock(0), clock(0)])
    load = Load(connections=2, rate=100, warm_up_s=1, duration_s=3)
    write_client(tmp_path, 1, rows((0, 100), (5_000_000, 300)), ALL)
    write_client(tmp_path, 2, rows((20_000, 100), (6_000_000, 300)), ALL)
    overlap = artifacts.read_artifacts(tmp_path, load).overlap
    assert overlap is not None
    assert overlap.overlap_s == pytest.approx(3 - 0.02)


def test_single_client_has_no_overlap(folder: Path) -> None:
    result = artifacts.read_artifacts(folder, COUNTED)
    assert result.overlap is None
    assert only_client(result).load is None
    assert artifacts.read_latency_counts(folder) is not None


def test_folder_without_counts_has_no_latencies(tmp_path: Path) -> None:
    assert artifacts.read_latency_counts(tmp_path) is None
    assert artifacts.read_latencies_by_second(tmp_path, COUNTED) == {}


def test_latencies_by_second_cover_all_clients_and_statuses(tmp_path: Path) -> None:
    write_commands_and_clocks(tmp_path, 2, [clock(0), clock(0)])
    write_client(tmp_path, 1, rows((0, 100), (100_000, 400_000)), ALL)
    write_client(tmp_path, 2, rows((0, 100), (1_000_000, 300), status=500), ALL)
    assert artifacts.read_latencies_by_second(tmp_path, COUNTED) == {
        10**9: {100: 2, 400_000: 1},
        10**9 + 1: {300: 1},
    }


def test_latencies_by_second_are_corrected_at_a_fixed_rate(tmp_path: Path) -> None:
    write_commands_and_clocks(tmp_path, 1, [clock(0)])
    write_client(tmp_path, 1, rows((0, 100), (100_000, 400_000)), ALL)
    load = Load(connections=1, rate=10, duration_s=3)
    assert artifacts.read_latencies_by_second(tmp_path, load) == {
        10**9: {100: 1, 400_000: 1, 300_000: 1, 200_000: 1, 100_000: 1}
    }


@pytest.mark.parametrize("clients", ["../../etc", "/etc", ".", "a\x00b"])
def test_client_name_is_not_used_as_a_path(folder: Path, clients: str) -> None:
    commands = {"contender": [], "load": [{"client": clients, "argv": []}]}
    (folder / files.COMMANDS).write_text(json.dumps(commands))
    assert only_client(artifacts.read_artifacts(folder, COUNTED)).host == clients
