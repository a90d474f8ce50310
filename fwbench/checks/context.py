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
    """One client's share of a run; `name` is what to call it among the hosts of the rig."""

    name: str
    load: Load
    observation: ClientObservation
    result: LoadResult | None

    @property
    def summary(self) -> LoadSummary | None:
        """What its load generator said, if it came to that and could be read."""
        return self.result.summary if self.result else None


@dataclass(frozen=True)
class CheckContext:
    """What the judge knows about one run."""

    run: Run
    contender: Contender
    observation: Observation
    thresholds: Thresholds

    @property
    def contract(self) -> Contract:
        """What the contender must answer at the run's endpoint."""
        return self.contender.endpoints[self.run.trial.endpoint]

    @property
    def load(self) -> Load:
        """What was asked of the server: of a search, what this step offered."""
        planned, rate = self.run.trial.load, self.observation.offered_rate
        return planned if rate is None else planned.at_rate(rate)

    @property
    def log(self) -> RequestLogSummary | None:
        """What the load's log adds up to, over all clients, if they left one."""
        return self.observation.load.log if self.observation.load else None

    @property
    def window_s(self) -> float | None:
        """How long was measured: the load's duration, and of several clients what all had of it."""
        common_s = self.observation.overlap_s
        return self.load.duration_s if common_s is None else common_s

    @property
    def clients(self) -> tuple[ClientContext, ...]:
        """What each client did. The only one is `the client`, and its load the whole.

        More clients than connections have no shares: such a run fails before its load.
        """
        seen = self.observation
        if len(seen.clients) == 1:
            return (ClientContext("the client", self.load, seen.clients[0], seen.load),)
        number = len(seen.clients)
        if not 1 < number <= self.load.connections:
            return tuple(
                ClientContext(side.host, self.load, side, side.load) for side in seen.clients
            )
        return tuple(
            ClientContext(side.host, load, side, side.load)
            for side, load in zip(seen.clients, divide_load(self.load, number), strict=True)
        )

    @property
    def hosts(self) -> tuple[tuple[str, HostUsage | None], ...]:
        """What each host of the rig did, under its name."""
        of_clients = ((share.name, share.observation.usage) for share in self.clients)
        return (("the target", self.observation.target), *of_clients)

    def on_each_client(self, describe: Callable[[ClientContext], str | None]) -> str | None:
        """What is seen of each client, with its name where there are several."""
        seen = ((share.name, describe(share)) for share in self.clients)
        found = [(name, said) for name, said in seen if said is not None]
        if len(self.clients) == 1:
            return found[0][1] if found else None
        return "; ".join(f"on {name}, {said}" for name, said in found) or None

    def on_each_host(self, describe: Callable[[HostUsage], str | None]) -> str | None:
        """What is seen on each host, with its name."""
        seen = ((name, describe(usage)) for name, usage in self.hosts if usage is not None)
        return "; ".join(f"on {name}, {said}" for name, said in seen if said is not None) or None

    @property
    def same_container(self) -> tuple[ContainerState, ContainerState] | None:
        """The container before and after the load if it ran all the while, else None."""
        before, after = self.observation.container_before, self.observation.container_after
        if before is None or after is None or not (before.running and after.running):
            return None
        return (before, after) if before.started_at == after.started_at else None


@dataclass(frozen=True)
class Check:
    """One possible finding: `look` returns its evidence, or None where there is none."""

    code: str
    level: Level
    evaluate: Callable[[CheckContext], str | None]
    advice: str

    def finding(self, context: CheckContext) -> Finding | None:
        """What the check has to say about the run, if anything."""
        evidence = self.evaluate(context)
        if evidence is None:
            return None
        return Finding(code=self.code, level=self.level, evidence=evidence, advice=self.advice)


def counted(number: int, noun: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
