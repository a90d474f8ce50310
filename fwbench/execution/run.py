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

from fwbench.agent import protocol
from fwbench.collection import artifacts, files
from fwbench.collection.client_results import Commands
from fwbench.errors import FwbenchError, HostError, LostError, SessionError
from fwbench.execution import contender as containers
from fwbench.execution.agent_client import AgentClient, retry_once, run_parallel
from fwbench.execution.load_phase import GRACE_S, LoadPhase, compare_clocks, time_limit_s
from fwbench.execution.rig_context import CancelledError, RigContext
from fwbench.hosts import lease
from fwbench.loadgen import h2load
from fwbench.model.contender import Contender, Contract
from fwbench.model.load import Load
from fwbench.model.observation import Answer, ClientObservation, ContainerState, Observation, Phases
from fwbench.model.run import Run
from fwbench.ssh.remote import Remote

PROBE_TIMEOUT_S = 2.0
LEASE_MARGIN_S = 180.0  # what the engine, connections that break, and cleaning up may take


def execute_run(
    run: Run,
    load: Load,
    contender: Contender,
    image: str,
    start_timeout_s: float,
    context: RigContext,
    into: Path,
) -> Observation:
    """Execute one run and leave its raw files in the folder `into`.

    `load` is that of the run's trial; of a search it is what this step offers.

    Whatever happens to the run is in the observation; only `CancelledError` escapes, and
    `SessionError` where its files cannot be written here. In any case the container and the load
    are gone from the hosts afterwards, if these can be reached.
    """
    execution = _Execution(run, load, contender, image, start_timeout_s, context, into)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    began = context.clock()
    ended: Exception | None = None
    left = artifacts.RunArtifacts()
    with _artifacts_in(into):
        into.mkdir(parents=True)
        try:
            with ExitStack() as leaving:
                try:
                    execution.run(leaving)
                except (CancelledError, FwbenchError) as error:
                    ended = error  # what goes wrong while cleaning up must not hide it
        except LostError:
            pass  # a whole run stays whole; what lies there goes with the session's folder
        except FwbenchError as error:
            ended = ended or error
        if ended is None:
            try:
                left = artifacts.read_artifacts(into, load)
            except FwbenchError as error:
                ended = error
    if isinstance(ended, CancelledError | SessionError):
        raise ended
    return Observation(
        started_at=started_at,
        offered_rate=load.rate,
        phases=Phases(
            start_s=execution.start_s,
            ready_s=execution.ready_s,
            load_s=left.load_s,
            total_s=context.clock() - began,
        ),
        container_before=execution.container_before,
        container_after=left.container_after,
        load=left.load,
        target=left.target,
        clients=left.clients if ended is None else execution.client_observations(),
        overlap=left.overlap,
        failure=None if ended is None else str(ended),
        infrastructure_failure=execution.is_infrastructure_failure(ended),
    )


@contextmanager
def _artifacts_in(folder: Path) -> Iterator[None]:
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
        context: RigContext,
        into: Path,
    ) -> None:
        self.contender, self.context, self.into = contender, context, into
        self.trial, self.load = run.trial, load
        self.contract: Contract = contender.endpoints[run.trial.endpoint]
        self.container = f"fwbench-{context.session}-{run.id}"
        self.agents = AgentClient(context, context.folder / run.id)
        self.url = containers.url(context.address, contender, self.contract)
        self.start_argv = containers.run_argv(
            self.container,
            contender,
            image,
            run.trial,
            context.address,
            context.session,
            context.cpus,
        )
        self.start_timeout_s = start_timeout_s
        self.start_s: float | None = None
        self.ready_s: float | None = None
        self.answers: list[Answer | None] = [None] * len(context.clients)
        self.container_before: ContainerState | None = None

    def client_observations(self) -> tuple[ClientObservation, ...]:
        """What is known of the clients of a run that failed."""
        return tuple(
            ClientObservation(host=client.name, answer_before=answer)
            for client, answer in zip(self.context.clients, self.answers, strict=True)
        )

    def is_infrastructure_failure(self, ended: Exception | None) -> bool:
        """Whether a connection ended the run, or what happened to a host while it was lost.

        A host that was started anew has neither container nor load, and says so when it is back.
        """
        return isinstance(ended, LostError) or (
            isinstance(ended, HostError) and bool(self.agents.unreachable_hosts)
        )

    def run(self, leaving: ExitStack) -> None:
        """Start, await, load, finish, fetch; `leaving` takes away what each step put there."""
        context = self.context
        loading = LoadPhase(self.agents, self.load, self.url, self.into)
        commands = Commands(contender=tuple(self.start_argv), load=loading.commands)
        (self.into / files.COMMANDS).write_text(commands.model_dump_json(indent=1) + "\n")
        for host in context.hosts:
            leaving.callback(retry_once, self._remove_run_folder, host)
            self._acquire_lease(host)
        clocks = compare_clocks(self.agents, self.into)
        began = context.clock()
        leaving.callback(retry_once, self._remove, context.target)
        containers.start(context.target, self.contender, self.start_argv)
        self.start_s = context.clock() - began
        self._wait_until_ready()
        self._wait_until_idle()
        if all(answer is not None and answer.error is None for answer in self.answers):
            loading.run(clocks, leaving)
        self._finish()

    def _acquire_lease(self, host: Remote) -> None:
        """Have the host for this run, for as long as it may take at most, free of leftovers."""
        load_s = time_limit_s(self.load) + (h2load.duration_s(self.load) or 0.0)
        for_s = 2 * self.start_timeout_s + load_s + LEASE_MARGIN_S
        lease.acquire(host, self.context.folder, self.agents.folder.name, for_s)

    def _remove_run_folder(self, host: Remote) -> None:
        """Remove the run's folder; what stays of it goes with the session's."""
        host.execute(["rm", "-rf", str(self.agents.folder)], within=self.context.folder)

    def _wait_until_ready(self) -> None:
        """Let the first client ask until the contender answers, then let the others ask once.

        The last error stands for no answer. Each time in vain the target is asked whether it still
        runs: none that has ended answers.
        """
        context = self.context
        began = context.clock()
        while True:
            context.check_cancelled()
            answer = self.answers[0] = self._ask(0)
            self.ready_s = context.clock() - began
            if answer.error is None:
                break
            if self.ready_s > self.start_timeout_s:
                return
            if containers.has_ended(context.target, self.container):
                return
        others = range(1, len(context.clients))
        self.answers[1:] = run_parallel(self._ask, others) if others else []

    def _ask(self, number: int) -> Answer:
        client, into = self.context.clients[number], self.into / files.client_folder(number + 1)
        command = protocol.Probe(self.url, PROBE_TIMEOUT_S)
        self.agents.retry_until_reachable(
            client, lambda: self.agents.call(client, command, limit_s=4 * PROBE_TIMEOUT_S)
        )
        self.agents.fetch(client, protocol.ANSWER, into)
        told = (into / protocol.ANSWER).rename(into / files.ANSWER_BEFORE)
        return files.read_model(Answer, files.read_text(told), told)

    def _wait_until_idle(self) -> None:
        """Let the target watch until every worker is up, so that none starts under load."""
        context = self.context
        spent = self.ready_s or 0
        left = max(1.0, self.start_timeout_s - spent)
        self.agents.call(
            context.target,
            protocol.WaitIdle(
                container=self.container,
                processes=self.contender.expected_processes(self.trial.concurrency.workers),
                for_s=left,
                sample_for_s=time_limit_s(self.load) + 2 * GRACE_S,
            ),
            limit_s=left + 15,
            sudo=True,
        )
        told = self.agents.fetch(context.target, protocol.CONTAINER_BEFORE, self.into)
        self.container_before = files.read_model(
            ContainerState, told, self.into / protocol.CONTAINER_BEFORE
        )
        self.ready_s = spent + (self.container_before.idle_wait_s or 0)
        context.check_cancelled()

    def _finish(self) -> None:
        """Take the container's last state and its log; the agent removes it."""
        target = self.context.target
        self.agents.retry_until_reachable(target, self._finish_on_target)
        told = self.agents.fetch(target, protocol.CONTAINER_AFTER, self.into)
        self.agents.fetch(target, protocol.CONTAINER_LOG, self.into)
        self.agents.fetch_if_there(target, protocol.TELEMETRY_TARGET, self.into)
        after = files.read_model(ContainerState, told, self.into / protocol.CONTAINER_AFTER)
        if target.name in self.agents.unreachable_hosts and not after.running:
            raise LostError(
                f"{target.name}: the container ended while the host was lost: it was started anew,"
                " or its engine was"
            )

    def _finish_on_target(self) -> None:
        """Where the connection broke before, the container may be gone because all is done."""
        target = self.context.target
        try:
            self.agents.call(target, protocol.Finish(self.container), limit_s=60, sudo=True)
        except LostError:
            raise
        except HostError:
            if target.name not in self.agents.unreachable_hosts or not self.agents.exists(
                target, protocol.CONTAINER_LOG
            ):
                raise

    def _remove(self, target: Remote) -> None:
        if not (self.into / protocol.CONTAINER_LOG).exists():
            containers.remove(target, self.container)
