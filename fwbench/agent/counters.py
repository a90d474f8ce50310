"""What the kernel counts for a host as a whole: CPU time, pressure, clock frequency."""

import os
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
CPUS = Path("/sys/devices/system/cpu")
CPU_STATES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
STALLS = ("cpu", "memory", "io")

# Until Linux 5.18 a CPU's frequency may take 20 ms to tell: a few CPUs have to stand for all.
FREQUENCIES = 8
_READ_BYTES = 1 << 16


class OpenFile:
    """A file of the kernel that is kept open: opening it costs more than reading it again."""

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        with suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def text(self) -> str:
        """What it says now; nothing if it is not there, or what it tells of is gone."""
        if self._descriptor is None:
            return ""
        try:
            return os.pread(self._descriptor, _READ_BYTES, 0).decode(errors="replace")
        except OSError:
            return ""

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def text_of(path: Path) -> str:
    """What a file says; nothing if it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def entry(text: str, key: str) -> int | None:
    """The number in a line `key number`."""
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == key and words[1].isdigit():
            return int(words[1])
    return None


def cpu_ticks(stat: str) -> dict[str, list[int]]:
    """Ticks in each of `CPU_STATES` by CPU, out of /proc/stat; `cpu` is all of them together.

    In a container it tells of the whole machine.
    """
    found = {}
    for line in stat.splitlines():
        if not line.startswith("cpu"):
            break
        name, *numbers = line.split()
        if len(numbers) >= len(CPU_STATES):
            found[name] = [int(number) for number in numbers[: len(CPU_STATES)]]
    return found


def stalled_us(pressure: str, which: str = "some") -> int | None:
    """How long some task had to wait, or all of them at once (`full`), out of a pressure file."""
    for line in pressure.splitlines():
        words = line.split()
        for word in words[1:] if words[:1] == [which] else ():
            key, _, value = word.partition("=")
            if key == "total" and value.isdigit():
                return int(value)
    return None


class Frequencies:
    """The clock of the host's CPUs, where it tells: most virtual machines do not."""

    def __init__(self) -> None:
        folders = sorted(CPUS.glob("cpu[0-9]*/cpufreq"))
        chosen = folders[:: max(1, len(folders) // FREQUENCIES)][:FREQUENCIES]
        self._files = [OpenFile(folder / "scaling_cur_freq") for folder in chosen]
        self.governors = sorted(
            {text_of(folder / "scaling_governor").strip() for folder in folders} - {""}
        )

    def fastest_mhz(self) -> float | None:
        """The frequency of the fastest CPU: an idle one may go as slowly as it likes."""
        said = [file.text().strip() for file in self._files]
        return max((int(khz) / 1000 for khz in said if khz.isdigit()), default=None)
