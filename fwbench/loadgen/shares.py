"""Divide one load among several clients."""

from fwbench.errors import SuiteError
from fwbench.loadgen.registry import generator_of
from fwbench.model.load import Load


def divide_load(load: Load, clients: int) -> tuple[Load, ...]:
    """Return the share of each client; together the shares are the load.

    The clients' connections differ by at most one. Rate and requests are divided in proportion to
    the connections, so that every connection has the same work. Raises `SuiteError` if there are
    more clients than connections, or several clients of a load generator without a log.
    """
    if load.connections < clients:
        raise SuiteError(
            f"a load of {load.connections} connections cannot be divided among {clients} clients; "
            "give the load at least one connection for each client, or the rig fewer clients"
        )
    if clients > 1 and not generator_of(load).writes_request_log:
        raise SuiteError(
            f"{load.generator} writes no log of its requests, so fwbench cannot tell when {clients}"
            " clients all loaded; use h2load, or rigs with one client"
        )
    base, spare = divmod(load.connections, clients)
    shares, before = [], 0
    for number in range(clients):
        connections = base + (number < spare)
        share: dict[str, object] = {
            "connections": connections,
            "threads": min(load.threads, connections),
        }
        if load.rate is not None:
            share["rate"] = load.rate * connections / load.connections
        if load.requests is not None:
            end_request = load.requests * (before + connections) // load.connections
            share["requests"] = end_request - load.requests * before // load.connections
        before += connections
        shares.append(load.model_copy(update=share))
    return tuple(shares)
