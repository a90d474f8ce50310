"""Execute the load of one run on all clients of its rig, and fetch the results.

No timed request passes over SSH: load generators run detached on the clients and write files.
"""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fwbench.agent import protocol
from fwbench.collection import files
from fwbench.collection.client_results import Clocks, Command, client_results, overlap_window
from fwbench.collection.telemetry import ClockReading
from fwbench.errors import HostError
from fwbench.execution.agent_client import AgentClient, retry_once, run_parallel
from fwbench.loadgen.registry import generator_of
from fwbench.loadgen.shares import divide_load
from fwbench.model.load import Load
from fwbench.ssh.remote import Remote

CLOCK_READINGS = 3  # of each clock, if several clients have to start together
UNTIMED_LOAD_LIMIT_S = 120.0
LOAD_END_GRACE_S = 30.0
SLOW_SERVER_ALLOWANCE_S = 5.0
START_DELAY_S = 1.0  # 0.5 s was too short to start the agent on hosts with busy CPUs
START_DELAY_ROUND_TRIPS = 4


def time_limit_s(load: Load) -> float:
    """Return after how many seconds a load generator is stopped because it seems to hang.

    At a fixed rate that overloads the server, the load lasts as long as the server needs for all
    requests. It is stopped after `SLOW_SERVER_ALLOWANCE_S`.
    """
    duration_s = generator_of(load).duration_s(load)
    if duration_s is None:
        return UNTIMED_LOAD_LIMIT_S
    return duration_s + (LOAD_END_GRACE_S if load.rate is None else SLOW_SERVER_ALLOWANCE_S)


def read_clocks(agents: AgentClient, artifacts_folder: Path) -> Clocks | None:
    """Read every host's clock and write `CLOCKS`; return None if one prints no number."""
    context = agents.context
    repetitions = CLOCK_READINGS if len(context.clients) > 1 else 1
    best_readings = []
    for host in context.hosts:
        readings = [
            reading
            for _ in range(repetitions)
            if (reading := _read_clock(agents, host, artifacts_folder))
        ]
        if not readings:
            return None
        best_readings.append(min(readings, key=lambda reading: reading.round_trip_s))
    clocks = Clocks(target=best_readings[0], clients=tuple(best_readings[1:]))
    (artifacts_folder / files.CLOCKS).write_text(clocks.model_dump_json() + "\n")
    return clocks


def _read_clock(agents: AgentClient, host: Remote, artifacts_folder: Path) -> ClockReading | None:
    # `date` writes to a file: a login shell may add text to standard output.
    asked_s = agents.context.clock()
    argv = ["sh", "-c", 'date +%s.%N >"$0"', str(agents.folder / "clock")]
    host.check(argv, within=agents.context.folder)
    answered_s = agents.context.clock()
    printed = agents.fetch(host, "clock", artifacts_folder).strip()
    (artifacts_folder / "clock").unlink()
    if len(printed) > 40 or not printed.replace(".", "", 1).isdecimal():
        return None
    return ClockReading(asked_s=asked_s, host_s=float(printed), answered_s=answered_s)


@dataclass(frozen=True)
class _ClientShare:
    """One client's share of the load, and the folder for its files on the controller."""

    number: int
    client: Remote
    load: Load
    argv: list[str]
    folder: Path

    @property
    def duration_s(self) -> float:
        return generator_of(self.load).duration_s(self.load) or 0.0


class LoadPhase:
    """One load on the clients of a rig.

    Raises `SuiteError` if the load cannot be divided among them.
    """

    def __init__(self, agents: AgentClient, load: Load, url: str, artifacts_folder: Path) -> None:
        self.agents, self.load, self.url, self.artifacts_folder = (
            agents,
            load,
            url,
            artifacts_folder,
        )
        clients = agents.context.clients
        self.generator = generator_of(load)
        self.shares = tuple(
            _ClientShare(
                number,
                client,
                share,
                self.generator.command_line(share, url, agents.folder),
                artifacts_folder / files.client_folder(number),
            )
            for number, (client, share) in enumerate(
                zip(clients, divide_load(load, len(clients)), strict=True), start=1
            )
        )
        for share in self.shares:
            share.folder.mkdir()

    @property
    def commands(self) -> tuple[Command, ...]:
        """Return the load generator's command line of each client."""
        return tuple(Command(client=s.client.name, argv=tuple(s.argv)) for s in self.shares)

    def run(self, clocks: Clocks | None, cleanup: ExitStack) -> None:
        """Start the load, wait for its end, reduce the logs, and fetch the results.

        `cleanup` stops load generators that are still running.
        """
        for share in self.shares:
            cleanup.callback(retry_once, self._stop, share)
        self._start(clocks)
        run_parallel(self._wait_for_end, self.shares)
        if len(self.shares) > 1:
            self._reduce(clocks)
        run_parallel(self._fetch, self.shares)

    def _start(self, clocks: Clocks | None) -> None:
        """Start a single client now, or several clients together at a moment in the near future."""
        if len(self.shares) == 1:
            self._start_one(self.shares[0], None)
            return
        if clocks is None:
            raise HostError(
                f"{', '.join(share.client.name for share in self.shares)}: their clocks could not"
                " be read, so they cannot start together; check that `date +%s.%N` prints a number"
                " on these hosts and on the target"
            )
        round_trips_s = [reading.round_trip_s for reading in clocks.clients]
        start_at_s = (
            self.agents.context.clock()
            + START_DELAY_S
            + START_DELAY_ROUND_TRIPS * max(round_trips_s)
        )
        start_times_s = {
            share.client.name: start_at_s + reading.ahead_s
            for share, reading in zip(self.shares, clocks.clients, strict=True)
        }
        run_parallel(
            lambda share: self._start_one(share, start_times_s[share.client.name]), self.shares
        )

    def _start_one(self, share: _ClientShare, start_at_s: float | None) -> None:
        window = self.generator.measured_window_s(share.load) if start_at_s is None else None
        skip_s, window_s = window or (None, None)
        for name, content in self.generator.files.items():
            share.client.put(content.encode(), str(self.agents.folder / name))
        warm_up = self.generator.warm_up_command_line(share.load, self.url)
        command = protocol.Load(
            url=self.url,
            time_limit_s=time_limit_s(share.load),
            skip_s=skip_s,
            window_s=window_s,
            start_at_s=start_at_s,
            keep_log=start_at_s is not None,
            warm_up=json.dumps(warm_up) if warm_up else None,
            argv=share.argv,
        )
        self.agents.call(share.client, command)

    def _wait_for_end(self, share: _ClientShare) -> None:
        """Wait until a client has written `LOAD_EXIT`; raise `HostError` if it never does."""
        context = self.agents.context
        due = context.clock() + share.duration_s
        # After the load the agent reduces the log, which takes no longer than writing it did.
        deadline = due + time_limit_s(share.load) + LOAD_END_GRACE_S
        context.pause(share.duration_s * 0.98)
        while not self.agents.exists(share.client, protocol.LOAD_EXIT, timeout_from=due):
            if context.clock() > deadline:
                raise HostError(
                    f"{share.client.name}: the agent did not write {protocol.LOAD_EXIT} after the"
                    " load; check that the host has free disk space and memory"
                )
            context.pause(0.1)
        self.agents.fetch(share.client, protocol.LOAD_EXIT, share.folder)

    def _reduce(self, clocks: Clocks | None) -> None:
        """Have each of several clients reduce the part of its log in which all of them loaded."""
        results = client_results(self.artifacts_folder, self.load, clocks)
        window = overlap_window(results)
        if window is None:
            return

        def reduce(share: _ClientShare) -> None:
            part = results[share.number - 1]
            command = protocol.Reduce(
                from_us=window.begin_us,
                until_us=window.end_us,
                must_end_inside=share.load.rate is None,
                ahead_us=part.clock_ahead_us,
            )
            client = share.client
            limit_s = share.duration_s + time_limit_s(share.load)
            self.agents.retry_until_reachable(
                client, lambda: self.agents.call(client, command, timeout_s=limit_s)
            )

        run_parallel(
            reduce,
            [share for share in self.shares if results[share.number - 1].began_us is not None],
        )

    def _fetch(self, share: _ClientShare) -> None:
        for name in (protocol.LOAD_OUTPUT, protocol.LOAD_ERRORS):
            self.agents.fetch(share.client, name, share.folder)
        for name in (protocol.LATENCY_COUNTS, protocol.LOG_SUMMARY, protocol.TELEMETRY_CLIENT):
            self.agents.fetch_if_present(share.client, name, share.folder)

    def _stop(self, share: _ClientShare) -> None:
        if not (share.folder / protocol.LOAD_EXIT).exists():
            self.agents.call(share.client, protocol.StopLoad())
