"""Measure how long `fwbench resume` takes to start, in a session with 10,000 records.

    python selfbench/resume.py [--records 10000] [--times 5]

The session has one remaining run, on a rig that refuses connections at once. The whole program is
timed, from its start until it reports the refusal. For comparison, `fwbench --help` shows the time
to start the program, and `json` the time to parse the same file.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tabulate import tabulate

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from builders import header, record, suite

import fwbench
from fwbench import paths
from fwbench.config.suites import load_contenders
from fwbench.model.host import Client, Rig, Target
from fwbench.plan import make_plan
from fwbench.storage.store import SessionStore

LIMIT_S = 2.0
DOES_NOT_ANSWER = 5
HERE = "127.0.0.1"


def session(folder: Path, records: int) -> SessionStore:
    """Return a session with this number of records and one remaining run."""
    nowhere = Rig(
        name="one",
        target=Target(name="one-target", address=HERE, port=1, load_address=HERE),
        clients=(Client(name="one-client", address=HERE, port=2),),
    )
    asked = suite(blocks=1, contenders=("flask",), baseline=None)
    one = make_plan(asked, [nowhere]).runs[0]
    runs = tuple(one.model_copy(update={"id": f"r1-{n:05d}-flask"}) for n in range(records + 1))
    contenders = load_contenders(paths.data_folder() / "contenders")
    store = SessionStore.create(folder / "published-1")
    store.initialise(
        header().model_copy(
            update={
                "fwbench": fwbench.__version__,
                "suite": asked,
                "contenders": (contenders["flask"],),
                "rigs": (nowhere,),
            }
        ),
        make_plan(asked, [nowhere]).model_copy(update={"runs": runs}),
    )
    sample = record()
    with (store.folder / "records.jsonl").open("w") as file:
        for run in runs[:-1]:
            file.write(sample.model_copy(update={"run": run}).model_dump_json() + "\n")
    return store


def durations_s(function: Callable[[], None], times: int) -> list[float]:
    """Return the duration of each call of a function."""
    durations = []
    for _ in range(times):
        started_s = time.perf_counter()
        function()
        durations.append(time.perf_counter() - started_s)
    return durations


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    program = [str(Path(sys.executable).with_name("fwbench"))]
    with tempfile.TemporaryDirectory() as place:
        store = session(Path(place), given.records)
        path = store.folder / "records.jsonl"

        def resume() -> None:
            done = subprocess.run([*program, "resume", str(store.folder)], capture_output=True)
            assert done.returncode == DOES_NOT_ANSWER, done.stderr

        def start() -> None:
            subprocess.run([*program, "--help"], check=True, capture_output=True)

        def read() -> None:
            for line in path.read_bytes().splitlines():
                json.loads(line)

        rows = []
        functions = (("fwbench resume", resume), ("fwbench --help", start), ("json", read))
        for name, function in functions:
            durations = durations_s(function, given.times)
            rows.append([name, statistics.median(durations), min(durations), max(durations)])
        print(f"{given.records} records, {path.stat().st_size / 2**20:.1f} MiB; seconds:")
        print(tabulate(rows, headers=["", "median", "least", "most"], floatfmt=".2f"))
        print(f"`fwbench resume` may take at most {LIMIT_S:g} s")


if __name__ == "__main__":
    main()
