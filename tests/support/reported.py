"""Sessions as report formats receive them: builders, and sessions with golden files."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from builders import (
    COUNTED,
    FASTAPI,
    FLASK,
    client_facts,
    container,
    figures,
    figures_at,
    finding,
    header,
    load_result,
    log,
    observation,
    record,
    rig,
    run,
    suite,
    target_facts,
)
from two_generators import both, two_tools

from fwbench.checks.evaluate import evaluate_run
from fwbench.model.contender import Contender
from fwbench.model.event import Event
from fwbench.model.load import Load
from fwbench.model.preset import Preset
from fwbench.model.record import Record, SessionHeader
from fwbench.model.setting import CpuMode, Limits
from fwbench.plan import make_plan
from fwbench.report.format import ReportedSession
from fwbench.stats.application import FrameworkPart
from fwbench.stats.run_result import RunResult
from fwbench.stats.session_results import session_results
from fwbench.stats.summarise import summarise

SMALL: dict[str, Any] = {
    "instance_type": "small",
    "cpus": 0.5,
    "memory_bytes": 512 * 2**20,
    "price_per_hour": 0.0208,
}
LARGE: dict[str, Any] = {"instance_type": "large", "cpus": 1, "price_per_hour": 0.0416}


def reported(
    records: Iterable[Record],
    framework_share: FrameworkPart | None = None,
    events: tuple[Event, ...] = (),
    head: SessionHeader | None = None,
    **changes: Any,
) -> ReportedSession:
    """Return the session of these records; `changes` are those of its header."""
    head = head or header(**changes)
    results = session_results(records)
    return ReportedSession(
        folder="sessions/published-20261123t100000000",
        header=head,
        summary=summarise(head, make_plan(head.suite, head.rigs), results, events),
        runs=results.runs,
        read_latencies=latencies,
        framework_share=framework_share,
    )


def latencies(result: RunResult) -> Mapping[int, Mapping[int, int]]:
    """Return three seconds of latencies for a run."""
    return {1_000 + second: Counter({2_100: 900, 3_000 + result.block: 9}) for second in range(3)}


def evaluated(
    contender: Contender, per_s: float, block: int, *, aa_control: bool = False, **seen: Any
) -> Record:
    """Return a run with the verdict that the checks give it."""
    rows = round(per_s * 3)
    load = load_result(summary=figures_at(per_s), log=log(rows))
    observed = observation(contender.endpoints["hello"], **{"load": load, **seen})
    executed_run = run(contender.name, block=block, number=block, aa_control=aa_control)
    verdict = evaluate_run(executed_run, contender, observed)
    return Record(run=executed_run, observation=observed, verdict=verdict)


def session_of_sizes(
    suite_changes: dict[str, Any] | None = None, **rigs: dict[str, Any]
) -> SessionHeader:
    """Return the header of a session whose rigs have these facts."""
    facts = []
    for name, special in rigs.items():
        facts += [target_facts(f"{name}-target", **special), client_facts(f"{name}-client")]
    return header(
        suite=suite(**({"blocks": 3} | (suite_changes or {}))),
        rigs=tuple(rig(name) for name in rigs),
        facts=tuple(facts),
    )


def executed(on: str, flask: float = 1000.0, blocks: int = 3) -> list[Record]:
    """Return all runs of a rig: FastAPI serves twice as much as Flask; blocks differ a little."""
    return [
        record(
            contender,
            round(flask * times + 5 * (block % 2)),
            block=block,
            rig=on,
            aa_control=aa_control,
        )
        for block in range(1, blocks + 1)
        for contender, aa_control, times in (
            ("flask", False, 1),
            ("flask", True, 1),
            ("fastapi", False, 2),
        )
    ]


def empty() -> ReportedSession:
    """Return a session that has just begun."""
    return reported([])


def only_invalid() -> ReportedSession:
    """Return a session none of whose runs can be used."""
    return reported(
        record(name, 9000, findings=(finding(),), block=block)
        for block in (1, 2, 3)
        for name in ("flask", "fastapi")
    )


def ten_blocks() -> ReportedSession:
    """Return a complete session with a clear result; two runs are invalid, one is suspect."""
    killed = container(oom_kills=60, memory_peak_bytes=512 * 2**20)
    special: dict[int, dict[str, Any]] = {
        3: {"container_after": killed},
        5: {"container_after": killed},
        7: {"container_before": container(reached_idle=False, idle_wait_s=30.0)},
    }
    records = []
    for block in range(1, 11):
        records.append(evaluated(FLASK, 2300 + 7 * (block % 4), block))
        records.append(evaluated(FLASK, 2310 + 9 * (block % 3), block, aa_control=True))
        records.append(evaluated(FASTAPI, 4400 + 20 * (block % 3), block, **special.get(block, {})))
    return reported(records)


def published() -> ReportedSession:
    """Return the published experiment: a number of requests, once each, under a tight limit."""
    limits = Limits(cpus=1, cpu_mode=CpuMode.QUOTA, memory="100m")
    published_suite = suite(loads=(COUNTED,), limits=(limits,), preset=Preset.SMOKE)
    full = {"memory_peak_bytes": 100 * 2**20, "memory_limit_bytes": 100 * 2**20}
    observations: dict[str, dict[str, Any]] = {
        "flask": {},
        "fastapi": {
            "container_before": container(
                oom_kills=38, reached_idle=False, idle_wait_s=30.0, **full
            ),
            "container_after": container(oom_kills=98, **full),
        },
    }
    records = []
    for number, contender in enumerate((FLASK, FASTAPI), start=1):
        load = load_result(summary=figures("ok-n"), log=log(1000, 1))
        changes = {"load": load, **observations[contender.name]}
        observed = observation(contender.endpoints["hello"], **changes)
        executed_run = run(contender.name, COUNTED, number=number)
        trial = executed_run.trial.model_copy(update={"limits": limits})
        executed_run = executed_run.model_copy(update={"trial": trial})
        verdict = evaluate_run(executed_run, contender, observed)
        records.append(Record(run=executed_run, observation=observed, verdict=verdict))
    return reported(records, suite=published_suite)


def interrupted() -> ReportedSession:
    """Return a session of two rigs that still runs, or was interrupted."""
    records = [
        record("flask", 2300, rig="one"),
        record("fastapi", 4400, rig="one"),
        record("fastapi", 4900, rig="two"),
    ]
    two_rig_suite = suite(
        loads=(Load(connections=10, threads=2, warm_up_s=1, duration_s=3),), blocks=3
    )
    return reported(records, suite=two_rig_suite, rigs=(rig("one"), rig("two")))


def two_sizes() -> ReportedSession:
    """Return a session of two sizes with three rigs each."""
    small, large = ("s1", "s2", "s3"), ("l1", "l2", "l3")
    head = session_of_sizes(**dict.fromkeys(small, SMALL), **dict.fromkeys(large, LARGE))
    records = []
    for number in range(3):
        records += executed(small[number], 1000 + 15 * number)
        records += executed(large[number], 1900 + 30 * number)
    return reported(records, head=head)


def one_rig_a_size() -> ReportedSession:
    """Return a session of two sizes with one rig each; one has no price."""
    head = session_of_sizes(small=SMALL, large=LARGE | {"price_per_hour": None})
    return reported([*executed("small"), *executed("large", 1900)], head=head)


def quarantined() -> ReportedSession:
    """Return a session that was resumed and lost two rigs."""
    lost = executed("two", blocks=1)[0]
    lost = lost.model_copy(
        update={
            "attempt": 1,
            "observation": lost.observation.model_copy(
                update={
                    "load": None,
                    "infrastructure_failure": True,
                    "failure": "two-client: the connection broke",
                }
            ),
        }
    )
    events = (
        Event(at="2026-11-23T10:10:00+00:00", kind="resumed", reason="17 of 18 runs were left."),
        Event(
            at="2026-11-23T10:20:00+00:00",
            kind="excluded",
            rig="three",
            reason="three-target: does not answer SSH",
        ),
        Event(
            at="2026-11-23T10:25:00+00:00",
            kind="quarantined",
            rig="two",
            reason="three runs in a row failed, the last one because two-client went away",
        ),
    )
    again = lost.model_copy(update={"attempt": 2})
    records = [*executed("one"), lost, again]
    return reported(records, events=events, head=session_of_sizes(one={}, two={}))


def two_load_generators() -> ReportedSession:
    """Return a session whose load h2load and wrk offer in turn."""
    return reported(both(1.01), suite=two_tools(), rigs=(rig(),))


# The sessions whose reports are golden files, by the name of the files.
GOLDEN_SESSIONS: dict[str, Callable[[], ReportedSession]] = {
    "empty": empty,
    "only-invalid": only_invalid,
    "ten-blocks": ten_blocks,
    "published": published,
    "interrupted": interrupted,
    "two-sizes": two_sizes,
    "one-rig-a-size": one_rig_a_size,
    "quarantined": quarantined,
    "two-load-generators": two_load_generators,
}
