"""The client opened more than 2 × the load's connections, plus ten (`connections_opened`).

Evidence: Both numbers. fwbench counts all connections that the host opened from shortly before
the load until its end.

Why: The server ends connections with `Connection: close`, in every answer or after a number of
requests. From 1.64 on, h2load then silently opens new ones. Their handshakes take time that other
contenders do not need. h2load does not reopen a connection that breaks off without this header: see
`connections-lost`.
"""

from fwbench.checks.support.check import Check, Outcome, Status, combine
from fwbench.checks.support.context import CheckContext, ClientContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import counted
from fwbench.model.verdict import Level

CONNECTIONS_OPENED = Threshold(
    "connections_opened", 2.0, "per connection of the load, plus ten in total"
)


# Connections that anything else on the host may open during a load.
UNRELATED_CONNECTIONS = 10


def _evaluate(context: CheckContext) -> Outcome:
    """h2load opens each kept connection once, and docker-proxy on the same host once more."""
    return combine(_of_client(context, client) for client in context.clients)


def _of_client(context: CheckContext, client: ClientContext) -> Outcome:
    usage, connections = client.observation.usage, client.load.connections
    opened = usage.network.connections_opened if usage else None
    if opened is None:
        return Status.NOT_OBSERVED
    allowed = context.threshold(CONNECTIONS_OPENED) * connections + UNRELATED_CONNECTIONS
    if opened <= allowed:
        return Status.PASSED
    return (
        f"{client.name} opened {counted(opened, 'connection')} for a load with {connections}"
        f" (threshold: {allowed:g}): the server does not keep connections open"
    )


CHECK = Check(
    "connections-reopened",
    Level.SUSPECT,
    order=920,
    evaluate=_evaluate,
    advice="Enable keep-alive in the server. Look for `Connection: close` in its answers, a"
    " worker class without keep-alive, or a maximum number of requests per connection. To"
    " measure a server without keep-alive, compare it only with others without.",
    thresholds=(CONNECTIONS_OPENED,),
    needs="the client's count of opened connections",
)
