"""One run from start to observation.

Nothing that is timed passes over SSH: load runs detached on the client and leaves files, which are
fetched into the run's raw folder and read from there. What is observed can be read again from it.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from fwbench import contender as containers
from fwbench import raw
from fwbench.errors import FwbenchError
from fwbench.loadgen import h2load
from fwbench.model.contender import Contender, Contract
from fwbench.model.load import Load
from fwbench.model.observation import Answer, ContainerState, Observation, Phases
from fwbench.model.run import Run
from fwbench.remote import Remote

ASK_S = 2.0
REQUESTS_TIMEOUT_S = 120.0
GRACE_S = 30.0
UNREACHED_RATE_S = 5.0


class CancelledError(Exception):
    """Somebody asked to stop; the run is no run."""


@dataclass(frozen=True)
class Bench:
    """Where a rig's runs are executed: its two hosts and their folders for this session."""

    session: str
    target: Remote
    client: Remote
    address: str
    cpus: tuple[int, ...]
    folder: PurePosixPath
    cancelled: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def agent(self) -> PurePosixPath:
        """Where the agent lies on both hosts."""
        return self.folder / "agent.pyz"

    def check_cancelled(self) -> None:
        """Raise `CancelledError` once somebody has asked to stop."""
        if self.cancelled():
            raise CancelledError


def time_limit_s(load: Load) -> float:
    """When a load generator that has not ended is taken for hanging.

    With a rate that the server cannot keep up with it takes as long as the server does: nobody
    waits for that.
    """
    lasts_s = h2load.lasts_s(load)
    if lasts_s is None:
        return REQUESTS_TIMEOUT_S
    return lasts_s + (GRACE_S if load.rate is None else UNREACHED_RATE_S)


def execute(
    run: Run,
    load: Load,
    contender: Contender,
    image: str,
    start_timeout_s: float,
    bench: Bench,
    into: Path,
) -> Observation:
    """Execute one run and leave its raw files in the folder `into`.

    `load` is that of the run's trial; of a search it is what this step offers.

    Whatever happens to the run is in the observation; only `CancelledError` escapes. In any case
    the container and the load are gone from the hosts afterwards, if these can be reached.
    """
    into.mkdir(parents=True)
    execution = _Execution(run, load, contender, image, start_timeout_s, bench, into)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    began = bench.clock()
    ended: Exception | None = None
    left = raw.Left()
    try:
        with ExitStack() as leaving:
            try:
                execution.go(leaving)
            except (CancelledError, FwbenchError) as error:
                ended = error  # what goes wrong while cleaning up must not hide it
        if ended is None:
            left = raw.read(into, load)
    except FwbenchError as error:
        ended = ended or error
    if isinstance(ended, CancelledError):
        raise ended
    return Observation(
        started_at=started_at,
        offered_rate=load.rate,
        phases=Phases(
            start_s=execution.start_s,
            application_s=execution.application_s,
            load_s=left.load_s,
            total_s=bench.clock() - began,
        ),
        answer_before=execution.answer_before,
        answer_after=left.answer_after,
        container_before=execution.container_before,
        container_after=left.container_after,
        load=left.load,
        target=left.target,
        client=left.client,
        clock=left.clock,
        failure=None if ended is None else str(ended),
    )


class _Execution:
    """The steps of one run; what each leaves is kept even if the next one fails."""

    def __init__(
        self,
        run: Run,
        load: Load,
        contender: Contender,
        image: str,
        start_timeout_s: float,
        bench: Bench,
        into: Path,
    ) -> None:
        self.contender, self.bench, self.into = contender, bench, into
        self.trial, self.load = run.trial, load
        self.contract: Contract = contender.endpoints[run.trial.endpoint]
        self.container = f"fwbench-{bench.session}-{run.id}"
        self.folder = bench.folder / run.id
        self.url = containers.url(bench.address, contender, self.contract)
        self.start_argv = containers.run_argv(
            self.container, contender, image, run.trial, bench.address, bench.session, bench.cpus
        )
        self.load_argv = h2load.argv(load, self.url, self.folder / "h2load.log")
        self.start_timeout_s = start_timeout_s
        self.start_s: float | None = None
        self.application_s: float | None = None
        self.answer_before: Answer | None = None
        self.container_before: ContainerState | None = None

    def go(self, leaving: ExitStack) -> None:
        """Start, await, load, finish, fetch; `leaving` takes away what each step put there."""
        bench = self.bench
        commands = {"contender": self.start_argv, "load": self.load_argv}
        (self.into / raw.COMMANDS).write_text(json.dumps(commands, indent=1) + "\n")
        for host in (bench.target, bench.client):
            leaving.callback(host.check, ["rm", "-rf", str(self.folder)])
            host.check(["mkdir", "-m", "700", str(self.folder)])
        self._compare_clocks()
        began = bench.clock()
        leaving.callback(self._remove)
        containers.start(bench.target, self.contender, self.start_argv)
        self.start_s = bench.clock() - began
        self._await_answer()
        self._await_idle()
        if self.answer_before is not None and self.answer_before.error is None:
            self._load(leaving)
        self._finish()

    def _compare_clocks(self) -> None:
        """Let each host tell its time, in a file: standard output may hold a login shell's words.

        An answer that is no number leaves the offset unknown.
        """
        read, path = {}, str(self.folder / "clock")
        for side, host in (("target", self.bench.target), ("client", self.bench.client)):
            asked_s = self.bench.clock()
            host.check(["sh", "-c", 'date +%s.%N >"$0"', path])
            answered_s = self.bench.clock()
            told = raw.fetch(host, PurePosixPath(path), self.into / f"clock-{side}").strip()
            (self.into / f"clock-{side}").unlink()
            if not told.replace(".", "", 1).isdecimal():
                return
            read[side] = {"asked_s": asked_s, "told_s": float(told), "answered_s": answered_s}
        (self.into / raw.CLOCKS).write_text(json.dumps(read) + "\n")

    def _await_answer(self) -> None:
        """Let the client ask until the contender answers; the last error stands for no answer.

        Each time in vain the target is asked whether it still runs: none that has ended answers.
        """
        bench = self.bench
        began = bench.clock()
        while True:
            bench.check_cancelled()
            self._on(bench.client, "ask", f"--url={self.url}", f"--for={ASK_S}", limit_s=4 * ASK_S)
            fetched = raw.fetch(bench.client, self.folder / "answer.json", self.into / raw.BEFORE)
            self.answer_before = raw.model(Answer, fetched, self.into / raw.BEFORE)
            self.application_s = bench.clock() - began
            if self.answer_before.error is None or self.application_s > self.start_timeout_s:
                return
            if containers.has_ended(bench.target, self.container):
                return

    def _await_idle(self) -> None:
        """Let the target watch until every worker is up, so that none starts under load."""
        bench = self.bench
        spent = self.application_s or 0
        left = max(1.0, self.start_timeout_s - spent)
        self._on(
            bench.target,
            "settle",
            f"--for={left}",
            f"--container={self.container}",
            f"--processes={self.contender.processes_with(self.trial.concurrency.workers)}",
            f"--sample-for={time_limit_s(self.load) + 2 * GRACE_S:g}",
            limit_s=left + 15,
            sudo=True,
        )
        name = raw.CONTAINER_BEFORE
        fetched = raw.fetch(bench.target, self.folder / name, self.into / name)
        self.container_before = raw.model(ContainerState, fetched, self.into / name)
        self.application_s = spent + (self.container_before.waited_s or 0)
        bench.check_cancelled()

    def _load(self, leaving: ExitStack) -> None:
        """Run the load detached on the client and fetch what it left."""
        bench = self.bench
        limit_s = time_limit_s(self.load)
        leaving.callback(self._stop_load)
        options = [f"--url={self.url}", f"--for={limit_s}"]
        if window := h2load.window_s(self.load):
            options += [f"--skip-s={window[0]:g}", f"--for-s={window[1]:g}"]
        self._on(bench.client, "load", *options, argv=self.load_argv)
        done = str(self.folder / raw.LOAD)
        # The log is reduced after the load, at the latest as quickly as it was written.
        lasts_s = h2load.lasts_s(self.load) or 0.0
        deadline = bench.clock() + limit_s + lasts_s + GRACE_S
        self._sleep(lasts_s * 0.98)
        while not bench.client.exists(done):
            if bench.clock() > deadline:
                raise FwbenchError(f"{bench.client.name}: the load left no {raw.LOAD}")
            self._sleep(0.1)
        for name in (raw.LOAD, raw.OUTPUT, raw.ERRORS):
            raw.fetch(bench.client, self.folder / name, self.into / name)
        for name in (raw.COUNTS, raw.LOG, raw.TELEMETRY_CLIENT):
            self._fetch_if_there(bench.client, name)

    def _finish(self) -> None:
        """Take the container's last state and its log; the agent removes it."""
        target = self.bench.target
        self._on(target, "finish", f"--container={self.container}", limit_s=60, sudo=True)
        for name in (raw.CONTAINER_AFTER, raw.CONTAINER_LOG):
            raw.fetch(target, self.folder / name, self.into / name)
        self._fetch_if_there(target, raw.TELEMETRY_TARGET)

    def _fetch_if_there(self, host: Remote, name: str) -> None:
        if host.exists(str(self.folder / name)):
            raw.fetch(host, self.folder / name, self.into / name)

    def _stop_load(self) -> None:
        if not (self.into / raw.LOAD).exists():
            self._on(self.bench.client, "stop-load")

    def _remove(self) -> None:
        if not (self.into / raw.CONTAINER_LOG).exists():
            containers.remove(self.bench.target, self.container)

    def _on(
        self,
        host: Remote,
        command: str,
        *options: str,
        argv: Sequence[str] = (),
        limit_s: float = 30,
        sudo: bool = False,
    ) -> None:
        agent = ["python3", "-I", str(self.bench.agent), command, *options, str(self.folder)]
        host.check([*agent, *argv], timeout_s=limit_s, sudo=sudo)

    def _sleep(self, seconds: float) -> None:
        """Sleep in short naps, since somebody may want to stop."""
        until = self.bench.clock() + seconds
        while (left := until - self.bench.clock()) > 0:
            self.bench.check_cancelled()
            self.bench.sleep(min(left, 0.2))
        self.bench.check_cancelled()
