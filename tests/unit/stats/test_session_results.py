import weakref
from collections.abc import Iterator
from typing import Any

from builders import finding, observation, record

from fwbench.model.record import Record
from fwbench.model.verdict import Level
from fwbench.stats.session_results import session_results


def test_no_record_is_kept() -> None:
    read: list[weakref.ref[Any]] = []

    def attempts() -> Iterator[Record]:
        for block in range(1, 20):
            made = record(block=block, findings=(finding(level=Level.SUSPECT),))
            read.extend(map(weakref.ref, (made, made.observation, made.verdict)))
            yield made

    results = session_results(attempts())
    assert [result.block for result in results.runs] == list(range(1, 20))
    # The last record of the loop is gone with its generator.
    assert [kept for kept in read if kept() is not None] == []


def test_findings_are_counted_while_records_are_read() -> None:
    twice = finding("steal", Level.SUSPECT)
    note = finding("closed-load", Level.NOTE)
    results = session_results(
        [
            record(block=1, findings=(note, twice)),
            record("fastapi", block=2, findings=(twice, finding("oom-kill"), note)),
        ]
    )
    assert [(one.code, one.runs, one.first_run, one.contenders) for one in results.findings] == [
        ("oom-kill", 1, "r1-0002-fastapi", ("fastapi",)),
        ("steal", 2, "r1-0001-flask", ("flask", "fastapi")),
        ("closed-load", 1, "r1-0001-flask", ("flask",)),  # a note of an invalid run says nothing
    ]


def test_lost_attempts_are_kept_apart() -> None:
    lost = record().model_copy(
        update={"observation": observation(infrastructure_failure=True), "attempt": 2}
    )
    results = session_results([lost, record()])
    assert [result.id for result in results.runs] == ["r1-0001-flask"]
    assert [(one.attempt, one.reason) for one in results.lost_attempts] == [(2, "it left nothing")]
