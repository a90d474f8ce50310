"""What a check can read of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

from fwbench.checks.support.thresholds import Threshold
from fwbench.loadgen.shares import divide_load
from fwbench.model.contender import Contender, Contract
from fwbench.model.figures import LoadSummary, RequestLogSummary
from fwbench.model.load import Load
from fwbench.model.observation import ClientObservation, ContainerState, LoadResult, Observation
from fwbench.model.run import Run
from fwbench.model.telemetry import ContainerUsage, HostUsage


@dataclass(frozen=True)
class ClientContext:
    """One client's share of a run; `name` is how evidence refers to the client."""

    name: str
    load: Load
    observation: ClientObservation
    result: LoadResult | None

    @property
    def summary(self) -> LoadSummary | None:
        """Return the figures that its load generator printed, or None if there are none."""
        return self.result.summary if self.result else None


@dataclass(frozen=True)
class CheckContext:
    """Everything that a check can use: the run, its contender, its observation, the thresholds.

    `thresholds` has those that the suite sets, by name.
    """

    run: Run
    contender: Contender
    observation: Observation
    thresholds: Mapping[str, float]

    def threshold(self, threshold: Threshold) -> float:
        """Return the suite's value of a threshold, or its default."""
        return self.thresholds.get(threshold.name, threshold.default)

    @property
    def contract(self) -> Contract:
        """Return the answer that the contender must give at the run's endpoint."""
        return self.contender.endpoints[self.run.trial.endpoint]

    @property
    def load(self) -> Load:
        """Return the load of the run; for a step of a search, at the rate of that step."""
        return self.run.trial.load.at_rate(self.observation.offered_rate)

    @property
    def log(self) -> RequestLogSummary | None:
        """Return the summary of all clients' request logs, or None if there is no log."""
        return self.observation.load.log if self.observation.load else None

    @property
    def window_s(self) -> float | None:
        """Return how long was measured: with several clients, the time in which all loaded."""
        overlap_s = self.observation.overlap_s
        return self.load.duration_s if overlap_s is None else overlap_s

    @property
    def clients(self) -> tuple[ClientContext, ...]:
        """Return each client with its share. An only client is called `the client`.

        A load with fewer connections than clients cannot be divided: its run fails before the load.
        """
        clients = self.observation.clients
        if len(clients) == 1:
            return (ClientContext("the client", self.load, clients[0], self.observation.load),)
        if not 1 < len(clients) <= self.load.connections:
            return tuple(
                ClientContext(client.host, self.load, client, client.load) for client in clients
            )
        return tuple(
            ClientContext(client.host, load, client, client.load)
            for client, load in zip(clients, divide_load(self.load, len(clients)), strict=True)
        )

    @property
    def hosts(self) -> tuple[tuple[str, HostUsage | None], ...]:
        """Return the name and the telemetry of each host of the rig, the target first."""
        clients = ((client.name, client.observation.usage) for client in self.clients)
        return (("the target", self.observation.target), *clients)

    @property
    def container(self) -> ContainerUsage | None:
        """Return the usage of the contender's container during the load, or None."""
        return self.observation.target.container if self.observation.target else None

    @property
    def same_container(self) -> tuple[ContainerState, ContainerState] | None:
        """Return the container's states before and after the load, None if it did not run on."""
        before, after = self.observation.container_before, self.observation.container_after
        if before is None or after is None or not (before.running and after.running):
            return None
        return (before, after) if before.started_at == after.started_at else None
