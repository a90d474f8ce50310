"""Measure the cost of more rigs: the same plan on one rig, and on eight rigs side by side.

    fwbench lab up --name eight --targets 8 --clients 8
    fwbench provision -i "$(fwbench lab inventory --name eight)"
    python selfbench/rigs.py "$(fwbench lab inventory --name eight)"

The load is light and at a fixed rate, because all hosts of a lab share one machine's CPUs. Prints
the wall time of both and their ratio, and the controller's CPU use during the loads, from the tenth
second of each load to its end.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

LOAD_S = 60
BLOCKS = 2
SUITE = f"""
name: rigs
question: What do more rigs cost?
contenders: [flask]
loads:
  - {{connections: 2, rate: 20, duration_s: {LOAD_S}}}
limits:
  - {{cpus: 1, memory: 512m}}
blocks: {BLOCKS}
"""
RATIO = 1.15
CORE = 0.05


def inventory_of(inventory: Path, number: int, folder: Path) -> Path:
    """Write an inventory with the first `number` rigs to a folder, and return its path."""
    listed = yaml.safe_load(inventory.read_text())
    rigs = {f"rig-{n + 1}" for n in range(number)}
    for group in listed["all"]["children"].values():
        hosts = group["hosts"]
        group["hosts"] = {n: host for n, host in hosts.items() if host["fwbench_rig"] in rigs}
    path = folder / f"hosts-{number}.yml"
    path.write_text(yaml.safe_dump(listed))
    return path


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def session(suite: Path, inventory: Path, into: Path) -> tuple[float, Sequence[float]]:
    """Return a session's wall time, and the cores that it used in each second of its loads."""
    program = str(Path(sys.executable).with_name("fwbench"))
    argv = [program, "run", str(suite), "-i", str(inventory), "-o", str(into), "-q"]
    began = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        shares, before, then = [], 0.0, time.perf_counter()
        loading_since: float | None = None
        seen = 0
        while process.poll() is None:
            time.sleep(1)
            commands = len(list(into.glob("rigs-*/runs/*/clocks.json")))
            if commands > seen:
                seen, loading_since = commands, time.perf_counter()
            try:
                now, used = time.perf_counter(), cpu_s(process.pid)
            except OSError:
                break
            waited = 0.0 if loading_since is None else now - loading_since
            if 10 < waited < LOAD_S - 5:
                shares.append((used - before) / (now - then))
            before, then = used, now
        _, stderr = process.communicate()
        if process.returncode not in (0, 8):
            raise SystemExit(stderr.decode())
    return time.perf_counter() - began, shares


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("inventory", type=Path)
    arguments.add_argument("--pairs", type=int, default=2)
    given = arguments.parse_args()
    ratios: list[float] = []
    shares: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        suite = Path(place) / "rigs.yml"
        suite.write_text(SUITE)
        for pair in range(given.pairs):
            took = {}
            for number in (1, 8):
                into = Path(place) / f"{pair}-{number}"
                inventory = inventory_of(given.inventory, number, Path(place))
                took[number], of_eight = session(suite, inventory, into)
                if number == 8:
                    shares += of_eight
            ratios.append(took[8] / took[1])
            print(
                f"one rig {took[1]:.1f} s, eight {took[8]:.1f} s: {ratios[-1]:.3f} times",
                flush=True,
            )
    print(f"eight rigs beside one: {statistics.median(ratios):.3f} times (at most {RATIO:g})")
    print(
        f"controller during the loads of eight rigs: {statistics.fmean(shares):.2%} of a core"
        f" (at most {CORE:.0%}); busiest second: {max(shares):.2%}"
    )


if __name__ == "__main__":
    main()
