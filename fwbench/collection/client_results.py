"""What each client did, by a common clock, and the time in which all clients loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fwbench.agent import protocol
from fwbench.collection import files
from fwbench.collection.telemetry import ClockReading
from fwbench.loadgen.registry import generator_of
from fwbench.loadgen.shares import divide_load
from fwbench.model.base import Frozen
from fwbench.model.figures import Count
from fwbench.model.load import Load
from fwbench.model.observation import Answer, ClientOverlap


class LoadExit(Frozen):
    """The agent's report on the end of a load, with the first and last time of the log.

    `warm_up_s` is how long a warm-up took that preceded `started_at_s`.
    """

    exit_status: int | None
    timed_out: bool
    start_error: str | None = None
    started_at_s: float
    load_s: float
    warm_up_s: float = 0.0
    answer_after: Answer
    first_start_us: Count | None = None
    last_end_us: Count | None = None


class Clocks(Frozen):
    """Readings of the hosts' clocks before the load."""

    target: ClockReading
    clients: tuple[ClockReading, ...]


class Command(Frozen):
    """The load generator's command on a client."""

    client: str
    argv: tuple[str, ...]


class Commands(Frozen):
    """The commands that started the contender and the load generators."""

    contender: tuple[str, ...]
    load: tuple[Command, ...]


class ClientResult(NamedTuple):
    """One client's share of a load, and how far its clock is ahead of the first client's."""

    folder: Path
    host: str
    load: Load
    exit: LoadExit | None
    clock_ahead_us: int

    @property
    def began_us(self) -> int | None:
        """Return the time of the first logged request, by the first client's clock."""
        first_us = None if self.exit is None else self.exit.first_start_us
        return None if first_us is None else first_us - self.clock_ahead_us

    @property
    def ended_us(self) -> int | None:
        """Return the time of the last answer, by the first client's clock."""
        last_us = None if self.exit is None else self.exit.last_end_us
        return None if last_us is None else last_us - self.clock_ahead_us


class OverlapWindow(NamedTuple):
    """The time in which all clients loaded, by the first client's clock."""

    begin_us: int
    end_us: int


def client_results(folder: Path, load: Load, clocks: Clocks | None) -> tuple[ClientResult, ...]:
    """Return the result of each client of a run, in the order of the inventory."""
    commands = files.read_model_if_present(Commands, folder / files.COMMANDS)
    if commands is None:
        return ()
    readings = clocks.clients if clocks is not None else ()
    results = []
    for index, (command, share) in enumerate(
        zip(commands.load, divide_load(load, len(commands.load)), strict=True)
    ):
        client_folder = folder / files.client_folder(index + 1)
        load_exit = files.read_model_if_present(LoadExit, client_folder / protocol.LOAD_EXIT)
        known = index < len(readings)
        ahead_s = readings[index].ahead_s - readings[0].ahead_s if known else 0.0
        ahead_us = round(ahead_s * 1e6)
        results.append(ClientResult(client_folder, command.client, share, load_exit, ahead_us))
    return tuple(results)


def overlap_window(clients: Sequence[ClientResult]) -> OverlapWindow | None:
    """Return when all clients measured; None for one client, or if no client logged anything."""
    if len(clients) < 2:
        return None
    windows = [window for client in clients if (window := _window(client)) is not None]
    if not windows:
        return None
    begin_us = max(window.begin_us for window in windows)
    return OverlapWindow(begin_us, max(begin_us, min(window.end_us for window in windows)))


def client_overlap(clients: Sequence[ClientResult], clocks: Clocks | None) -> ClientOverlap | None:
    """Return how well the loads of several clients overlapped; None for one client."""
    if len(clients) < 2:
        return None
    began_us = [client.began_us for client in clients if client.began_us is not None]
    window = overlap_window(clients)
    round_trips_s = (
        sorted(reading.round_trip_s for reading in clocks.clients) if clocks is not None else []
    )
    return ClientOverlap(
        skew_s=(max(began_us) - min(began_us)) / 1e6 if len(began_us) == len(clients) else None,
        uncertainty_s=sum(round_trips_s[-2:]) / 2 if len(round_trips_s) == len(clients) else None,
        overlap_s=None if window is None else (window.end_us - window.begin_us) / 1e6,
    )


def _window(client: ClientResult) -> OverlapWindow | None:
    """Return what a client measured: at a fixed rate the window of starts, else the whole log."""
    if client.began_us is None or client.ended_us is None:
        return None
    window_s = generator_of(client.load).measured_window_s(client.load)
    if window_s is None:
        return OverlapWindow(client.began_us, client.ended_us)
    begin_us = client.began_us + round(window_s[0] * 1e6)
    return OverlapWindow(begin_us, begin_us + round(window_s[1] * 1e6))
