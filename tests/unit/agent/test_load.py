import gzip
import json
import os
import resource
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from agent_environment import Agent, H2load, Sleeper, await_end, await_file, refused_url

from fwbench.agent import load
from fwbench.agent.protocol import Load

WRITES_ALL = 'echo figures; echo warning >&2; printf "1\\t200\\t5\\n" >"${1#--log-file=}"; exit 3'


def run_load(
    folder: Path, url: str, time_limit_s: float, argv: Sequence[str], **options: Any
) -> None:
    load.run_load(folder, Load(url, time_limit_s, argv=argv, **options))


def test_load_writes_its_output_log_and_result(
    folder: Path, h2load: H2load, contender: str
) -> None:
    run_load(folder, f"{contender}/echo", 10, h2load(WRITES_ALL, folder))
    assert (folder / "loadgen.out").read_text() == "figures\n"
    assert (folder / "loadgen.err").read_text() == "warning\n"
    assert gzip.decompress((folder / "counts.gz").read_bytes()) == (
        b"fwbench-counts 1\n0\t200\t5\t1\n"
    )
    assert json.loads((folder / "log.json").read_text())["rows"] == 1
    assert not (folder / "requests.log").exists()
    result = json.loads((folder / "load.json").read_text())
    assert result.pop("load_s") > 0
    assert result.pop("started_at_s") > 0
    assert result == {
        "exit_status": 3,
        "timed_out": False,
        "warm_up_s": 0,
        "answer_after": {
            "status": 200,
            "content_type": "text/html; charset=utf-8",
            "body": "GET /echo close",
        },
    }


def test_load_without_a_log_writes_no_counts(folder: Path, h2load: H2load) -> None:
    run_load(folder, refused_url(), 10, h2load("exit 0", folder))
    assert not (folder / "counts.gz").exists()
    assert not (folder / "log.json").exists()
    assert json.loads((folder / "load.json").read_text())["exit_status"] == 0


def test_unreachable_contender_after_the_load_is_recorded(folder: Path, h2load: H2load) -> None:
    run_load(folder, refused_url(), 10, h2load("exit 0", folder))
    result = json.loads((folder / "load.json").read_text())
    assert result["answer_after"]["error"].startswith("ConnectionRefusedError")


def test_load_over_its_time_limit_is_killed_with_its_children(folder: Path, h2load: H2load) -> None:
    child = folder / "child"
    argv = h2load(f"sleep 60 & echo $! >{child}.new; mv {child}.new {child}; wait", folder)
    run_load(folder, refused_url(), 0.5, argv)
    result = json.loads((folder / "load.json").read_text())
    assert (result["exit_status"], result["timed_out"]) == (None, True)
    await_end(int(child.read_text()))
    await_end(int((folder / "load.pid").read_text()))


@pytest.mark.parametrize(
    ("program", "reason"),
    [("/nowhere/h2load", "No such file or directory"), ("/etc/passwd", "Permission denied")],
)
def test_start_error_of_load_generator_is_recorded(folder: Path, program: str, reason: str) -> None:
    run_load(folder, refused_url(), 10, [program])
    result = json.loads((folder / "load.json").read_text())
    assert result["start_error"] == f"{program}: {reason}"
    assert (result["exit_status"], result["timed_out"]) == (None, False)


def test_load_starts_at_the_given_time(folder: Path, h2load: H2load) -> None:
    at = time.time() + 0.3
    run_load(folder, refused_url(), 10, h2load("exit 0", folder), start_at_s=at)
    result = json.loads((folder / "load.json").read_text())
    assert at <= result["started_at_s"] < at + 0.2
    assert result["load_s"] < 0.25


@pytest.mark.parametrize("at", [0.0, 1.0])
def test_late_load_starts_at_once(folder: Path, h2load: H2load, at: float) -> None:
    began = time.monotonic()
    run_load(folder, refused_url(), 10, h2load("exit 0", folder), start_at_s=at)
    assert time.monotonic() - began < 5


def test_start_delay_is_limited(
    folder: Path, h2load: H2load, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps: list[float] = []
    monkeypatch.setattr(time, "sleep", sleeps.append)
    run_load(folder, refused_url(), 10, h2load("exit 0", folder), start_at_s=time.time() + 10**6)
    assert max(sleeps) == load.MAX_START_DELAY_S


def test_kept_log_is_only_reduced_to_its_first_and_last_time(folder: Path, h2load: H2load) -> None:
    rows = 'printf "900\\t200\\t5\\n700\\t200\\t400\\n" >"${1#--log-file=}"'
    run_load(folder, refused_url(), 10, h2load(rows, folder), keep_log=True)
    result = json.loads((folder / "load.json").read_text())
    assert (result["first_start_us"], result["last_end_us"]) == (700, 1100)
    assert (folder / "requests.log").exists()
    assert not (folder / "counts.gz").exists()


def test_warm_up_precedes_the_load_and_is_not_part_of_it(folder: Path, h2load: H2load) -> None:
    warm_up = ["sh", "-c", f"sleep 0.2; date +%s.%N >{folder}/warm; exit 1"]
    run_load(folder, refused_url(), 10, h2load("exit 0", folder), warm_up=json.dumps(warm_up))
    result = json.loads((folder / "load.json").read_text())
    assert result["warm_up_s"] >= 0.2
    assert result["started_at_s"] > float((folder / "warm").read_text())
    assert result["exit_status"] == 0


def test_hanging_warm_up_is_stopped(folder: Path, h2load: H2load) -> None:
    run_load(folder, refused_url(), 0.2, h2load("exit 0", folder), warm_up='["sleep", "60"]')
    assert json.loads((folder / "load.json").read_text())["warm_up_s"] < 10


def test_failed_warm_up_does_not_prevent_the_load(folder: Path, h2load: H2load) -> None:
    run_load(folder, refused_url(), 10, h2load("exit 0", folder), warm_up='["/nowhere/wrk"]')
    assert json.loads((folder / "load.json").read_text())["exit_status"] == 0


@pytest.mark.parametrize("log", ["", "nonsense\\n"])
def test_kept_log_without_rows_has_no_first_time(folder: Path, h2load: H2load, log: str) -> None:
    body = f'printf "{log}" >"${{1#--log-file=}}"'
    run_load(folder, refused_url(), 10, h2load(body, folder), keep_log=True)
    result = json.loads((folder / "load.json").read_text())
    assert result.get("first_start_us") is None
    assert result["exit_status"] == 0


def test_kept_log_is_reduced_to_a_window_of_another_clock(
    agent: Agent, folder: Path, h2load: H2load
) -> None:
    rows = "".join(f"{start}\\t200\\t5\\n" for start in (1000, 2000, 3000, 4000))
    argv = h2load(f'printf "{rows}" >"${{1#--log-file=}}"', folder)
    started = agent(
        "load", f"--url={refused_url()}", "--time-limit-s=9", "--keep-log", str(folder), *argv
    )
    assert started.returncode == 0
    await_file(folder / "load.json")
    window = ["--from-us=1500", "--until-us=3500", "--ahead-us=500", "--must-end-inside"]
    for _ in range(2):  # the controller repeats the command if it loses the connection
        result = agent("reduce", *window, str(folder))
        assert (result.returncode, result.stderr) == (0, "")
        summary = json.loads((folder / "log.json").read_text())
        assert (summary["rows"], summary["rows_outside_window"]) == (2, 2)
        assert (summary["first_start_us"], summary["last_end_us"]) == (1500, 2505)


def test_load_result_is_written_last(
    folder: Path, h2load: H2load, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing_files = []

    def record_files(path: Path, _: object) -> None:
        assert path == folder / "load.json"
        existing_files.extend(file.name for file in folder.iterdir())

    monkeypatch.setattr(load, "write", record_files)
    run_load(folder, refused_url(), 10, h2load(WRITES_ALL, folder))
    assert {"loadgen.out", "loadgen.err", "counts.gz", "log.json"} <= set(existing_files)


def test_load_continues_after_its_command_returns(
    agent: Agent, folder: Path, h2load: H2load
) -> None:
    """The command prints nothing and returns; the load continues in a session of its own."""
    release = folder / "release"
    argv = h2load(
        f"{WRITES_ALL.removesuffix('; exit 3')}; while [ ! -e {release} ]; do sleep 0.01; done",
        folder,
    )
    started = agent("load", f"--url={refused_url()}", "--time-limit-s=30", str(folder), *argv)
    assert (started.returncode, started.stdout, started.stderr) == (0, "", "")
    await_file(folder / "load.pid")
    assert not (folder / "load.json").exists()
    release.touch()
    await_file(folder / "load.json")
    assert json.loads((folder / "load.json").read_text())["exit_status"] == 0


def test_load_generator_gets_the_hard_limit_of_open_files(
    agent: Agent, folder: Path, h2load: H2load
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    argv = h2load("ulimit -Sn", folder)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        agent("load", f"--url={refused_url()}", "--time-limit-s=30", str(folder), *argv)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await_file(folder / "load.json")
    assert (folder / "loadgen.out").read_text() == f"{hard}\n"


def test_files_of_a_load_are_private(agent: Agent, folder: Path, h2load: H2load) -> None:
    argv = h2load(WRITES_ALL, folder)
    agent("load", f"--url={refused_url()}", "--time-limit-s=30", str(folder), *argv)
    await_file(folder / "load.json")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys(
        [
            "load.pid",
            "load.json",
            "loadgen.out",
            "loadgen.err",
            "counts.gz",
            "log.json",
            "telemetry-client.json",
        ],
        0o600,
    )


def test_running_load_is_stopped(folder: Path, sleeper: Sleeper) -> None:
    pid = sleeper(f"--log-file={folder}/requests.log")
    (folder / "load.pid").write_text(str(pid))
    load.stop_load(folder)
    await_end(pid)


def test_reused_pid_is_not_killed(
    folder: Path, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = sleeper("--log-file=/elsewhere/requests.log")
    (folder / "load.pid").write_text(str(pid))
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, _: killed.append(pid))
    load.stop_load(folder)
    assert killed == []


@pytest.mark.parametrize("text", [None, "", "no number", "99999999"])
def test_stopping_a_missing_load_does_nothing(folder: Path, text: str | None) -> None:
    if text is not None:
        (folder / "load.pid").write_text(text)
    load.stop_load(folder)


def test_stopping_a_load_that_has_just_ended_does_nothing(
    folder: Path, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "load.pid").write_text(str(sleeper(str(folder))))

    def fail(*_: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "killpg", fail)
    load.stop_load(folder)
