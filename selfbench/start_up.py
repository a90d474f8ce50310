"""How long `fwbench` takes to answer when it has nothing to do.

    python selfbench/start_up.py [--times 21]

Prints the wall time of its version, of two pages of help, of a shell completion, of each listing
and of a validation, and which heavy packages each of them imports. Beside them stands
Python itself, for the share that is not fwbench's.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tabulate import tabulate

MAX_S = 0.2
HEAVY = ("ansible", "ansible_runner", "fabric", "numpy", "paramiko", "pydantic", "rich", "scipy")
PROGRAM = str(Path(sys.executable).with_name("fwbench"))
COMPLETION = {"_FWBENCH_COMPLETE": "bash_complete", "COMP_WORDS": "fwbench ", "COMP_CWORD": "1"}
COMMANDS: dict[str, tuple[list[str], dict[str, str]]] = {
    "fwbench --version": ([PROGRAM, "--version"], {}),
    "fwbench --help": ([PROGRAM, "--help"], {}),
    "fwbench report --help": ([PROGRAM, "report", "--help"], {}),
    "shell completion": ([PROGRAM], COMPLETION),
    **{
        f"fwbench list {kind}": ([PROGRAM, "list", kind], {})
        for kind in ("suites", "contenders", "checks", "sessions", "loadgens")
    },
    "fwbench completion bash": ([PROGRAM, "completion", "bash"], {}),
    "fwbench validate smoke": ([PROGRAM, "validate", "smoke"], {}),
    "python -c pass": ([sys.executable, "-c", "pass"], {}),
}


def wall_s(argv: list[str], environment: dict[str, str]) -> float:
    """Return the seconds from the start of a command to its end."""
    began = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True, env=os.environ | environment)
    return time.perf_counter() - began


def heavy_imports(argv: list[str], environment: dict[str, str]) -> list[str]:
    """Return the heavy packages that a command imports."""
    traced = os.environ | environment | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=traced)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return [package for package in HEAVY if package in imported]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=21)
    times = parser.parse_args().times
    rows = []
    for name, (argv, environment) in COMMANDS.items():
        found = [wall_s(argv, environment) for _ in range(times)]
        heavy = ", ".join(heavy_imports(argv, environment)) or "none"
        rows.append([name, statistics.median(found), min(found), max(found), heavy])
    head = ["seconds of", "median", "least", "most", "heavy imports"]
    print(tabulate(rows, headers=head, floatfmt=".3f"))
    print(f"at most {MAX_S:g} s each; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
