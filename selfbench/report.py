"""The CPU time and memory of `fwbench report`, for a session of 10,000 records and one of 100,000.

    python selfbench/report.py [--records 10000 100000]

The session is the same each time: five rigs, two endpoints, a closed load and a fixed rate of ten
seconds, four contenders and the A/A control, with telemetry of both hosts and findings. The CPU
time of the whole program is compared with that of `json.loads` on the same lines. Each measurement
has its own process. Another process writes the session, because the peak memory of a process also
counts for the processes that it starts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fwbench.model.record import Record
    from fwbench.model.run import Run

ROOT = Path(__file__).parents[1]
RIGS = tuple(f"rig-{number}" for number in range(1, 6))
TRIALS = 20  # (four contenders and the A/A control) × two endpoints × two loads
MAX_RATIO = 4.0
MAX_PEAK_MB = {10_000: 200, 100_000: 400}
REPORT = "from fwbench.cli.main import main; main()"


class Cost(NamedTuple):
    """What a process used."""

    cpu_s: float
    peak_mb: float


def write_session(folder: Path, records: int) -> None:
    """Write a session of so many records, rounded to whole blocks of all rigs."""
    sys.path.append(str(ROOT / "tests" / "support"))
    from builders import FASTAPI, FLASK, header, rig, suite

    from fwbench.model.load import Load
    from fwbench.plan import make_plan
    from fwbench.storage.store import SessionStore

    names = ("flask", "fastapi", "quart", "litestar")
    contender_of = {FLASK.name: FLASK, FASTAPI.name: FASTAPI}
    asked = suite(
        contenders=names,
        endpoints=("hello", "json"),
        loads=(
            Load(connections=40, threads=2, warm_up_s=2, duration_s=10),
            Load(connections=40, threads=2, warm_up_s=2, duration_s=10, rate=800),
        ),
        blocks=round(records / TRIALS / len(RIGS)),
    )
    rigs = tuple(map(rig, RIGS))
    contenders = tuple(
        contender_of.get(name, FLASK).model_copy(update={"name": name}) for name in names
    )
    plan = make_plan(asked, rigs)
    store = SessionStore.create(folder)
    store.initialise(header(suite=asked, contenders=contenders, rigs=rigs), plan)
    with (folder / "records.jsonl").open("w") as file:
        for number, run in enumerate(plan.runs):
            file.write(record_of(run, number).model_dump_json() + "\n")


def record_of(run: "Run", number: int) -> "Record":
    """Return the record of a run: every third is suspect, every fiftieth invalid."""
    import builders

    from fwbench.checks.client_saturated import CHECK as CLIENT_SATURATED
    from fwbench.checks.oom_kill import CHECK as OOM_KILL
    from fwbench.checks.registry import CHECKS
    from fwbench.model.record import Record
    from fwbench.model.verdict import Level, Verdict

    noise = number * 7919 % 1000 / 1000  # the same in each session
    rows = round(10_000 * (1 + 0.04 * noise))
    latency = builders.percentiles(p99_us=3_000 + round(400 * noise), mean_us=2_000 + 100 * noise)
    findings = [builders.finding("closed-load", Level.NOTE)]
    if number % 3 == 0:
        findings.append(builders.finding(CLIENT_SATURATED.code, Level.SUSPECT))
    if number % 50 == 0:
        findings.append(builders.finding(OOM_KILL.code))
    rate = run.trial.load.rate
    log = builders.log(
        rows, 10, latency=latency, corrected_latency=None if rate is None else latency
    )
    load = builders.load_result(summary=builders.figures_at(rows / 10), log=log)
    return Record(
        run=run,
        observation=builders.observation(load=load, offered_rate=rate),
        verdict=Verdict(
            findings=tuple(findings),
            not_applicable=tuple(check.code for check in CHECKS[-8:]),
            not_observed=tuple(check.code for check in CHECKS[:2]),
        ),
    )


def read_lines(path: Path) -> None:
    """Read every line with `json` and keep none."""
    with path.open("rb") as file:
        for line in file:
            json.loads(line)


def cost_of(*argv: str) -> Cost:
    """Return what a Python program uses from its start to its end."""
    process = subprocess.Popen([sys.executable, *argv], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 8), process.returncode  # 8: there are invalid runs
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measure(records: int, place: Path) -> None:
    """Print what the report of so many records costs."""
    folder = place / f"session-{records}"
    cost_of(__file__, "--write", str(folder), str(records))
    size = (folder / "records.jsonl").stat().st_size
    plain = cost_of(__file__, "--read", str(folder / "records.jsonl"))
    load = os.getloadavg()[0]
    print(f"{records} records of {size / records:.0f} bytes each, load average {load:.1f}")
    print(f"  json.loads of all lines   {plain.cpu_s:6.2f} s of CPU time")
    for form in ("text", "json"):
        used = cost_of("-c", REPORT, "report", str(folder), "--format", form)
        ratio = used.cpu_s / plain.cpu_s
        line = f"  report --format {form}      {used.cpu_s:6.2f} s, {ratio:.2f} times as much;"
        print(f"{line} peak memory {used.peak_mb:.0f} MB", flush=True)
    if (peak := MAX_PEAK_MB.get(records)) is not None:
        print(f"  the text may take at most {MAX_RATIO:g} times as much, and {peak} MB", flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write_session(Path(given.write[0]), int(given.write[1]))
    elif given.read:
        read_lines(given.read)
    else:
        with tempfile.TemporaryDirectory() as place:
            for records in given.records:
                measure(records, Path(place))


if __name__ == "__main__":
    main()
