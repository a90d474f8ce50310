"""Read the kernel's counters of a whole host: CPU time, pressure, clock frequency."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
CPUS = Path("/sys/devices/system/cpu")
CPU_STATES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
PRESSURE_FILES = ("cpu", "memory", "io")

# Until Linux 5.18, reading one CPU's frequency may take 20 ms: a few CPUs stand for all.
MAX_SAMPLED_FREQUENCIES = 8
_READ_BYTES = 1 << 16


class KernelFile:
    """A kernel file that stays open, because opening it costs more than reading it again."""

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        with suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> str:
        """Return the file's present text; nothing if the file or its process does not exist."""
        if self._descriptor is None:
            return ""
        try:
            return os.pread(self._descriptor, _READ_BYTES, 0).decode(errors="replace")
        except OSError:
            return ""

    def close(self) -> None:
        """Close the file; afterwards `read` returns nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_text(path: Path) -> str:
    """Return a file's text, or nothing if it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def entry(text: str, key: str) -> int | None:
    """Return the number in the line `key number`, or None if there is none."""
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == key and words[1].isdigit():
            return int(words[1])
    return None


def cpu_ticks(stat: str) -> dict[str, list[int]]:
    """Return each CPU's ticks in each of `CPU_STATES`, from the text of /proc/stat.

    `cpu` is the sum of all CPUs. Inside a container, too, the file counts the whole machine.
    """
    ticks = {}
    for line in stat.splitlines():
        if not line.startswith("cpu"):
            break
        name, *numbers = line.split()
        if len(numbers) >= len(CPU_STATES):
            ticks[name] = [int(number) for number in numbers[: len(CPU_STATES)]]
    return ticks


def stalled_us(pressure: str, scope: str = "some") -> int | None:
    """Return the stall time in a pressure file: `some` task waited, or all did (`full`)."""
    for line in pressure.splitlines():
        words = line.split()
        for word in words[1:] if words[:1] == [scope] else ():
            key, _, value = word.partition("=")
            if key == "total" and value.isdigit():
                return int(value)
    return None


class CpuFrequencies:
    """The clock frequencies of the host's CPUs, which most virtual machines do not show."""

    def __init__(self) -> None:
        folders = sorted(CPUS.glob("cpu[0-9]*/cpufreq"))
        chosen = folders[:: max(1, len(folders) // MAX_SAMPLED_FREQUENCIES)][
            :MAX_SAMPLED_FREQUENCIES
        ]
        self._files = [KernelFile(folder / "scaling_cur_freq") for folder in chosen]
        self.governors = sorted(
            {read_text(folder / "scaling_governor").strip() for folder in folders} - {""}
        )

    def fastest_mhz(self) -> float | None:
        """Return the frequency of the fastest CPU in MHz, or None; idle ones may be slower."""
        values = [file.read().strip() for file in self._files]
        return max((int(khz) / 1000 for khz in values if khz.isdigit()), default=None)
