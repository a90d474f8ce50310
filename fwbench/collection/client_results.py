"""The clients' parts of a load: who did what, when by one clock, and when all of them did."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fwbench.agent import protocol
from fwbench.collection import files
from fwbench.collection.telemetry import ClockReading
from fwbench.loadgen import h2load
from fwbench.loadgen.shares import divide_load
from fwbench.model.base import Frozen
from fwbench.model.figures import Count
from fwbench.model.load import Load
from fwbench.model.observation import Answer, ClientOverlap


class LoadExit(Frozen):
    """How the agent says that a load ended; of a log that it kept, the ends."""

    exit_status: int | None
    timed_out: bool
    start_error: str | None = None
    started_at_s: float
    load_s: float
    answer_after: Answer
    first_start_us: Count | None = None
    last_end_us: Count | None = None


class Clocks(Frozen):
    """What the hosts' clocks showed before the load."""

    target: ClockReading
    clients: tuple[ClockReading, ...]


class Command(Frozen):
    """What a client was told to do."""

    client: str
    argv: tuple[str, ...]


class Commands(Frozen):
    """What the hosts were told to do."""

    contender: tuple[str, ...]
    load: tuple[Command, ...]


class ClientResult(NamedTuple):
    """One client's part; `ahead_us` is by how much its clock is ahead of the first client's."""

    folder: Path
    host: str
    load: Load
    exit: LoadExit | None
    clock_ahead_us: int

    @property
    def began_us(self) -> int | None:
        """Its first logged request, by the first client's clock."""
        first_us = None if self.exit is None else self.exit.first_start_us
        return None if first_us is None else first_us - self.clock_ahead_us

    @property
    def ended_us(self) -> int | None:
        """Its last answer, by the same clock."""
        last_us = None if self.exit is None else self.exit.last_end_us
        return None if last_us is None else last_us - self.clock_ahead_us


class OverlapWindow(NamedTuple):
    """From when until when all clients loaded, by the first one's clock."""

    begin_us: int
    end_us: int


def client_results(folder: Path, load: Load, clocks: Clocks | None) -> tuple[ClientResult, ...]:
    """Every client's part of a run that is kept in a folder, in their order."""
    commands = files.read_model_if_present(Commands, folder / files.COMMANDS)
    if commands is None:
        return ()
    read = clocks.clients if clocks is not None else ()
    found = []
    for at, (command, share) in enumerate(
        zip(commands.load, divide_load(load, len(commands.load)), strict=True)
    ):
        mine = folder / files.client_folder(at + 1)
        ended = files.read_model_if_present(LoadExit, mine / protocol.LOAD_EXIT)
        ahead_s = read[at].ahead_s - read[0].ahead_s if at < len(read) else 0.0
        found.append(ClientResult(mine, command.client, share, ended, round(ahead_s * 1e6)))
    return tuple(found)


def overlap_window(every: Sequence[ClientResult]) -> OverlapWindow | None:
    """When all of several clients measured; None for one, and if none of them logged anything."""
    if len(every) < 2:
        return None
    windows = [window for part in every if (window := _window(part)) is not None]
    if not windows:
        return None
    begin_us = max(window.begin_us for window in windows)
    return OverlapWindow(begin_us, max(begin_us, min(window.end_us for window in windows)))


def client_overlap(every: Sequence[ClientResult], clocks: Clocks | None) -> ClientOverlap | None:
    """How far several clients loaded at the same time; None for one."""
    if len(every) < 2:
        return None
    began_us = [part.began_us for part in every if part.began_us is not None]
    window = overlap_window(every)
    trips_s = (
        sorted(reading.round_trip_s for reading in clocks.clients) if clocks is not None else []
    )
    return ClientOverlap(
        skew_s=(max(began_us) - min(began_us)) / 1e6 if len(began_us) == len(every) else None,
        uncertainty_s=sum(trips_s[-2:]) / 2 if len(trips_s) == len(every) else None,
        overlap_s=None if window is None else (window.end_us - window.begin_us) / 1e6,
    )


def _window(part: ClientResult) -> OverlapWindow | None:
    """What a client measured: at a fixed rate a window of its starts, else all that it logged."""
    if part.began_us is None or part.ended_us is None:
        return None
    window_s = h2load.measured_window_s(part.load)
    if window_s is None:
        return OverlapWindow(part.began_us, part.ended_us)
    begin_us = part.began_us + round(window_s[0] * 1e6)
    return OverlapWindow(begin_us, begin_us + round(window_s[1] * 1e6))
