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
time.sleep(0.3)  # so that the first thread is seen alone before
other.start()
other.join()
time.sleep(60)
"""


def test_threads_of_a_child_are_sampled_until_it_is_gone() -> None:
    told = LoadThreads()
    assert told.sample(0) == 0
    with subprocess.Popen([sys.executable, "-c", BUSY]) as child:
        told.follow(child.pid)
        used = [told.sample(1)]
        deadline = time.monotonic() + 20
        while used[-1] < 300_000_000 and time.monotonic() < deadline:
            time.sleep(0.02)
            used.append(told.sample(len(used) + 1))
        child.kill()
    end = told.sample(len(used) + 1)
    assert used == sorted(used)
    assert end >= 250_000_000  # all of it, threads that ended included
    main, other = told.result()
    assert main["tid"] == child.pid
    assert main["first_sample"] < other["first_sample"]
    assert max(other["cpu_ns"]) > 250_000_000
    assert len(main["cpu_ns"]) == len(main["wait_ns"]) > len(other["cpu_ns"])


def test_a_kernel_that_does_not_count_tells_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.KernelFile, "read", lambda _: "0 0 0\n")
    told = LoadThreads()
    with subprocess.Popen(["sleep", "60"]) as child:
        told.follow(child.pid)
        told.sample(1)
        child.kill()
    assert told.result() == []
