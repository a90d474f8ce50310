"""The load of one run on all clients of its rig: started together, awaited, fetched.

Nothing that is timed passes over SSH: load generators run detached on the clients and leave files.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fwbench.collection import artifacts
from fwbench.collection.telemetry import ClockReading
from fwbench.errors import HostError
from fwbench.execution.rig_context import Desk, side_by_side, twice
from fwbench.loadgen import h2load
from fwbench.loadgen.shares import shares
from fwbench.model.load import Load
from fwbench.ssh.remote import Remote

READINGS = 3  # of each clock, where several clients are to start together
REQUESTS_TIMEOUT_S = 120.0
GRACE_S = 30.0
UNREACHED_RATE_S = 5.0
LEAD_S = 1.0  # half of it was too short for starting the agent on hosts with busy CPUs
LEAD_TRIPS = 4


def time_limit_s(load: Load) -> float:
    """When a load generator that has not ended is taken for hanging.

    With a rate that the server cannot keep up with it takes as long as the server does: nobody
    waits for that.
    """
    lasts_s = h2load.lasts_s(load)
    if lasts_s is None:
        return REQUESTS_TIMEOUT_S
    return lasts_s + (GRACE_S if load.rate is None else UNREACHED_RATE_S)


def compare_clocks(desk: Desk, into: Path) -> artifacts.Clocks | None:
    """Let each host tell its time, and keep what they say; None where one tells no number."""
    bench = desk.bench
    times = READINGS if len(bench.clients) > 1 else 1
    read = []
    for host in bench.hosts:
        told = [reading for _ in range(times) if (reading := _read_clock(desk, host, into))]
        if not told:
            return None
        read.append(min(told, key=lambda reading: reading.trip_s))
    clocks = artifacts.Clocks(target=read[0], clients=tuple(read[1:]))
    (into / artifacts.CLOCKS).write_text(clocks.model_dump_json() + "\n")
    return clocks


def _read_clock(desk: Desk, host: Remote, into: Path) -> ClockReading | None:
    """In a file: standard output may hold a login shell's words."""
    asked_s = desk.bench.clock()
    argv = ["sh", "-c", 'date +%s.%N >"$0"', str(desk.folder / "clock")]
    host.check(argv, within=desk.bench.folder)
    answered_s = desk.bench.clock()
    told = desk.fetch(host, "clock", into).strip()
    (into / "clock").unlink()
    if len(told) > 40 or not told.replace(".", "", 1).isdecimal():
        return None
    return ClockReading(asked_s=asked_s, told_s=float(told), answered_s=answered_s)


@dataclass(frozen=True)
class _Share:
    """What one client does of the load, and where its files go."""

    number: int
    client: Remote
    load: Load
    argv: list[str]
    into: Path

    @property
    def lasts_s(self) -> float:
        return h2load.lasts_s(self.load) or 0.0


class Loading:
    """One load on the clients of a bench; raises `SuiteError` where it cannot be divided."""

    def __init__(self, desk: Desk, load: Load, url: str, into: Path) -> None:
        self.desk, self.load, self.url, self.into = desk, load, url, into
        clients = desk.bench.clients
        log = desk.folder / "h2load.log"
        self.shares = tuple(
            _Share(
                number,
                client,
                share,
                h2load.argv(share, url, log),
                into / artifacts.of_client(number),
            )
            for number, (client, share) in enumerate(
                zip(clients, shares(load, len(clients)), strict=True), start=1
            )
        )
        for share in self.shares:
            share.into.mkdir()

    @property
    def commands(self) -> tuple[artifacts.Command, ...]:
        """What each client is told to do."""
        return tuple(
            artifacts.Command(client=s.client.name, argv=tuple(s.argv)) for s in self.shares
        )

    def go(self, clocks: artifacts.Clocks | None, leaving: ExitStack) -> None:
        """Start, await, reduce, fetch; `leaving` ends what still runs."""
        for share in self.shares:
            leaving.callback(twice, self._stop, share)
        self._start(clocks)
        side_by_side(self._await_end, self.shares)
        if len(self.shares) > 1:
            self._reduce(clocks)
        side_by_side(self._fetch, self.shares)

    def _start(self, clocks: artifacts.Clocks | None) -> None:
        """Start each at once, or several at the same moment, which lies a little ahead."""
        if len(self.shares) == 1:
            self._start_one(self.shares[0], None)
            return
        if clocks is None:
            raise HostError(
                f"{', '.join(share.client.name for share in self.shares)}: their clocks could not"
                " be read, so they cannot start together; see what `date +%s.%N` says there"
            )
        trips_s = [reading.trip_s for reading in clocks.clients]
        at = self.desk.bench.clock() + LEAD_S + LEAD_TRIPS * max(trips_s)
        when = {
            share.client.name: at + reading.ahead_s
            for share, reading in zip(self.shares, clocks.clients, strict=True)
        }
        side_by_side(lambda share: self._start_one(share, when[share.client.name]), self.shares)

    def _start_one(self, share: _Share, at: float | None) -> None:
        options = [f"--url={self.url}", f"--for={time_limit_s(share.load)}"]
        if at is not None:
            options += [f"--at={at:.6f}", "--keep-log"]
        elif window := h2load.window_s(share.load):
            options += [f"--skip-s={window[0]:g}", f"--for-s={window[1]:g}"]
        self.desk.on(share.client, "load", *options, argv=share.argv)

    def _await_end(self, share: _Share) -> None:
        """The log is read after the load, at the latest as quickly as it was written."""
        bench = self.desk.bench
        due = bench.clock() + share.lasts_s
        deadline = due + time_limit_s(share.load) + GRACE_S
        bench.pause(share.lasts_s * 0.98)
        while not self.desk.exists(share.client, artifacts.LOAD, until=due):
            if bench.clock() > deadline:
                raise HostError(f"{share.client.name}: the load left no {artifacts.LOAD}")
            bench.pause(0.1)
        self.desk.fetch(share.client, artifacts.LOAD, share.into)

    def _reduce(self, clocks: artifacts.Clocks | None) -> None:
        """Let each of several clients reduce what it logged while all of them loaded."""
        parts = artifacts.parts(self.into, self.load, clocks)
        window = artifacts.common(parts)
        if window is None:
            return

        def reduce(share: _Share) -> None:
            part = parts[share.number - 1]
            options = [f"--from-us={window.begin_us}", f"--until-us={window.end_us}"]
            options.append(f"--ahead-us={part.ahead_us}")
            if share.load.rate is None:
                options.append("--whole")
            client = share.client
            limit_s = share.lasts_s + time_limit_s(share.load)
            self.desk.insist(
                client, lambda: self.desk.on(client, "reduce", *options, limit_s=limit_s)
            )

        side_by_side(
            reduce, [share for share in self.shares if parts[share.number - 1].began_us is not None]
        )

    def _fetch(self, share: _Share) -> None:
        for name in (artifacts.OUTPUT, artifacts.ERRORS):
            self.desk.fetch(share.client, name, share.into)
        for name in (artifacts.COUNTS, artifacts.LOG, artifacts.TELEMETRY_CLIENT):
            self.desk.fetch_if_there(share.client, name, share.into)

    def _stop(self, share: _Share) -> None:
        if not (share.into / artifacts.LOAD).exists():
            self.desk.on(share.client, "stop-load")
