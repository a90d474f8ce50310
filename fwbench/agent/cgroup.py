"""Read the kernel's counters of a control group, of version 1 or 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fwbench.agent.counters import entry, read_text

CGROUP_ROOT = Path("/sys/fs/cgroup")


class Cgroup:
    """The counters of a process's control group, under the same names for versions 1 and 2."""

    def __init__(self, pid: int) -> None:
        self.version = 2 if (CGROUP_ROOT / "cgroup.controllers").exists() else 1
        self._paths: dict[str, Path] = {}
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                root = CGROUP_ROOT / controller if self.version == 1 else CGROUP_ROOT
                self._paths[controller] = root / path.lstrip("/")

    def _read(self, controller: str, name: str) -> str | None:
        key = controller if self.version == 1 else ""
        try:
            return (self._paths[key] / name).read_text()
        except (KeyError, OSError):
            return None

    def _number(self, controller: str, name: str) -> int | None:
        text = (self._read(controller, name) or "").strip()
        return int(text) if text.isdigit() else None

    def _entry(self, controller: str, name: str, key: str) -> int | None:
        return entry(self._read(controller, name) or "", key)

    def oom_kills(self) -> int | None:
        """Return how many of the group's processes the kernel killed when memory ran out."""
        if self.version == 1:
            return self._entry("memory", "memory.oom_control", "oom_kill")
        return self._entry("memory", "memory.events", "oom_kill")

    def memory_peak_bytes(self) -> int | None:
        """Return the group's highest memory use; version 2 records it since Linux 5.19."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        return self._number("memory", name)

    def memory_limit_bytes(self) -> int | None:
        """Return the group's memory limit, or None without one (version 1: a huge number)."""
        name = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
        limit = self._number("memory", name)
        return limit if limit is not None and limit < 1 << 60 else None

    def memory_limit_hits(self) -> int | None:
        """Return how often the group reached its memory limit, whether or not memory was freed."""
        if self.version == 1:
            return self._number("memory", "memory.failcnt")
        return self._entry("memory", "memory.events", "max")

    def sampled_files(self) -> dict[str, Path]:
        """Return the files to read at each sample: CPU time, throttling, memory use, and stalls.

        `cpu_ns` and `throttling` parse the first two. Version 1 has no files for stalls.
        """
        if self.version == 1:
            names = {
                "cpu": ("cpuacct", "cpuacct.usage"),
                "throttling": ("cpu", "cpu.stat"),
                "memory": ("memory", "memory.usage_in_bytes"),
            }
            return {
                key: self._paths[controller] / name
                for key, (controller, name) in names.items()
                if controller in self._paths
            }
        if (folder := self._paths.get("")) is None:
            return {}
        stalls = {
            f"{resource}_stalled": folder / f"{resource}.pressure" for resource in ("memory", "io")
        }
        stat = folder / "cpu.stat"
        return {"cpu": stat, "throttling": stat, "memory": folder / "memory.current", **stalls}

    def cpu_s(self) -> float:
        """Return the CPU seconds that the group has used."""
        if self.version == 1:
            return (self._number("cpuacct", "cpuacct.usage") or 0) / 1e9
        return (self._entry("cpu", "cpu.stat", "usage_usec") or 0) / 1e6

    def processes(self) -> list[dict[str, Any]]:
        """Return the group's processes and their start times; one that ends now is left out."""
        processes = []
        for pid in (self._read("memory", "cgroup.procs") or "").split():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            command, _, rest = stat.partition("(")[2].rpartition(")")
            started_ticks = int(rest.split()[19])
            processes.append({"pid": int(pid), "started_ticks": started_ticks, "command": command})
        return processes


def cpu_ns(text: str) -> int | None:
    """Return CPU nanoseconds from the text of cpuacct.usage (version 1) or cpu.stat (version 2)."""
    if text.strip().isdigit():
        return int(text)
    used_us = entry(text, "usage_usec")
    return None if used_us is None else used_us * 1000


def throttling(text: str) -> dict[str, int | None]:
    """Return the periods of the CPU quota, the throttled ones, and the time spent throttled."""
    throttled_us = entry(text, "throttled_usec")
    return {
        "periods": entry(text, "nr_periods"),
        "throttled_periods": entry(text, "nr_throttled"),
        "throttled_ns": entry(text, "throttled_time")
        if throttled_us is None
        else throttled_us * 1000,
    }


def host_cpu_files() -> tuple[str, list[Path]]:
    """Return how this host's whole CPU time is counted, and the files whose `cpu_ns` add up to it.

    - `group`: one control group contains everything. This is the root of version 1 (with kernel
      threads), or the group of a container that stands for a host.
    - `groups`: all groups below the root of version 2. The root's own counter includes interrupts
      and, before Linux 6.14, steal.
    - `none`: there are no such files, or some processes are in no group.
    """
    if not (CGROUP_ROOT / "cgroup.controllers").exists():
        usage = CGROUP_ROOT / "cpuacct" / "cpuacct.usage"
        return ("group", [usage]) if usage.exists() else ("none", [])
    if (CGROUP_ROOT / "cgroup.type").exists():  # not the kernel's own root
        return "group", [CGROUP_ROOT / "cpu.stat"]
    groups = sorted(CGROUP_ROOT.glob("*/cpu.stat"))
    return ("groups", groups) if groups and not _has_user_processes(CGROUP_ROOT) else ("none", [])


def _has_user_processes(group: Path) -> bool:
    """Return whether user processes are directly in a group."""
    # Kernel threads have an empty command line.
    for pid in read_text(group / "cgroup.procs").split():
        if read_text(Path(f"/proc/{pid}/cmdline")):
            return True
    return False


def cgroup_of(pid: int) -> Cgroup | None:
    """Return the control group of a container's first process, or None if that has ended."""
    try:
        return Cgroup(pid) if pid else None
    except OSError:
        return None
