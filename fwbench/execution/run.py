"""One run from start to observation.

Nothing that is timed passes over SSH: load runs detached on the clients and leaves files, which are
fetched into the run's raw folder and read from there. What is observed can be read again from it.
A connection that breaks costs nothing but time where what was asked may be asked again; where not,
the run has failed and was `lost`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from fwbench.collection import artifacts
from fwbench.errors import FwbenchError, HostError, LostError, SessionError
from fwbench.execution import contender as containers
from fwbench.execution.load_phase import GRACE_S, Loading, compare_clocks, time_limit_s
from fwbench.execution.rig_context import Bench, CancelledError, Desk, side_by_side, twice
from fwbench.hosts import lease
from fwbench.loadgen import h2load
from fwbench.model.contender import Contender, Contract
from fwbench.model.load import Load
from fwbench.model.observation import Answer, ClientSide, ContainerState, Observation, Phases
from fwbench.model.run import Run
from fwbench.ssh.remote import Remote

ASK_S = 2.0
AROUND_S = 180.0  # what the engine, connections that break, and cleaning up may take


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

    Whatever happens to the run is in the observation; only `CancelledError` escapes, and
    `SessionError` where its files cannot be written here. In any case the container and the load
    are gone from the hosts afterwards, if these can be reached.
    """
    execution = _Execution(run, load, contender, image, start_timeout_s, bench, into)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    began = bench.clock()
    ended: Exception | None = None
    left = artifacts.Left()
    with _kept_in(into):
        into.mkdir(parents=True)
        try:
            with ExitStack() as leaving:
                try:
                    execution.go(leaving)
                except (CancelledError, FwbenchError) as error:
                    ended = error  # what goes wrong while cleaning up must not hide it
        except LostError:
            pass  # a whole run stays whole; what lies there goes with the session's folder
        except FwbenchError as error:
            ended = ended or error
        if ended is None:
            try:
                left = artifacts.read(into, load)
            except FwbenchError as error:
                ended = error
    if isinstance(ended, CancelledError | SessionError):
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
        container_before=execution.container_before,
        container_after=left.container_after,
        load=left.load,
        target=left.target,
        clients=left.clients if ended is None else execution.sides(),
        together=left.together,
        failure=None if ended is None else str(ended),
        lost=execution.was_lost(ended),
    )


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SessionError(f"{folder}: {error.strerror}; see that there is room") from error


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
        self.desk = Desk(bench, bench.folder / run.id)
        self.url = containers.url(bench.address, contender, self.contract)
        self.start_argv = containers.run_argv(
            self.container, contender, image, run.trial, bench.address, bench.session, bench.cpus
        )
        self.start_timeout_s = start_timeout_s
        self.start_s: float | None = None
        self.application_s: float | None = None
        self.answers: list[Answer | None] = [None] * len(bench.clients)
        self.container_before: ContainerState | None = None

    def sides(self) -> tuple[ClientSide, ...]:
        """What is known of the clients of a run that failed."""
        return tuple(
            ClientSide(host=client.name, answer_before=answer)
            for client, answer in zip(self.bench.clients, self.answers, strict=True)
        )

    def was_lost(self, ended: Exception | None) -> bool:
        """Whether a connection ended the run, or what happened to a host while it was lost.

        A host that was started anew has neither container nor load, and says so when it is back.
        """
        return isinstance(ended, LostError) or (
            isinstance(ended, HostError) and bool(self.desk.lost)
        )

    def go(self, leaving: ExitStack) -> None:
        """Start, await, load, finish, fetch; `leaving` takes away what each step put there."""
        bench = self.bench
        loading = Loading(self.desk, self.load, self.url, self.into)
        commands = artifacts.Commands(contender=tuple(self.start_argv), load=loading.commands)
        (self.into / artifacts.COMMANDS).write_text(commands.model_dump_json(indent=1) + "\n")
        for host in bench.hosts:
            leaving.callback(twice, self._leave, host)
            self._enter(host)
        clocks = compare_clocks(self.desk, self.into)
        began = bench.clock()
        leaving.callback(twice, self._remove, bench.target)
        containers.start(bench.target, self.contender, self.start_argv)
        self.start_s = bench.clock() - began
        self._await_answers()
        self._await_idle()
        if all(answer is not None and answer.error is None for answer in self.answers):
            loading.go(clocks, leaving)
        self._finish()

    def _enter(self, host: Remote) -> None:
        """Have the host for this run, for as long as it may take at most, free of leftovers."""
        load_s = time_limit_s(self.load) + (h2load.lasts_s(self.load) or 0.0)
        for_s = 2 * self.start_timeout_s + load_s + AROUND_S
        lease.begin(host, self.bench.folder, self.desk.folder.name, for_s)

    def _leave(self, host: Remote) -> None:
        """Remove the run's folder; what stays of it goes with the session's."""
        host.execute(["rm", "-rf", str(self.desk.folder)], within=self.bench.folder)

    def _await_answers(self) -> None:
        """Let the first client ask until the contender answers, then let the others ask once.

        The last error stands for no answer. Each time in vain the target is asked whether it still
        runs: none that has ended answers.
        """
        bench = self.bench
        began = bench.clock()
        while True:
            bench.check_cancelled()
            answer = self.answers[0] = self._ask(0)
            self.application_s = bench.clock() - began
            if answer.error is None:
                break
            if self.application_s > self.start_timeout_s:
                return
            if containers.has_ended(bench.target, self.container):
                return
        others = range(1, len(bench.clients))
        self.answers[1:] = side_by_side(self._ask, others) if others else []

    def _ask(self, number: int) -> Answer:
        client, into = self.bench.clients[number], self.into / artifacts.of_client(number + 1)
        options = [f"--url={self.url}", f"--for={ASK_S}"]
        self.desk.insist(client, lambda: self.desk.on(client, "ask", *options, limit_s=4 * ASK_S))
        self.desk.fetch(client, "answer.json", into)
        told = (into / "answer.json").rename(into / artifacts.BEFORE)
        return artifacts.model(Answer, artifacts.text(told), told)

    def _await_idle(self) -> None:
        """Let the target watch until every worker is up, so that none starts under load."""
        bench = self.bench
        spent = self.application_s or 0
        left = max(1.0, self.start_timeout_s - spent)
        self.desk.on(
            bench.target,
            "settle",
            f"--for={left}",
            f"--container={self.container}",
            f"--processes={self.contender.processes_with(self.trial.concurrency.workers)}",
            f"--sample-for={time_limit_s(self.load) + 2 * GRACE_S:g}",
            limit_s=left + 15,
            sudo=True,
        )
        told = self.desk.fetch(bench.target, artifacts.CONTAINER_BEFORE, self.into)
        self.container_before = artifacts.model(
            ContainerState, told, self.into / artifacts.CONTAINER_BEFORE
        )
        self.application_s = spent + (self.container_before.waited_s or 0)
        bench.check_cancelled()

    def _finish(self) -> None:
        """Take the container's last state and its log; the agent removes it."""
        target = self.bench.target
        self.desk.insist(target, self._finish_once)
        told = self.desk.fetch(target, artifacts.CONTAINER_AFTER, self.into)
        self.desk.fetch(target, artifacts.CONTAINER_LOG, self.into)
        self.desk.fetch_if_there(target, artifacts.TELEMETRY_TARGET, self.into)
        after = artifacts.model(ContainerState, told, self.into / artifacts.CONTAINER_AFTER)
        if target.name in self.desk.lost and not after.running:
            raise LostError(
                f"{target.name}: the container ended while the host was lost: it was started anew,"
                " or its engine was"
            )

    def _finish_once(self) -> None:
        """Where the connection broke before, the container may be gone because all is done."""
        target = self.bench.target
        try:
            self.desk.on(target, "finish", f"--container={self.container}", limit_s=60, sudo=True)
        except LostError:
            raise
        except HostError:
            if target.name not in self.desk.lost or not self.desk.exists(
                target, artifacts.CONTAINER_LOG
            ):
                raise

    def _remove(self, target: Remote) -> None:
        if not (self.into / artifacts.CONTAINER_LOG).exists():
            containers.remove(target, self.container)
