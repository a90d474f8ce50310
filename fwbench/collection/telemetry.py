"""Reads the telemetry file of a host."""

from pathlib import Path

from pydantic import ValidationError

from fwbench.collection.clock_offset import ClockReading, clock_offset
from fwbench.collection.sample_window import SampleWindow, TimeWindow, sample_range
from fwbench.collection.telemetry_file import TelemetryFile
from fwbench.collection.usage import host_usage
from fwbench.errors import RunError
from fwbench.model.telemetry import HostUsage
from fwbench.storage.regular_files import read_whole

__all__ = ["ClockReading", "TimeWindow", "clock_offset", "read_telemetry"]

LIMIT_BYTES = 64 << 20


def read_telemetry(path: Path, window: TimeWindow) -> HostUsage:
    """Return a host's usage in a window, from the file that its sampler wrote.

    Samples inside the window count; if it is shorter than two intervals, those around it. Raise
    `RunError` if the file is malformed.
    """
    try:
        raw = TelemetryFile.model_validate_json(read_whole(path, LIMIT_BYTES))
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise RunError(f"{path}: malformed: {error.errors()[0]['msg']}") from error
    times = [time for time in raw.series.get("time_s", []) if time is not None]
    lengths = {len(column) for column in raw.series.values()}
    if len(times) < 2 or lengths != {len(times)}:
        raise RunError(f"{path}: malformed: the columns of its series differ in length")
    window_samples = SampleWindow(raw, *sample_range(times, window, raw.interval_s))
    if window_samples.seconds <= 0:
        raise RunError(f"{path}: malformed: its samples span no time")
    return host_usage(window_samples)
