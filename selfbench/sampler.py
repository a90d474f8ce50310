"""Measure the sampler's CPU use on this machine; at most 1 % of a core is acceptable.

    python selfbench/sampler.py [--for SECONDS]

Samples a child with four threads, as on a client, and this process's own control group, as on a
target. Either host does only one of the two. Also prints the cost of the first and last scan of all
processes.
"""

import argparse
import os
import subprocess
import sys
import time

from fwbench.agent.sampler import INTERVAL_S, Sampler

CHILD = """
import threading, time
for _ in range(3):
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
time.sleep(3600)
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--for", dest="for_s", type=float, default=10.0)
    for_s = arguments.parse_args().for_s
    child = subprocess.Popen([sys.executable, "-c", CHILD])
    try:
        for interval_s in (INTERVAL_S, INTERVAL_S / 2):
            began = time.process_time()
            sampler = Sampler(os.getpid())
            first_s = time.process_time() - began
            sampler.follow(child.pid)
            share, each_us = cost(sampler, interval_s, for_s)
            began = time.process_time()
            sampler.result()
            last_s = time.process_time() - began
            print(
                f"{1 / interval_s:3.0f} Hz: {share:6.3%} of a core ({each_us:.0f} µs a sample);"
                f" once {first_s * 1000:.1f} ms before and {last_s * 1000:.1f} ms after",
                flush=True,
            )
    finally:
        child.kill()
        child.wait()


def cost(sampler: Sampler, interval_s: float, for_s: float) -> tuple[float, float]:
    """Return the share of a core, and the microseconds of CPU time per sample."""
    samples = round(for_s / interval_s)
    used, began = time.process_time(), time.monotonic()
    for number in range(1, samples + 1):
        time.sleep(max(0.0, began + number * interval_s - time.monotonic()))
        sampler.sample()
    used = time.process_time() - used
    return used / (time.monotonic() - began), used / samples * 1e6


if __name__ == "__main__":
    main()
