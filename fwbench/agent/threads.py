"""Sample the load generator's threads: their CPU time, and their time waiting for a CPU."""

import resource
from typing import Any

from fwbench.agent.counters import PROC, KernelFile, read_text


class _Thread:
    """One thread; after its end no more samples are added."""

    def __init__(self, pid: int, tid: int) -> None:
        folder = PROC / str(pid) / "task" / str(tid)
        self.tid = tid
        self.first_sample: int | None = None
        self.command = read_text(folder / "comm").strip()
        self.cpu_ns: list[int] = []
        self.wait_ns: list[int] = []
        self._file = KernelFile(folder / "schedstat")

    def sample(self, row: int) -> None:
        words = self._file.read().split()
        if len(words) >= 2 and words[0] != "0":  # 0 from a kernel without these statistics
            self.first_sample = row if self.first_sample is None else self.first_sample
            self.cpu_ns.append(int(words[0]))
            self.wait_ns.append(int(words[1]))


class LoadThreads:
    """The threads of one child process, sampled once `follow` has been called."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._threads: dict[int, _Thread] = {}
        self._other_children_s = _ended_children_cpu_s()

    def follow(self, pid: int) -> None:
        """Sample this child's threads from now on."""
        self._pid = pid

    def sample(self, row: int) -> int:
        """Return the CPU nanoseconds that the child has used; `row` is the sample's number."""
        if self._pid is None:
            return 0
        try:
            tids = [int(path.name) for path in (PROC / str(self._pid) / "task").iterdir()]
        except OSError:  # The child was reaped: the kernel now counts its whole CPU time.
            return round((_ended_children_cpu_s() - self._other_children_s) * 1e9)
        for tid in tids:
            if tid not in self._threads:
                self._threads[tid] = _Thread(self._pid, tid)
            self._threads[tid].sample(row)
        return sum(thread.cpu_ns[-1] for thread in self._threads.values() if thread.cpu_ns)

    def result(self) -> list[dict[str, Any]]:
        """Return the series of each thread; `first_sample` is the number of its first sample."""
        return [
            {
                "tid": thread.tid,
                "command": thread.command,
                "first_sample": thread.first_sample,
                "cpu_ns": thread.cpu_ns,
                "wait_ns": thread.wait_ns,
            }
            for thread in self._threads.values()
            if thread.cpu_ns
        ]


def _ended_children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
