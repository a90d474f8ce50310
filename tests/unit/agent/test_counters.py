from pathlib import Path

import pytest

from fwbench.agent import counters
from fwbench.agent.counters import (
    CpuFrequencies,
    KernelFile,
    cpu_ticks,
    entry,
    read_text,
    stalled_us,
)

STAT = """cpu  10 20 30 40 50 60 70 80 90 100
cpu0 1 2 3 4 5 6 7 8 9 10
cpu1 9 18 27 36 45 54 63 72 81 90
intr 1 2 3
ctxt 7
"""
PRESSURE = (
    "some avg10=0.23 avg60=0.21 avg300=2.20 total=2802357657\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
)


def test_kernel_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "usage"
    path.write_text("1")
    file = KernelFile(path)
    assert file.read() == "1"
    path.write_text("22")
    assert file.read() == "22"
    file.close()
    assert file.read() == ""
    file.close()


def test_missing_file_reads_as_empty(tmp_path: Path) -> None:
    assert KernelFile(tmp_path / "nowhere").read() == read_text(tmp_path / "nowhere") == ""


def test_unreadable_file_reads_as_empty(tmp_path: Path) -> None:
    assert KernelFile(tmp_path).read() == ""


def test_ticks_are_parsed_by_cpu_and_state() -> None:
    assert cpu_ticks(STAT) == {
        "cpu": [10, 20, 30, 40, 50, 60, 70, 80],
        "cpu0": [1, 2, 3, 4, 5, 6, 7, 8],
        "cpu1": [9, 18, 27, 36, 45, 54, 63, 72],
    }
    assert cpu_ticks("") == {}


def test_ticks_of_this_host_are_parsed() -> None:
    ticks = cpu_ticks(Path("/proc/stat").read_text())
    assert ticks.keys() > {"cpu", "cpu0"}
    assert sum(ticks["cpu"]) > 0


@pytest.mark.parametrize(
    ("text", "scope", "total_us"),
    [
        (PRESSURE, "some", 2802357657),
        (PRESSURE, "full", 5),
        ("", "some", None),
        ("\nsome avg10=0.23", "some", None),
        ("some total=3", "full", None),
    ],
)
def test_total_stall_time_is_parsed(text: str, scope: str, total_us: int | None) -> None:
    assert stalled_us(text, scope) == total_us


@pytest.mark.parametrize(("key", "number"), [("max", 9), ("low", None), ("oom", None)])
def test_entry_needs_a_key_and_a_number(key: str, number: int | None) -> None:
    assert entry("maximum 4\nmax 9\noom\nlow max\n", key) == number


def write_cpus(folder: Path, khz: list[str], governor: str = "powersave") -> None:
    for number, speed in enumerate(khz):
        cpufreq = folder / f"cpu{number}" / "cpufreq"
        cpufreq.mkdir(parents=True)
        (cpufreq / "scaling_cur_freq").write_text(f"{speed}\n")
        (cpufreq / "scaling_governor").write_text(f"{governor}\n")


def test_frequency_is_that_of_the_fastest_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "CPUS", tmp_path)
    write_cpus(tmp_path, ["800000", "3400000", "<unknown>"])
    frequencies = CpuFrequencies()
    assert frequencies.fastest_mhz() == 3400
    assert frequencies.governors == ["powersave"]


def test_number_of_sampled_frequencies_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "CPUS", tmp_path)
    write_cpus(tmp_path, ["1000"] * 65)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    frequencies = CpuFrequencies()
    assert (
        len(list(Path("/proc/self/fd").iterdir())) - open_files <= counters.MAX_SAMPLED_FREQUENCIES
    )
    assert frequencies.fastest_mhz() == 1


def test_a_virtual_machine_has_no_frequency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "CPUS", tmp_path)
    assert (CpuFrequencies().fastest_mhz(), CpuFrequencies().governors) == (None, [])
