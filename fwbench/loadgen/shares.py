"""One load, divided among several clients."""

from fwbench.errors import SuiteError
from fwbench.model.load import Load


def divide_load(load: Load, clients: int) -> tuple[Load, ...]:
    """What each of so many clients offers; together it is the load.

    Connections differ by one at most. Rate and requests are divided like them, so that each
    connection has as much to do as any other one. Raises `SuiteError` where there are more clients
    than connections.
    """
    if load.connections < clients:
        raise SuiteError(
            f"a load of {load.connections} connections cannot be divided among {clients} clients; "
            "give it at least one for each, or the rig fewer clients"
        )
    each, spare = divmod(load.connections, clients)
    found, before = [], 0
    for number in range(clients):
        connections = each + (number < spare)
        share: dict[str, object] = {
            "connections": connections,
            "threads": min(load.threads, connections),
        }
        if load.rate is not None:
            share["rate"] = load.rate * connections / load.connections
        if load.requests is not None:
            until = load.requests * (before + connections) // load.connections
            share["requests"] = until - load.requests * before // load.connections
        before += connections
        found.append(load.model_copy(update=share))
    return tuple(found)
