"""An honest run and everything around it; tests change the one thing that they are about."""

from pathlib import Path
from typing import Any

from fwbench.loadgen.h2load import parse_text
from fwbench.model.contender import Contender, Contract
from fwbench.model.figures import Figures, LogSummary
from fwbench.model.host import Client, Rig, Target
from fwbench.model.load import Load
from fwbench.model.observation import (
    Answer,
    ContainerState,
    LoadResult,
    Observation,
    Phases,
    Process,
)
from fwbench.model.record import Header, HostFacts, ImageFacts, Record
from fwbench.model.run import Run, Trial
from fwbench.model.suite import Limits, Suite
from fwbench.model.verdict import Finding, Level, Verdict

SAMPLES = Path(__file__).parent / "fixtures" / "h2load"

# As in the recorded ok-duration and ok-n.
TIMED = Load(connections=10, threads=2, warm_up_s=1, duration_s=3)
COUNTED = Load(connections=40, requests=1000)

HELLO = Contract(path="/", content_type="text/html; charset=utf-8", body="Hello, World!")
HELLO_JSON = Contract(path="/", content_type="application/json", body='{"message":"Hello World"}')
FLASK = Contender(
    name="flask",
    summary="Flask",
    port=8001,
    workers=4,
    threads=32,
    processes=5,
    endpoints={"hello": HELLO},
)
FASTAPI = Contender(
    name="fastapi",
    summary="FastAPI",
    port=8002,
    workers=4,
    processes=5,
    endpoints={"hello": HELLO_JSON},
)


def figures(case: str = "ok-duration", version: str = "1.52", **changes: Any) -> Figures:
    text = (SAMPLES / version / f"{case}.out").read_text()
    return parse_text(text).model_copy(update=changes)


def figures_at(per_s: float) -> Figures:
    """What h2load says of a timed load of ten connections at such a rate, all else being well."""
    rows = round(per_s * 3)
    recorded = figures()
    return figures(
        rate_per_s=per_s,
        requests_total=rows,
        requests_started=rows,
        requests_done=rows,
        requests_succeeded=rows,
        status_2xx=rows,
        request_time_us=recorded.request_time_us.model_copy(update={"mean": 1e7 / per_s}),
        rate_per_connection=recorded.rate_per_connection.model_copy(
            update={"min": per_s / 10 - 1, "max": per_s / 10 + 1, "mean": per_s / 10}
        ),
    )


def log(rows: int = 14168, seconds: int = 3, **changes: Any) -> LogSummary:
    """The log of an even load: as many rows in each second, all with status 200."""
    each = rows // seconds
    summary = LogSummary(
        rows=rows,
        torn_rows=0,
        successful_rows=rows,
        rows_by_status={200: rows},
        first_start_us=0,
        last_end_us=seconds * 1_000_000 - 1_000,
        window_s=seconds - 0.001,
        completions_per_second=(*[each] * (seconds - 1), rows - each * (seconds - 1)),
        longest_gap_us=10_000,
        latency_p50_us=2_100,
        latency_p90_us=2_300,
        latency_p99_us=3_000,
        latency_max_us=8_760,
    )
    return summary.model_copy(update=changes)


def load_result(**changes: Any) -> LoadResult:
    result = LoadResult(exit_status=0, timed_out=False, stderr="", figures=figures(), log=log())
    return result.model_copy(update=changes)


def container(**changes: Any) -> ContainerState:
    state = ContainerState(
        running=True,
        exit_code=None,
        started_at="2026-11-23T10:00:00Z",
        restarts=0,
        oom_killed=False,
        cgroup_version=2,
        oom_kills=0,
        memory_peak_bytes=90 * 2**20,
        memory_limit_bytes=512 * 2**20,
        processes=tuple(
            Process(pid=100 + number, started_ticks=5000, command="gunicorn app")
            for number in range(5)
        ),
        waited_s=1.5,
        settled=True,
    )
    return state.model_copy(update=changes)


def answer(contract: Contract = HELLO, **changes: Any) -> Answer:
    given = Answer(status=contract.status, content_type=contract.content_type, body=contract.body)
    return given.model_copy(update=changes)


def observation(contract: Contract = HELLO, **changes: Any) -> Observation:
    honest = Observation(
        started_at="2026-11-23T10:00:00.000+00:00",
        phases=Phases(start_s=0.5, application_s=1.5, load_s=4.1, total_s=8.0),
        answer_before=answer(contract),
        answer_after=answer(contract),
        container_before=container(),
        container_after=container(),
        load=load_result(),
    )
    return honest.model_copy(update=changes)


def run(
    contender: str = "flask",
    load: Load = TIMED,
    *,
    block: int = 1,
    rig: str = "one",
    number: int = 1,
) -> Run:
    trial = Trial(
        contender=contender,
        endpoint="hello",
        load=load,
        limits=Limits(cpus=1, memory="512m"),
    )
    return Run(id=f"r1-{number:04d}-{contender}"[:63], rig=rig, block=block, trial=trial)


def finding(code: str = "oom-kill", level: Level = Level.INVALID) -> Finding:
    return Finding(code=code, level=level, evidence=f"evidence of {code}", advice="Do something.")


def record(
    contender: str = "flask",
    per_s: float = 1000.0,
    *,
    findings: tuple[Finding, ...] = (),
    block: int = 1,
    rig: str = "one",
) -> Record:
    """A run of three seconds with so many successful answers a second."""
    rows = round(per_s * 3)
    return Record(
        run=run(contender, block=block, rig=rig, number=block),
        observation=observation(load=load_result(figures=figures_at(per_s), log=log(rows))),
        verdict=Verdict(findings=findings),
    )


def rig(name: str = "one") -> Rig:
    return Rig(
        name=name,
        target=Target(name=f"{name}-target", address="198.18.0.1", load_address="198.18.0.1"),
        clients=(Client(name=f"{name}-client", address="198.18.0.2"),),
    )


def suite(**changes: Any) -> Suite:
    values: dict[str, Any] = {
        "name": "published",
        "question": "Is FastAPI three times as fast as Flask?",
        "contenders": ("flask", "fastapi"),
        "baseline": "flask",
        "loads": (TIMED,),
        "limits": (Limits(cpus=1, memory="512m"),),
        "blocks": 10,
    }
    return Suite(**(values | changes))


def header(**changes: Any) -> Header:
    facts = HostFacts(
        host="one-target",
        system="Debian GNU/Linux 13",
        kernel="6.12.57",
        architecture="x86_64",
        cpu_model="AMD EPYC 9R14",
        cpus=2,
        memory_bytes=8 * 2**30,
        cgroup_version=2,
        engine="26.1.5",
        images=(
            ImageFacts(
                name="flask",
                image_id="sha256:0123456789abcdef0123456789abcdef",
                base="python:3.13-slim@sha256:" + "0123456789abcdef" * 4,
                base_origin="registry",
                packages=("flask==3.1.2",),
            ),
        ),
    )
    client = facts.model_copy(
        update={
            "host": "one-client",
            "engine": None,
            "h2load": "h2load nghttp2/1.64.0",
            "images": (),
        }
    )
    values: dict[str, Any] = {
        "fwbench": "0.1.0",
        "created_at": "2026-11-23T10:00:00+00:00",
        "suite": suite(),
        "contenders": (FLASK, FASTAPI),
        "rigs": (rig(),),
        "facts": (facts, client),
    }
    return Header(**(values | changes))
