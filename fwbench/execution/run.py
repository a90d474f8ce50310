"""Execute one run and return its observation.

No timed request passes over SSH: the load runs detached on the clients and writes files. The driver
fetches these into the run's folder and reads the observation from them, which can be repeated.
When a connection breaks, the driver repeats the operation if it may be executed twice. Otherwise
the run fails with `infrastructure_failure` set.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from fwbench.agent import protocol
from fwbench.collection import artifacts, files
from fwbench.collection.client_results import Commands
from fwbench.errors import FwbenchError, HostError, LostError, SessionError
from fwbench.execution import container
from fwbench.execution.agent_client import AgentClient, retry_once, run_parallel
from fwbench.execution.load_phase import LOAD_END_GRACE_S, LoadPhase, read_clocks, time_limit_s
from fwbench.execution.rig_context import CancelledError, RigContext
from fwbench.hosts import lease
from fwbench.loadgen.registry import generator_of
from fwbench.model.contender import Contender, Contract
from fwbench.model.load import Load
from fwbench.model.observation import Answer, ClientObservation, ContainerState, Observation, Phases
from fwbench.model.run import Run
from fwbench.ssh.remote import Remote

PROBE_TIMEOUT_S = 2.0
LEASE_MARGIN_S = 180.0  # for Docker, broken connections, and the cleanup


def execute_run(
    run: Run,
    load: Load,
    contender: Contender,
    image: str,
    start_timeout_s: float,
    context: RigContext,
    artifacts_folder: Path,
) -> Observation:
    """Execute one run, write its raw files to `artifacts_folder`, and return its observation.

    `load` is the load of the run's trial, or of this step of a search. A failure of the run is part
    of the observation. In any case the container and the load generators are removed from the
    hosts that can be reached.

    Raises `CancelledError`, and `SessionError` if files cannot be written on the controller.
    """
    execution = _Execution(run, load, contender, image, start_timeout_s, context, artifacts_folder)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    started_s = context.clock()
    failure: Exception | None = None
    collected = artifacts.RunArtifacts()
    with _writing_to(artifacts_folder):
        artifacts_folder.mkdir(parents=True)
        try:
            with ExitStack() as cleanup:
                try:
                    execution.run(cleanup)
                except (CancelledError, FwbenchError) as error:
                    failure = error  # an error during cleanup must not hide this one
        except LostError:
            pass  # The run is complete; the leftovers are removed with the session's folder.
        except FwbenchError as error:
            failure = failure or error
        if failure is None:
            try:
                collected = artifacts.read_artifacts(artifacts_folder, load)
            except FwbenchError as error:
                failure = error
    if isinstance(failure, CancelledError | SessionError):
        raise failure
    return Observation(
        started_at=started_at,
        offered_rate=load.rate,
        phases=Phases(
            start_s=execution.start_s,
            ready_s=execution.ready_s,
            load_s=collected.load_s,
            total_s=context.clock() - started_s,
        ),
        container_before=execution.container_before,
        container_after=collected.container_after,
        load=collected.load,
        target=collected.target,
        clients=collected.clients if failure is None else execution.client_observations(),
        overlap=collected.overlap,
        failure=None if failure is None else str(failure),
        infrastructure_failure=execution.is_infrastructure_failure(failure),
    )


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SessionError(
            f"{folder}: cannot be written: {error.strerror}; free disk space on this machine, or "
            "correct the folder's permissions"
        ) from error


class _Execution:
    """The steps of one run; the results of each step remain if a later one fails."""

    def __init__(
        self,
        run: Run,
        load: Load,
        contender: Contender,
        image: str,
        start_timeout_s: float,
        context: RigContext,
        artifacts_folder: Path,
    ) -> None:
        self.contender, self.context, self.artifacts_folder = contender, context, artifacts_folder
        self.trial, self.load = run.trial, load
        self.contract: Contract = contender.endpoints[run.trial.endpoint]
        self.container = f"fwbench-{context.session}-{run.id}"
        self.agents = AgentClient(context, context.folder / run.id)
        self.url = container.endpoint_url(context.address, contender, self.contract)
        self.start_argv = container.run_argv(
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
        """Return what a failed run observed of its clients: their probes."""
        return tuple(
            ClientObservation(host=client.name, answer_before=answer)
            for client, answer in zip(self.context.clients, self.answers, strict=True)
        )

    def is_infrastructure_failure(self, error: Exception | None) -> bool:
        """Return whether the run failed because a host was lost, rather than by its contender.

        A host that has rebooted answers again, but has lost the container and the load. Therefore
        every `HostError` counts once a host was unreachable.
        """
        return isinstance(error, LostError) or (
            isinstance(error, HostError) and bool(self.agents.unreachable_hosts)
        )

    def run(self, cleanup: ExitStack) -> None:
        """Start the contender, wait for it, load it, and fetch the results.

        `cleanup` removes from the hosts what each step put there.
        """
        context = self.context
        load_phase = LoadPhase(self.agents, self.load, self.url, self.artifacts_folder)
        commands = Commands(contender=tuple(self.start_argv), load=load_phase.commands)
        (self.artifacts_folder / files.COMMANDS).write_text(
            commands.model_dump_json(indent=1) + "\n"
        )
        for host in context.hosts:
            cleanup.callback(retry_once, self._remove_run_folder, host)
            self._acquire_lease(host)
        clocks = read_clocks(self.agents, self.artifacts_folder)
        started_s = context.clock()
        cleanup.callback(retry_once, self._remove_container, context.target)
        container.start(context.target, self.contender, self.start_argv)
        self.start_s = context.clock() - started_s
        self._wait_until_ready()
        self._wait_until_idle()
        if all(answer is not None and answer.error is None for answer in self.answers):
            load_phase.run(clocks, cleanup)
        self._finish()

    def _acquire_lease(self, host: Remote) -> None:
        """Renew the host's lease for the longest time the run may take; remove leftovers."""
        load_s = time_limit_s(self.load) + (generator_of(self.load).duration_s(self.load) or 0.0)
        lease_s = 2 * self.start_timeout_s + load_s + LEASE_MARGIN_S
        lease.acquire(host, self.context.folder, self.agents.folder.name, lease_s)

    def _remove_run_folder(self, host: Remote) -> None:
        # A failure does not matter: the session's folder is removed later, with all runs in it.
        host.execute(["rm", "-rf", str(self.agents.folder)], within=self.context.folder)

    def _wait_until_ready(self) -> None:
        """Probe from the first client until the contender answers, then once from all others.

        If it never answers, the last error is kept as the answer. After each failed probe the
        target is asked whether the container has exited, which ends the wait.
        """
        context = self.context
        started_s = context.clock()
        while True:
            context.check_cancelled()
            answer = self.answers[0] = self._probe(0)
            self.ready_s = context.clock() - started_s
            if answer.error is None:
                break
            if self.ready_s > self.start_timeout_s:
                return
            if container.has_exited(context.target, self.container):
                return
        other_clients = range(1, len(context.clients))
        self.answers[1:] = run_parallel(self._probe, other_clients) if other_clients else []

    def _probe(self, number: int) -> Answer:
        client = self.context.clients[number]
        folder = self.artifacts_folder / files.client_folder(number + 1)
        command = protocol.Probe(self.url, PROBE_TIMEOUT_S)
        self.agents.retry_until_reachable(
            client, lambda: self.agents.call(client, command, timeout_s=4 * PROBE_TIMEOUT_S)
        )
        self.agents.fetch(client, protocol.ANSWER, folder)
        answer_file = (folder / protocol.ANSWER).rename(folder / files.ANSWER_BEFORE)
        return files.read_model(Answer, files.read_text(answer_file), answer_file)

    def _wait_until_idle(self) -> None:
        """Wait until every worker is up and idle, so that none starts during the load."""
        context = self.context
        waited_s = self.ready_s or 0
        remaining_s = max(1.0, self.start_timeout_s - waited_s)
        self.agents.call(
            context.target,
            protocol.WaitIdle(
                container=self.container,
                processes=self.contender.expected_processes(self.trial.concurrency.workers),
                timeout_s=remaining_s,
                sampling_limit_s=time_limit_s(self.load) + 2 * LOAD_END_GRACE_S,
            ),
            timeout_s=remaining_s + 15,
            sudo=True,
        )
        state_json = self.agents.fetch(
            context.target, protocol.CONTAINER_BEFORE, self.artifacts_folder
        )
        self.container_before = files.read_model(
            ContainerState, state_json, self.artifacts_folder / protocol.CONTAINER_BEFORE
        )
        self.ready_s = waited_s + (self.container_before.idle_wait_s or 0)
        context.check_cancelled()

    def _finish(self) -> None:
        """Fetch the container's final state and log; the agent removes the container."""
        target = self.context.target
        self.agents.retry_until_reachable(target, self._finish_on_target)
        state_json = self.agents.fetch(target, protocol.CONTAINER_AFTER, self.artifacts_folder)
        self.agents.fetch(target, protocol.CONTAINER_LOG, self.artifacts_folder)
        self.agents.fetch_if_present(target, protocol.TELEMETRY_TARGET, self.artifacts_folder)
        after = files.read_model(
            ContainerState, state_json, self.artifacts_folder / protocol.CONTAINER_AFTER
        )
        if target.name in self.agents.unreachable_hosts and not after.running:
            raise LostError(
                f"{target.name}: the container exited while the host was unreachable; the host or"
                " its Docker engine was restarted"
            )

    def _finish_on_target(self) -> None:
        """Finish the container; after a broken connection, accept that this is already done."""
        target = self.context.target
        try:
            self.agents.call(target, protocol.Finish(self.container), timeout_s=60, sudo=True)
        except LostError:
            raise
        except HostError:
            if target.name not in self.agents.unreachable_hosts or not self.agents.exists(
                target, protocol.CONTAINER_LOG
            ):
                raise

    def _remove_container(self, target: Remote) -> None:
        if not (self.artifacts_folder / protocol.CONTAINER_LOG).exists():
            container.remove(target, self.container)
