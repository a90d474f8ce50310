import weakref
from collections.abc import Iterator
from typing import Any

from builders import finding, observation, record

from fwbench.model.record import Record
from fwbench.model.verdict import Level
from fwbench.stats.session_results import session_results


def test_records_are_not_kept_in_memory() -> None:
    references: list[weakref.ref[Any]] = []

    def attempts() -> Iterator[Record]:
        for block in range(1, 20):
            run_record = record(block=block, findings=(finding(level=Level.SUSPECT),))
            references.extend(
                map(weakref.ref, (run_record, run_record.observation, run_record.verdict))
            )
            yield run_record

    results = session_results(attempts())
    assert [result.block for result in results.runs] == list(range(1, 20))
    # The generator has ended, so it no longer refers to its last record.
    assert [reference for reference in references if reference() is not None] == []


def test_findings_are_counted_while_records_are_read() -> None:
    steal = finding("steal", Level.SUSPECT)
    note = finding("closed-load", Level.NOTE)
    results = session_results(
        [
            record(block=1, findings=(note, steal)),
            record("fastapi", block=2, findings=(steal, finding("oom-kill"), note)),
        ]
    )
    assert [
        (each.code, each.runs, each.first_run, each.contenders) for each in results.findings
    ] == [
        ("oom-kill", 1, "r1-0002-fastapi", ("fastapi",)),
        ("steal", 2, "r1-0001-flask", ("flask", "fastapi")),
        ("closed-load", 1, "r1-0001-flask", ("flask",)),  # notes of invalid runs are not counted
    ]


def test_lost_attempts_are_listed_separately() -> None:
    lost = record().model_copy(
        update={"observation": observation(infrastructure_failure=True), "attempt": 2}
    )
    results = session_results([lost, record()])
    assert [result.id for result in results.runs] == ["r1-0001-flask"]
    assert [(each.attempt, each.reason) for each in results.lost_attempts] == [
        (2, "it left nothing")
    ]
