"""Build a valid run and everything around it; each test changes the one thing that it tests."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from repository import FIXTURES

from fwbench.agent.reduce import reduce_log
from fwbench.checks.registry import CHECKS_BY_CODE
from fwbench.loadgen.h2load import GENERATOR as H2LOAD
from fwbench.model.base import Frozen
from fwbench.model.contender import Contender, Contract
from fwbench.model.figures import LoadSummary, Percentiles, RequestLogSummary, SecondCounts
from fwbench.model.host import Client, Rig, Target
from fwbench.model.load import Load
from fwbench.model.observation import (
    Answer,
    ClientObservation,
    ContainerState,
    LoadResult,
    Observation,
    Phases,
    Process,
)
from fwbench.model.record import HostFacts, ImageFacts, Record, SessionHeader
from fwbench.model.run import Run, Trial
from fwbench.model.setting import Limits
from fwbench.model.suite import Suite
from fwbench.model.telemetry import (
    BusyProcess,
    ClockOffset,
    ContainerUsage,
    CpuShares,
    HostUsage,
    LoadThread,
    NetworkUsage,
    PressureStalls,
)
from fwbench.model.verdict import Finding, Level, Verdict

SAMPLES = FIXTURES / "h2load"

# The loads of the recorded outputs ok-duration and ok-n.
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


Model = TypeVar("Model", bound=Frozen)


def changed(model: Model, changes: dict[str, Any]) -> Model:
    """Return the model with some fields changed; an unknown field fails."""
    unknown = set(changes) - set(type(model).model_fields)
    assert not unknown, f"{type(model).__name__} has no {unknown}"
    return model.model_copy(update=changes)


def figures(case: str = "ok-duration", version: str = "1.52", **changes: Any) -> LoadSummary:
    text = (SAMPLES / version / f"{case}.out").read_text()
    return changed(H2LOAD.parse_output(text), changes)


def figures_at(per_s: float) -> LoadSummary:
    """Return h2load's summary of a timed, successful load of ten connections at this rate."""
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


def seconds_of(*completions: int) -> tuple[SecondCounts, ...]:
    """Return consecutive seconds with these numbers of successful answers."""
    return tuple(
        SecondCounts(at_s=at, completions=number, successful=number, p99_us=3_000)
        for at, number in enumerate(completions)
    )


def percentiles(**changes: Any) -> Percentiles:
    defaults = Percentiles(
        p50_us=2_100,
        p75_us=2_200,
        p90_us=2_300,
        p95_us=2_500,
        p99_us=3_000,
        p999_us=5_000,
        max_us=8_760,
        mean_us=2_110.5,
    )
    return changed(defaults, changes)


def log(rows: int = 14168, seconds: int = 3, **changes: Any) -> RequestLogSummary:
    """Return the log of an even load: equally many rows in each second, all with status 200."""
    per_second, per_tenth = rows // seconds, rows // (10 * seconds)
    tenths = (*[per_tenth] * (10 * seconds - 1), rows - per_tenth * (10 * seconds - 1))
    summary = RequestLogSummary(
        rows=rows,
        rows_outside_window=0,
        truncated_rows=0,
        successful_rows=rows,
        rows_by_status={200: rows},
        first_start_us=0,
        last_end_us=seconds * 1_000_000 - 1_000,
        window_s=seconds - 0.001,
        per_second=seconds_of(*[per_second] * (seconds - 1), rows - per_second * (seconds - 1)),
        completions_per_100ms=tenths,
        longest_gap_us=10_000,
        latency=percentiles(),
        corrected_latency=None,
    )
    return changed(summary, changes)


def reduced(text: str | bytes, **window: float) -> dict[str, bytes]:
    """Return the files to which the agent reduces a log, by name."""
    with TemporaryDirectory() as place:
        log_file, folder = Path(place) / "requests.log", Path(place) / "reduced"
        folder.mkdir()
        log_file.write_bytes(text.encode() if isinstance(text, str) else text)
        reduce_log(log_file, folder, **window)
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def load_result(**changes: Any) -> LoadResult:
    result = LoadResult(exit_status=0, timed_out=False, stderr="", summary=figures(), log=log())
    return changed(result, changes)


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
        idle_wait_s=1.5,
        reached_idle=True,
    )
    return changed(state, changes)


def host_usage(**changes: Any) -> HostUsage:
    """Return the usage of a host with hardly any background load.

    Every field is known but the frequency, which most virtual machines do not provide.
    """
    usage = HostUsage(
        window_s=2.8,
        samples=15,
        cpus=2,
        steal_share=0,
        cpu=CpuShares(user=0.4, nice=0, system=0.1, idle=0.5, iowait=0, irq=0, softirq=0, steal=0),
        background_cores=0.001,
        busiest_background_process=BusyProcess(command="containerd", cores=0.001),
        docker_proxy_cores=0,
        sampler_cores=0.002,
        network=NetworkUsage(
            listen_overflows=0,
            listen_drops=0,
            retransmits=0,
            segments_sent=30_000,
            connections_opened=11,
            time_wait=2,
            received_bytes=3_000_000,
            sent_bytes=4_000_000,
            packets=60_000,
            errors=0,
            drops=0,
        ),
        stalls=PressureStalls(cpu=0.5, memory=0, io=0),
    )
    return changed(usage, changes)


def target_usage(**changes: Any) -> HostUsage:
    usage = ContainerUsage(
        cores=1,
        quota_periods=0,
        throttled_periods=0,
        throttled_s=0,
        memory_bytes=90 * 2**20,
        memory_peak_bytes=90 * 2**20,
        memory_limit_hits=0,
        oom_kills=0,
    )
    return host_usage(**({"container": usage} | changes))


def client_usage(**changes: Any) -> HostUsage:
    threads = (
        LoadThread(tid=200, command="h2load", cores=0, wait_share=0),
        LoadThread(tid=201, command="h2load", cores=0.2, wait_share=0.02),
    )
    return host_usage(**({"threads": threads} | changes))


def answer(contract: Contract = HELLO, **changes: Any) -> Answer:
    expected = Answer(
        status=contract.status, content_type=contract.content_type, body=contract.body
    )
    return changed(expected, changes)


def client_side(contract: Contract = HELLO, **changes: Any) -> ClientObservation:
    default = ClientObservation(
        host="one-client",
        answer_before=answer(contract),
        answer_after=answer(contract),
        usage=client_usage(),
        clock=ClockOffset(client_minus_target_s=0.002, uncertainty_s=0.01),
    )
    return changed(default, changes)


def observation(contract: Contract = HELLO, **changes: Any) -> Observation:
    """Return an observation of a rig with one client; the client's usage is `client`."""
    if "client" in changes:
        changes["usage"] = changes.pop("client")
    client_changes = {
        name: changes.pop(name) for name in ClientObservation.model_fields if name in changes
    }
    if "load" in client_changes:
        changes["load"] = client_changes.pop("load")
    valid = Observation(
        started_at="2026-11-23T10:00:00.000+00:00",
        phases=Phases(start_s=0.5, ready_s=1.5, load_s=4.1, total_s=8.0),
        container_before=container(),
        container_after=container(),
        load=load_result(),
        target=target_usage(),
        clients=(client_side(contract, **client_changes),),
    )
    return changed(valid, changes)


def run(
    contender: str = "flask",
    load: Load = TIMED,
    *,
    block: int = 1,
    rig: str = "one",
    number: int = 1,
    aa_control: bool = False,
) -> Run:
    trial = Trial(
        contender=contender,
        aa_control=aa_control,
        endpoint="hello",
        load=load,
        limits=Limits(cpus=1, memory="512m"),
    )
    return Run(id=f"r1-{number:04d}-{trial.label}"[:63], rig=rig, block=block, trial=trial)


def finding(code: str = "oom-kill", level: Level = Level.INVALID, **changes: Any) -> Finding:
    check = CHECKS_BY_CODE.get(code)
    default = Finding(
        code=code,
        level=level,
        evidence=f"evidence of {code}",
        advice="Do something.",
        effect=check.effect if check else None,
    )
    return changed(default, changes)


def record(
    contender: str = "flask",
    per_s: float = 1000.0,
    *,
    findings: tuple[Finding, ...] = (),
    block: int = 1,
    rig: str = "one",
    aa_control: bool = False,
) -> Record:
    """Return the record of a run of three seconds with `per_s` successful answers a second."""
    rows = round(per_s * 3)
    return Record(
        run=run(contender, block=block, rig=rig, number=block, aa_control=aa_control),
        observation=observation(load=load_result(summary=figures_at(per_s), log=log(rows))),
        verdict=Verdict(findings=findings),
    )


def rig(name: str = "one") -> Rig:
    return Rig(
        name=name,
        target=Target(name=f"{name}-target", address="192.0.2.1", load_address="192.0.2.1"),
        clients=(Client(name=f"{name}-client", address="192.0.2.2"),),
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


def target_facts(host: str = "one-target", **changes: Any) -> HostFacts:
    facts = HostFacts(
        host=host,
        system="Debian GNU/Linux 13",
        kernel="6.12.57",
        architecture="x86_64",
        cpu_model="AMD EPYC 9R14",
        cpus=2,
        cpu_numbers=(0, 1),
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
    return changed(facts, changes)


def client_facts(host: str = "one-client", **changes: Any) -> HostFacts:
    client_fields = {"engine": None, "images": (), "versions": {"h2load": "1.64.0"}}
    return target_facts(host, **(client_fields | changes))


def header(**changes: Any) -> SessionHeader:
    """Return a session's header; all rigs have the same facts unless `facts` is given."""
    values: dict[str, Any] = {
        "fwbench": "0.1.0",
        "created_at": "2026-11-23T10:00:00+00:00",
        "suite": suite(),
        "contenders": (FLASK, FASTAPI),
        "rigs": (rig(),),
    }
    values |= changes
    if "facts" not in values:
        values["facts"] = tuple(
            fact
            for rig_of_session in values["rigs"]
            for fact in (
                target_facts(rig_of_session.target.name),
                *(client_facts(client.name) for client in rig_of_session.clients),
            )
        )
    return SessionHeader(**values)
