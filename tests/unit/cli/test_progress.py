import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from builders import (
    COUNTED,
    finding,
    load_result,
    log,
    observation,
    record,
    rig,
    run,
    suite,
)
from rich.console import Console

from fwbench.cli import progress
from fwbench.cli.progress import PlaybookProgress, SessionProgress, duration, record_line
from fwbench.model.load import Load, Search
from fwbench.model.record import Record
from fwbench.model.verdict import Level, Verdict
from fwbench.plan import make_plan

PLAN = make_plan(suite(loads=(COUNTED,), baseline=None, blocks=2), [rig()])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (75, "1 min 15 s"),
        (3600, "60 min 0 s"),
    ],
)
def test_duration_is_formatted_in_minutes_and_seconds(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("findings", "ending"),
    [
        ((), "ok"),
        ((finding("thin", Level.NOTE),), "ok"),
        ((finding("never-idle", Level.SUSPECT),), "suspect (never-idle)"),
        ((finding("oom-kill"), finding("run-failed"), finding("oom-kill")), None),
    ],
)
def test_run_is_printed_as_one_line(findings: tuple, ending: str | None) -> None:
    line = record_line(record(findings=findings, block=3))
    assert line == f"one  block 3  flask hello: {ending or 'INVALID (oom-kill, run-failed)'}"


@pytest.mark.parametrize(
    ("p99_us", "codes", "ending"),
    [
        (50_000, (), "passed"),
        (50_001, (), "failed"),
        (10, ("rate-not-reached",), "failed (rate-not-reached)"),
        (10, ("oom-kill",), "INVALID (oom-kill)"),
    ],
)
def test_search_step_is_printed_as_passed_or_failed(
    p99_us: int, codes: tuple[str, ...], ending: str
) -> None:
    search = Search(p99_ms=50, lowest=100, highest=6400, steps=6)
    request_log = log()
    corrected = request_log.latency.model_copy(update={"p99_us": p99_us})
    load = load_result(log=request_log.model_copy(update={"corrected_latency": corrected}))
    step = Record(
        run=run(load=Load(connections=10, duration_s=3, search=search)),
        observation=observation(load=load, offered_rate=800),
        verdict=Verdict(findings=tuple(map(finding, codes))),
    )
    assert record_line(step).endswith(f" at 800/s: {ending}")


@contextmanager
def open_display(*, quiet: bool = False) -> Iterator[SessionProgress]:
    with SessionProgress(quiet=quiet) as display:
        yield display


def send_all_events(display: SessionProgress) -> None:
    display.say("connecting to [bold]one[/bold]")
    display.planned(PLAN)
    for number, planned in enumerate(PLAN.runs, start=1):
        display.started(planned)
        display.ended(record(planned.trial.contender, block=(number + 1) // 2))


def test_stderr_has_plain_lines_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open_display() as display:
        send_all_events(display)
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert printed.out == ""
    assert "\x1b" not in printed.err
    assert lines[:2] == ["connecting to [bold]one[/bold]", "4 runs, about 14 s"]
    assert len(lines) == 6
    for number, line in enumerate(lines[2:], start=1):
        assert line.startswith(f"[{number}/4] one  block {(number + 1) // 2}  ")
    assert lines[-1].endswith("; done")
    assert all("left" in line for line in lines[2:-1])


def test_long_line_is_not_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with open_display() as display:
        display.say("word " * 30)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_quiet_display_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with open_display(quiet=True) as display:
        send_all_events(display)
    assert capsys.readouterr() == ("", "")


def test_remaining_time_is_extrapolated_from_finished_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with open_display() as display:
        display.planned(PLAN)
        now[0] += 30
        display.ended(record())
    assert capsys.readouterr().err.splitlines()[-1].endswith("; about 1 min 30 s left")


def test_rigs_may_report_concurrently(capsys: pytest.CaptureFixture[str]) -> None:
    plan = make_plan(suite(loads=(COUNTED,), baseline=None, blocks=50), [rig()])
    with open_display() as display:
        display.planned(plan)
        threads = [
            threading.Thread(target=lambda: [display.ended(record()) for _ in range(25)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = capsys.readouterr().err.splitlines()[1:]
    assert [line.split("]")[0] for line in lines] == [f"[{n}/100" for n in range(1, 101)]


def test_terminal_shows_a_live_line_and_finished_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(
        progress,
        "Console",
        lambda **_: Console(file=out, force_terminal=True, width=80, highlight=False),
    )
    with open_display() as display:
        display.planned(PLAN)
        display.started(PLAN.runs[0])
        display.ended(record())
    assert "runs" in out.getvalue()
    assert "[1/4] one  block 1  flask hello: ok" in out.getvalue()


def test_playbook_tasks_are_plain_lines_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with PlaybookProgress("provision of target-1") as display:
        display.task("h2load : Install [the] packages")
        display.task("Verify")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "provision of target-1"
    assert lines[1] == "[0 s] task 1: h2load : Install [the] packages"
    assert lines[2] == "[0 s] task 2: Verify"
