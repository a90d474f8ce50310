"""The kernel's counters of a control group; both versions behind one face."""

from pathlib import Path
from typing import Any

from fwbench.agent.counters import entry, text_of

CGROUP_ROOT = Path("/sys/fs/cgroup")


class Cgroup:
    """The counters of a process's control group; both versions behind one face."""

    def __init__(self, pid: int) -> None:
        self.version = 2 if (CGROUP_ROOT / "cgroup.controllers").exists() else 1
        self._paths: dict[str, Path] = {}
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                place = CGROUP_ROOT / controller if self.version == 1 else CGROUP_ROOT
                self._paths[controller] = place / path.lstrip("/")

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
        """How often the kernel killed one of its processes for want of memory."""
        if self.version == 1:
            return self._entry("memory", "memory.oom_control", "oom_kill")
        return self._entry("memory", "memory.events", "oom_kill")

    def memory_peak_bytes(self) -> int | None:
        """The most memory that it ever had; version 2 tells since Linux 5.19."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        return self._number("memory", name)

    def memory_limit_bytes(self) -> int | None:
        """Its limit; None where there is none (version 1 says that with a huge number)."""
        name = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
        limit = self._number("memory", name)
        return limit if limit is not None and limit < 1 << 60 else None

    def limit_hits(self) -> int | None:
        """How often it wanted more memory than its limit, whether or not room could be made."""
        if self.version == 1:
            return self._number("memory", "memory.failcnt")
        return self._entry("memory", "memory.events", "max")

    def telling(self) -> dict[str, Path]:
        """The files to read again and again: CPU time, throttling, memory now, and its stalls.

        `cpu_ns` and `throttling` read the first two. Version 1 knows of no stalls.
        """
        if self.version == 1:
            names = {
                "cpu": ("cpuacct", "cpuacct.usage"),
                "throttling": ("cpu", "cpu.stat"),
                "memory": ("memory", "memory.usage_in_bytes"),
            }
            found = {key: (self._paths.get(at), name) for key, (at, name) in names.items()}
            return {key: folder / name for key, (folder, name) in found.items() if folder}
        if (folder := self._paths.get("")) is None:
            return {}
        stalls = {f"{what}_stalled": folder / f"{what}.pressure" for what in ("memory", "io")}
        stat = folder / "cpu.stat"
        return {"cpu": stat, "throttling": stat, "memory": folder / "memory.current", **stalls}

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        if self.version == 1:
            return (self._number("cpuacct", "cpuacct.usage") or 0) / 1e9
        return (self._entry("cpu", "cpu.stat", "usage_usec") or 0) / 1e6

    def processes(self) -> list[dict[str, Any]]:
        """Its processes with their starts; one that ends meanwhile is left out."""
        found = []
        for pid in (self._read("memory", "cgroup.procs") or "").split():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            command, _, rest = stat.partition("(")[2].rpartition(")")
            started = int(rest.split()[19])
            found.append({"pid": int(pid), "started_ticks": started, "command": command})
        return found


def cpu_ns(text: str) -> int | None:
    """Nanoseconds of CPU out of cpuacct.usage (version 1) or cpu.stat (version 2)."""
    if text.strip().isdigit():
        return int(text)
    used_us = entry(text, "usage_usec")
    return None if used_us is None else used_us * 1000


def throttling(text: str) -> dict[str, int | None]:
    """Periods of the CPU quota, those in which it was used up, and the time lost by it."""
    lost_us = entry(text, "throttled_usec")
    return {
        "periods": entry(text, "nr_periods"),
        "throttled_periods": entry(text, "nr_throttled"),
        "throttled_ns": entry(text, "throttled_time") if lost_us is None else lost_us * 1000,
    }


def whole_host() -> tuple[str, list[Path]]:
    """The files whose `cpu_ns` add up to the CPU time of all that runs on this host, and a word.

    `group`: the control group that everything is in, of version 1, kernel threads included, or
    that of a container that stands for a host. `groups`: all groups below the root of version 2,
    since its own counter includes interrupts and, before Linux 6.14, steal. `none`: no such files,
    or processes that are in no group.
    """
    if not (CGROUP_ROOT / "cgroup.controllers").exists():
        usage = CGROUP_ROOT / "cpuacct" / "cpuacct.usage"
        return ("group", [usage]) if usage.exists() else ("none", [])
    if (CGROUP_ROOT / "cgroup.type").exists():  # not the kernel's own root
        return "group", [CGROUP_ROOT / "cpu.stat"]
    groups = sorted(CGROUP_ROOT.glob("*/cpu.stat"))
    return ("groups", groups) if groups and not _holds_programs(CGROUP_ROOT) else ("none", [])


def _holds_programs(group: Path) -> bool:
    """Whether processes are directly in a group; threads of the kernel have no command line."""
    for pid in text_of(group / "cgroup.procs").split():
        if text_of(Path(f"/proc/{pid}/cmdline")):
            return True
    return False


def cgroup_of(pid: int) -> Cgroup | None:
    """The control group of a container's first process; None once that is gone."""
    try:
        return Cgroup(pid) if pid else None
    except OSError:
        return None
