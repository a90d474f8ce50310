import subprocess
import sys
import time

import pytest

from fwbench.agent import threads
from fwbench.agent.threads import LoadThreads

BUSY = """
import threading, time
def work():
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass
other = threading.Thread(target=work)
time.sleep(0.3)  # so that a sample has the first thread only
other.start()
other.join()
time.sleep(60)
"""


def test_threads_of_a_child_are_sampled_until_it_ends() -> None:
    load_threads = LoadThreads()
    assert load_threads.sample(0) == 0
    with subprocess.Popen([sys.executable, "-c", BUSY]) as child:
        load_threads.follow(child.pid)
        totals = [load_threads.sample(1)]
        deadline = time.monotonic() + 20
        while totals[-1] < 300_000_000 and time.monotonic() < deadline:
            time.sleep(0.02)
            totals.append(load_threads.sample(len(totals) + 1))
        child.kill()
    final_ns = load_threads.sample(len(totals) + 1)
    assert totals == sorted(totals)
    assert final_ns >= 250_000_000  # including threads that have ended
    main, other = load_threads.result()
    assert main["tid"] == child.pid
    assert main["first_sample"] < other["first_sample"]
    assert max(other["cpu_ns"]) > 250_000_000
    assert len(main["cpu_ns"]) == len(main["wait_ns"]) > len(other["cpu_ns"])


def test_kernel_without_thread_statistics_gives_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.KernelFile, "read", lambda _: "0 0 0\n")
    load_threads = LoadThreads()
    with subprocess.Popen(["sleep", "60"]) as child:
        load_threads.follow(child.pid)
        load_threads.sample(1)
        child.kill()
    assert load_threads.result() == []
