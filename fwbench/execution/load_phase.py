"""The load of one run on all clients of its rig: started together, awaited, fetched.

Nothing that is timed passes over SSH: load generators run detached on the clients and leave files.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fwbench.agent import protocol
from fwbench.collection import files
from fwbench.collection.client_results import Clocks, Command, client_results, overlap_window
from fwbench.collection.telemetry import ClockReading
from fwbench.errors import HostError
from fwbench.execution.agent_client import AgentClient, retry_once, run_parallel
from fwbench.loadgen import h2load
from fwbench.loadgen.shares import divide_load
from fwbench.model.load import Load
from fwbench.ssh.remote import Remote

CLOCK_READINGS = 3  # of each clock, where several clients are to start together
REQUESTS_TIMEOUT_S = 120.0
GRACE_S = 30.0
SLOW_SERVER_ALLOWANCE_S = 5.0
START_DELAY_S = 1.0  # half of it was too short for starting the agent on hosts with busy CPUs
START_DELAY_ROUND_TRIPS = 4


def time_limit_s(load: Load) -> float:
    """When a load generator that has not ended is taken for hanging.

    With a rate that the server cannot keep up with it takes as long as the server does: nobody
    waits for that.
    """
    lasts_s = h2load.duration_s(load)
    if lasts_s is None:
        return REQUESTS_TIMEOUT_S
    return lasts_s + (GRACE_S if load.rate is None else SLOW_SERVER_ALLOWANCE_S)


def compare_clocks(agents: AgentClient, into: Path) -> Clocks | None:
    """Let each host tell its time, and keep what they say; None where one tells no number."""
    context = agents.context
    times = CLOCK_READINGS if len(context.clients) > 1 else 1
    read = []
    for host in context.hosts:
        told = [reading for _ in range(times) if (reading := _read_clock(agents, host, into))]
        if not told:
            return None
        read.append(min(told, key=lambda reading: reading.round_trip_s))
    clocks = Clocks(target=read[0], clients=tuple(read[1:]))
    (into / files.CLOCKS).write_text(clocks.model_dump_json() + "\n")
    return clocks


def _read_clock(agents: AgentClient, host: Remote, into: Path) -> ClockReading | None:
    """In a file: standard output may hold a login shell's words."""
    asked_s = agents.context.clock()
    argv = ["sh", "-c", 'date +%s.%N >"$0"', str(agents.folder / "clock")]
    host.check(argv, within=agents.context.folder)
    answered_s = agents.context.clock()
    told = agents.fetch(host, "clock", into).strip()
    (into / "clock").unlink()
    if len(told) > 40 or not told.replace(".", "", 1).isdecimal():
        return None
    return ClockReading(asked_s=asked_s, host_s=float(told), answered_s=answered_s)


@dataclass(frozen=True)
class _ClientLoad:
    """What one client does of the load, and where its files go."""

    number: int
    client: Remote
    load: Load
    argv: list[str]
    into: Path

    @property
    def duration_s(self) -> float:
        return h2load.duration_s(self.load) or 0.0


class LoadPhase:
    """One load on the clients of a rig; raises `SuiteError` where it cannot be divided."""

    def __init__(self, agents: AgentClient, load: Load, url: str, into: Path) -> None:
        self.agents, self.load, self.url, self.into = agents, load, url, into
        clients = agents.context.clients
        log = agents.folder / protocol.REQUEST_LOG
        self.shares = tuple(
            _ClientLoad(
                number,
                client,
                share,
                h2load.argv(share, url, log),
                into / files.client_folder(number),
            )
            for number, (client, share) in enumerate(
                zip(clients, divide_load(load, len(clients)), strict=True), start=1
            )
        )
        for share in self.shares:
            share.into.mkdir()

    @property
    def commands(self) -> tuple[Command, ...]:
        """What each client is told to do."""
        return tuple(Command(client=s.client.name, argv=tuple(s.argv)) for s in self.shares)

    def run(self, clocks: Clocks | None, leaving: ExitStack) -> None:
        """Start, await, reduce, fetch; `leaving` ends what still runs."""
        for share in self.shares:
            leaving.callback(retry_once, self._stop, share)
        self._start(clocks)
        run_parallel(self._wait_for_end, self.shares)
        if len(self.shares) > 1:
            self._reduce(clocks)
        run_parallel(self._fetch, self.shares)

    def _start(self, clocks: Clocks | None) -> None:
        """Start each at once, or several at the same moment, which lies a little ahead."""
        if len(self.shares) == 1:
            self._start_one(self.shares[0], None)
            return
        if clocks is None:
            raise HostError(
                f"{', '.join(share.client.name for share in self.shares)}: their clocks could not"
                " be read, so they cannot start together; see what `date +%s.%N` says there"
            )
        trips_s = [reading.round_trip_s for reading in clocks.clients]
        at = self.agents.context.clock() + START_DELAY_S + START_DELAY_ROUND_TRIPS * max(trips_s)
        when = {
            share.client.name: at + reading.ahead_s
            for share, reading in zip(self.shares, clocks.clients, strict=True)
        }
        run_parallel(lambda share: self._start_one(share, when[share.client.name]), self.shares)

    def _start_one(self, share: _ClientLoad, at: float | None) -> None:
        window = h2load.measured_window_s(share.load) if at is None else None
        skip_s, window_s = window or (None, None)
        command = protocol.Load(
            url=self.url,
            time_limit_s=time_limit_s(share.load),
            skip_s=skip_s,
            window_s=window_s,
            start_at_s=at,
            keep_log=at is not None,
            argv=share.argv,
        )
        self.agents.call(share.client, command)

    def _wait_for_end(self, share: _ClientLoad) -> None:
        """The log is read after the load, at the latest as quickly as it was written."""
        context = self.agents.context
        due = context.clock() + share.duration_s
        deadline = due + time_limit_s(share.load) + GRACE_S
        context.pause(share.duration_s * 0.98)
        while not self.agents.exists(share.client, protocol.LOAD_EXIT, until=due):
            if context.clock() > deadline:
                raise HostError(f"{share.client.name}: the load left no {protocol.LOAD_EXIT}")
            context.pause(0.1)
        self.agents.fetch(share.client, protocol.LOAD_EXIT, share.into)

    def _reduce(self, clocks: Clocks | None) -> None:
        """Let each of several clients reduce what it logged while all of them loaded."""
        parts = client_results(self.into, self.load, clocks)
        window = overlap_window(parts)
        if window is None:
            return

        def reduce(share: _ClientLoad) -> None:
            part = parts[share.number - 1]
            command = protocol.Reduce(
                from_us=window.begin_us,
                until_us=window.end_us,
                whole=share.load.rate is None,
                ahead_us=part.clock_ahead_us,
            )
            client = share.client
            limit_s = share.duration_s + time_limit_s(share.load)
            self.agents.retry_until_reachable(
                client, lambda: self.agents.call(client, command, limit_s=limit_s)
            )

        run_parallel(
            reduce, [share for share in self.shares if parts[share.number - 1].began_us is not None]
        )

    def _fetch(self, share: _ClientLoad) -> None:
        for name in (protocol.LOAD_OUTPUT, protocol.LOAD_ERRORS):
            self.agents.fetch(share.client, name, share.into)
        for name in (protocol.LATENCY_COUNTS, protocol.LOG_SUMMARY, protocol.TELEMETRY_CLIENT):
            self.agents.fetch_if_there(share.client, name, share.into)

    def _stop(self, share: _ClientLoad) -> None:
        if not (share.into / protocol.LOAD_EXIT).exists():
            self.agents.call(share.client, protocol.StopLoad())
