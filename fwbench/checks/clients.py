"""Checks of rigs with several clients: did all clients load at the same time?"""

from fwbench.checks.context import Check, CheckContext, threshold_percent
from fwbench.model.verdict import Level


def _client_skew(context: CheckContext) -> str | None:
    overlap, threshold_s = context.observation.overlap, context.thresholds.client_skew_s
    if overlap is None or overlap.skew_s is None or overlap.skew_s <= threshold_s:
        return None
    clients = [client for client in context.observation.clients if client.began_s is not None]
    first = min(clients, key=lambda client: client.began_s or 0, default=None)
    last = max(clients, key=lambda client: client.began_s or 0, default=None)
    skew = _milliseconds(overlap.skew_s)
    uncertainty = (
        "" if overlap.uncertainty_s is None else f"± {_milliseconds(overlap.uncertainty_s)}; "
    )
    limits = f"({uncertainty}threshold: {_milliseconds(threshold_s)})"
    if first is None or last is None:
        return f"the clients began {skew} apart {limits}"
    return f"{last.host} began {skew} after {first.host} {limits}"


def _client_skew_uncertain(context: CheckContext) -> str | None:
    """A skew that certainly exceeds the threshold is `client-skew` instead."""
    overlap, threshold_s = context.observation.overlap, context.thresholds.client_skew_s
    if overlap is None or overlap.skew_s is None or overlap.skew_s > threshold_s:
        return None
    if overlap.uncertainty_s is None:
        return "how far apart the clients began is unknown: the offset of their clocks is unknown"
    if overlap.skew_s + overlap.uncertainty_s <= threshold_s:
        return None
    return (
        f"the clients began {_milliseconds(overlap.skew_s)} apart"
        f" (± {_milliseconds(overlap.uncertainty_s)}), which may exceed the threshold of"
        f" {_milliseconds(threshold_s)}"
    )


def _short_overlap(context: CheckContext) -> str | None:
    overlap, clients = context.observation.overlap, context.observation.clients
    if overlap is None or overlap.overlap_s is None:
        return None
    planned_s: float | None = context.load.duration_s
    if planned_s is None:
        began = [client.began_s for client in clients if client.began_s is not None]
        ended = [client.ended_s for client in clients if client.ended_s is not None]
        planned_s = max(ended, default=0.0) - min(began, default=0.0)
    threshold = context.thresholds.overlap_share
    if overlap.overlap_s >= threshold * planned_s:
        return None
    return (
        f"all clients loaded at the same time for {overlap.overlap_s:.2f} s of {planned_s:.2f} s"
        f" ({threshold_percent(threshold)})"
    )


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms"


CHECKS = (
    Check(
        "client-skew",
        Level.INVALID,
        _client_skew,
        "Find out what delayed the last client: a busy host, or an SSH connection that took longer"
        " than fwbench allows for.",
    ),
    Check(
        "short-overlap",
        Level.INVALID,
        _short_overlap,
        "Read the findings about the client that ended early. If the load has a number of requests,"
        " set duration_s instead: all clients then end at the same time.",
    ),
    Check(
        "client-skew-uncertain",
        Level.SUSPECT,
        _client_skew_uncertain,
        "Start fwbench on a machine that is nearer to the clients. It reads their clocks over SSH,"
        " and the error is up to half of the round-trip time.",
    ),
)
