"""Rigs whose clients were the limit: what was measured there is the load generator."""

import math
from collections.abc import Sequence

from fwbench.model.base import Frozen
from fwbench.model.host import Rig
from fwbench.model.observation import Observation
from fwbench.model.record import Record
from fwbench.model.suite import Suite


class SaturatedClients(Frozen):
    """A rig with runs in which a load thread was too busy, and how many clients it needs at least.

    `busiest_cores` is that of the busiest thread of all of them. `clients_needed` would bring it
    under the threshold if the load stayed what it is; a closed load grows with what serves it.
    """

    rig: str
    runs: int
    clients: int
    busiest_cores: float
    clients_needed: int


def saturated_clients(
    suite: Suite, rigs: Sequence[Rig], records: Sequence[Record]
) -> tuple[SaturatedClients, ...]:
    """Each rig on which a run has the finding `client-saturated`."""
    limit = suite.thresholds.load_thread_cores
    found = []
    for rig in rigs:
        these = [
            record
            for record in records
            if record.run.rig == rig.name
            and any(finding.code == "client-saturated" for finding in record.verdict.findings)
        ]
        busiest = max((_busiest(record.observation) for record in these), default=0.0)
        if these:
            found.append(
                SaturatedClients(
                    rig=rig.name,
                    runs=len(these),
                    clients=len(rig.clients),
                    busiest_cores=busiest,
                    clients_needed=math.ceil(len(rig.clients) * busiest / limit),
                )
            )
    return tuple(found)


def _busiest(observation: Observation) -> float:
    usages = (client.usage for client in observation.clients)
    return max((thread.cores for usage in usages if usage for thread in usage.threads), default=0.0)
