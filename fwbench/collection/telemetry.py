"""What a host's sampler left, read into what it means."""

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
    """What a host did in a window, out of the file that its sampler left.

    Samples inside the window count, and where it is shorter than a few of them those around it.
    Raises `RunError` for a file that the agent does not write.
    """
    try:
        raw = TelemetryFile.model_validate_json(read_whole(path, LIMIT_BYTES))
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise RunError(f"{path}: not what the agent writes: {error.errors()[0]['msg']}") from error
    times = [time for time in raw.series.get("time_s", []) if time is not None]
    lengths = {len(column) for column in raw.series.values()}
    if len(times) < 2 or lengths != {len(times)}:
        raise RunError(f"{path}: not what the agent writes: its series is no table of samples")
    chosen = SampleWindow(raw, *sample_range(times, window, raw.interval_s))
    if chosen.seconds <= 0:
        raise RunError(f"{path}: not what the agent writes: no time passes in its series")
    return host_usage(chosen)
