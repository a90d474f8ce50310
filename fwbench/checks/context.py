"""What a check can use, and how it phrases its evidence."""

from collections.abc import Callable
from dataclasses import dataclass

from fwbench.loadgen.shares import divide_load
from fwbench.model.contender import Contender, Contract
from fwbench.model.figures import LoadSummary, RequestLogSummary
from fwbench.model.load import Load
from fwbench.model.observation import ClientObservation, ContainerState, LoadResult, Observation
from fwbench.model.run import Run
from fwbench.model.telemetry import HostUsage
from fwbench.model.thresholds import Thresholds
from fwbench.model.verdict import Finding, Level


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
    """Everything that a check can use: the run, its contender, its observation, the thresholds."""

    run: Run
    contender: Contender
    observation: Observation
    thresholds: Thresholds

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

    def on_each_client(self, describe: Callable[[ClientContext], str | None]) -> str | None:
        """Return the evidence of every client that has some, with names if there are several."""
        described = ((client.name, describe(client)) for client in self.clients)
        evidence = [(name, text) for name, text in described if text is not None]
        if len(self.clients) == 1:
            return evidence[0][1] if evidence else None
        return "; ".join(f"on {name}, {text}" for name, text in evidence) or None

    def on_each_host(self, describe: Callable[[HostUsage], str | None]) -> str | None:
        """Return the evidence of every host that has some, with the names of the hosts."""
        described = ((name, describe(usage)) for name, usage in self.hosts if usage is not None)
        return "; ".join(f"on {name}, {text}" for name, text in described if text) or None

    @property
    def same_container(self) -> tuple[ContainerState, ContainerState] | None:
        """Return the container's states before and after the load, None if it did not run on."""
        before, after = self.observation.container_before, self.observation.container_after
        if before is None or after is None or not (before.running and after.running):
            return None
        return (before, after) if before.started_at == after.started_at else None


@dataclass(frozen=True)
class Check:
    """One possible finding: `evaluate` returns its evidence, or None if all is well."""

    code: str
    level: Level
    evaluate: Callable[[CheckContext], str | None]
    advice: str

    def finding(self, context: CheckContext) -> Finding | None:
        """Return the finding if the check has evidence, else None."""
        evidence = self.evaluate(context)
        if evidence is None:
            return None
        return Finding(code=self.code, level=self.level, evidence=evidence, advice=self.advice)


def counted(number: int, noun: str) -> str:
    """Return `1 request` or `2 requests`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def percent(share: float, digits: int = 0) -> str:
    """Return a share as `4.2 %`, with that many digits after the point."""
    return f"{100 * share:.{digits}f} %"


def threshold_percent(share: float) -> str:
    """Return a threshold as `threshold: 0.5 %`, with as many digits as it has."""
    return f"threshold: {100 * share:g} %"
