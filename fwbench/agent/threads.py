"""The threads of the load generator: how long each had a CPU, and how long it waited for one."""

import resource
from typing import Any

from fwbench.agent.counters import PROC, OpenFile, text_of


class _Thread:
    """One thread; once it is gone its numbers stay as they were."""

    def __init__(self, pid: int, tid: int) -> None:
        folder = PROC / str(pid) / "task" / str(tid)
        self.tid = tid
        self.first: int | None = None
        self.command = text_of(folder / "comm").strip()
        self.cpu_ns: list[int] = []
        self.wait_ns: list[int] = []
        self._file = OpenFile(folder / "schedstat")

    def sample(self, row: int) -> None:
        words = self._file.text().split()
        if len(words) >= 2 and words[0] != "0":  # a kernel that does not count says 0
            self.first = row if self.first is None else self.first
            self.cpu_ns.append(int(words[0]))
            self.wait_ns.append(int(words[1]))


class Threads:
    """Those of one child, from when it is followed."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._threads: dict[int, _Thread] = {}
        self._before_s = _children_s()

    def follow(self, pid: int) -> None:
        """Sample this child's threads from now on."""
        self._pid = pid

    def sample(self, row: int) -> int:
        """CPU nanoseconds of the child so far; `row` is the number of the sample."""
        if self._pid is None:
            return 0
        try:
            tids = [int(path.name) for path in (PROC / str(self._pid) / "task").iterdir()]
        except OSError:  # it has been collected: now the kernel tells of all of it
            return round((_children_s() - self._before_s) * 1e9)
        for tid in tids:
            if tid not in self._threads:
                self._threads[tid] = _Thread(self._pid, tid)
            self._threads[tid].sample(row)
        return sum(thread.cpu_ns[-1] for thread in self._threads.values() if thread.cpu_ns)

    def result(self) -> list[dict[str, Any]]:
        """The series of each thread; `first` is the number of its first sample."""
        return [
            {
                "tid": thread.tid,
                "command": thread.command,
                "first": thread.first,
                "cpu_ns": thread.cpu_ns,
                "wait_ns": thread.wait_ns,
            }
            for thread in self._threads.values()
            if thread.cpu_ns
        ]


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
