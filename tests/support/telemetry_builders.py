"""Build the sampler's telemetry: series at 5 Hz in which all counters grow evenly."""

from typing import Any

INTERVAL_S = 0.2
MS = 1_000_000  # nanoseconds


def counters(**changes: Any) -> dict[str, Any]:
    tcp = {
        "listen_overflows": 5,
        "listen_drops": 5,
        "retransmits": 100,
        "segments_sent": 1_000_000,
        "connections_opened": 50,
        "time_wait": 1,
    }
    values = {
        "monotonic_s": 100.0,
        "cpu_ticks": {"cpu": [0] * 8, "cpu0": [0] * 8, "cpu1": [0] * 8},
        "network": {
            "host": tcp,
            "container": tcp,
            "devices": {"eth0": [1000, 10, 0, 0, 2000, 20, 0, 0]},
        },
        "memory_peak_bytes": 90 * 2**20,
        "memory_limit_hits": 3,
        "oom_kills": 1,
    }
    return values | changes


def telemetry(samples: int = 26, began_s: float = 1000.0, **changes: Any) -> dict[str, Any]:
    """Return telemetry of two CPUs: container 0.5 cores, h2load 0.2, others 0.01, the rest idle."""

    def growing(step: int, start: int = 0) -> list[float | None]:
        return [start + step * number for number in range(samples)]

    times = [round(began_s + INTERVAL_S * number, 6) for number in range(samples)]
    series: dict[str, list[float | None]] = {
        "time_s": list(times),
        "monotonic_s": [round(100 + INTERVAL_S * number, 6) for number in range(samples)],
        "own_cpu_ns": growing(MS),  # 0.005 cores
        "load_cpu_ns": growing(40 * MS),
        "host_cpu_ns": growing(MS + 40 * MS + 100 * MS + 2 * MS, 10**12),
        "container_cpu_ns": growing(100 * MS),
        "container_memory_bytes": growing(2**20, 80 * 2**20),
        "periods": growing(2),
        "throttled_periods": growing(1),
        "throttled_ns": growing(10 * MS),
        "docker_proxy_ticks": growing(0, 44),
        "cpu_stalled_us": growing(100_000),
        "memory_stalled_us": growing(2_000),
        "io_stalled_us": growing(4_000),
        "fastest_mhz": [3000.0 + number if number % 5 == 0 else None for number in range(samples)],
    }
    ticks = {"user": 20, "nice": 0, "system": 6, "idle": 13, "iowait": 0, "softirq": 1}
    for state, step in (ticks | {"irq": 0, "steal": 0}).items():
        series[f"{state}_ticks"] = growing(step)
    thread = {
        "tid": 201,
        "command": "h2load",
        "first_sample": 1,
        "cpu_ns": [40 * MS * number for number in range(1, samples)],
        "wait_ns": [4 * MS * number for number in range(1, samples)],
    }
    values = {
        "interval_s": INTERVAL_S,
        "ticks_per_s": 100,
        "cpu_accounting": "groups",
        "governors": ["performance"],
        "before": counters(),
        "after": counters(monotonic_s=100 + INTERVAL_S * (samples - 1)),
        "processes": {
            "background_s": 0.05,
            "kernel_s": 0.5,
            "docker_proxy_s": 0.0,
            "busiest": [{"pid": 7, "command": "containerd", "cpu_s": 0.05}],
        },
        "series": series,
        "threads": [thread],
    }
    return values | changes


def without(names: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    """Return telemetry of a host that does not provide these series."""
    values = telemetry(**changes)
    empty = {name: [None] * len(values["series"][name]) for name in names}
    return values | {"series": values["series"] | empty}
