"""Rigs whose clients were the limit: what was measured there is the load generator."""

import math
from collections.abc import Sequence

from fwbench.model.base import Frozen
from fwbench.model.host import Rig
from fwbench.model.suite import Suite
from fwbench.stats.run_result import RunResult


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
    suite: Suite, rigs: Sequence[Rig], results: Sequence[RunResult]
) -> tuple[SaturatedClients, ...]:
    """Return each rig on which a run has the finding `client-saturated`."""
    limit = suite.thresholds.load_thread_cores
    saturated: dict[str, list[RunResult]] = {rig.name: [] for rig in rigs}
    for result in results:
        if result.rig in saturated and "client-saturated" in result.findings:
            saturated[result.rig].append(result)
    found = []
    for rig in rigs:
        if runs := saturated[rig.name]:
            busiest = max(result.busiest_thread_cores for result in runs)
            found.append(
                SaturatedClients(
                    rig=rig.name,
                    runs=len(runs),
                    clients=len(rig.clients),
                    busiest_cores=busiest,
                    clients_needed=math.ceil(len(rig.clients) * busiest / limit),
                )
            )
    return tuple(found)
