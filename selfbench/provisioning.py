"""Measure how long it takes to provision 1, 4 and 8 targets with their clients, in new labs.

    python selfbench/provisioning.py

One machine executes the work of all hosts. The ratio to a single target is therefore an upper bound
for separate machines. A provisioning that changes nothing consists mostly of waiting, here and
there.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fwbench.providers.lab.hosts import SYSTEM_CA_CERTS, Lab


def timed(inventory: Path) -> tuple[float, int]:
    """Provision the hosts; return the seconds, and the number of tasks that changed something."""
    argv = ["fwbench", "provision", "-i", str(inventory)]
    began = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return took, sum(int(found) for found in re.findall(r" ok +(\d+)$", done.stdout, re.MULTILINE))


def measured(targets: int, say: Callable[[str], None]) -> tuple[float, float]:
    lab = Lab(f"provisioning-{os.getpid()}")
    authorities = sorted(SYSTEM_CA_CERTS.glob("*.crt"))
    try:
        inventory = lab.up([None] * targets, targets, ["debian:13"], authorities, say)
        first, changed = timed(inventory)
        assert changed > 0
        again, changed = timed(inventory)
        assert changed == 0
    finally:
        lab.down(say)
    return first, again


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--targets", type=int, nargs="+", default=[1, 4, 8])
    print(f"{os.cpu_count()} CPUs play all hosts")
    print(f"{'targets':>7} {'hosts':>6} {'first':>9} {'ratio':>7} {'again':>9} {'ratio':>7}")
    single: tuple[float, float] | None = None
    for targets in arguments.parse_args().targets:
        first, again = measured(targets, lambda _: None)
        single = single or (first, again)
        print(
            f"{targets:7} {2 * targets:6} {first:7.1f} s {first / single[0]:6.2f}×"
            f" {again:7.1f} s {again / single[1]:6.2f}×",
            flush=True,
        )


if __name__ == "__main__":
    main()
