"""Measure the reduction of h2load's log on the client: ten million rows, from a load of 100 s.

    python selfbench/reduce.py

Prints seconds, memory and bytes, one figure per line, with the highest acceptable value. Machines
differ: for comparison, a plain loop counts the latencies in a `dict` in the same minute.
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fwbench.agent.reduce import reduce_log

START_US = 1_795_340_656_695_560


def write_log(path: Path, rows: int, per_s: int) -> None:
    """Write a log with two peaks of latencies; rows are not exactly in order of completion."""
    rng = random.Random(1)  # noqa: S311 - reproducible
    humps = ((12_000, 2_500), (32_000, 3_800))
    with path.open("w") as log:
        for first in range(0, rows, 10_000):
            lines = []
            for row in range(first, min(rows, first + 10_000)):
                mean_us, sd_us = humps[rng.random() > 0.7]
                latency_us = max(100, round(rng.gauss(mean_us, sd_us)))
                end_us = START_US + row * 1_000_000 // per_s + rng.randrange(40)
                lines.append(f"{end_us - latency_us}\t200\t{latency_us}\n")
            log.write("".join(lines))


def count_plainly(path: Path) -> dict[int, int]:
    """Count latencies as simply as possible: no seconds, no status, no gaps."""
    counts: dict[int, int] = {}
    with path.open("rb") as log:
        for line in log:
            latency_us = int(line.rsplit(b"\t", 1)[1])
            counts[latency_us] = counts.get(latency_us, 0) + 1
    return counts


def measured(what: str, log: Path, folder: Path) -> tuple[float, float, int]:
    """Return seconds, peak MB and distinct latencies of `plain` or `reduce`, in a new process."""
    argv = [sys.executable, __file__, "--child", what, str(log), str(folder)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    seconds, peak_mb, distinct = done.stdout.split()
    return float(seconds), float(peak_mb), int(distinct)


def child(what: str, log: Path, folder: Path) -> None:
    began = time.perf_counter()
    distinct = len(count_plainly(log)) if what == "plain" else 0
    if what == "reduce":
        reduce_log(log, folder)
    seconds = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(seconds, peak_mb, distinct)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--per-s", type=int, default=100_000)
    arguments.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        what, log, folder = given.child
        child(what, Path(log), Path(folder))
        return
    with tempfile.TemporaryDirectory() as place:
        log, left = Path(place, "requests.log"), Path(place, "left")
        left.mkdir()
        write_log(log, given.rows, given.per_s)
        plain_s, _, distinct = measured("plain", log, left)
        seconds, peak_mb, _ = measured("reduce", log, left)
        written = sum(path.stat().st_size for path in left.iterdir())
        version = ".".join(map(str, sys.version_info[:2]))
        megabytes = log.stat().st_size / 1e6
        print(f"{given.rows} rows, {megabytes:.0f} MB, {distinct} latencies, Python {version}")
    print(f"seconds to reduce them         {seconds:8.2f}  (at most 6)")
    print(f"seconds of the plain loop      {plain_s:8.2f}")
    print(f"ratio                          {seconds / plain_s:8.2f}")
    print(f"peak memory, MB                {peak_mb:8.1f}  (at most 64)")
    print(f"bytes written, MB              {written / 1e6:8.2f}  (at most 2)")


if __name__ == "__main__":
    main()
