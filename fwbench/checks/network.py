"""Checks of the network between the hosts, and of their clocks."""

from fwbench.checks.context import (
    Check,
    CheckContext,
    ClientContext,
    counted,
    percent,
    threshold_percent,
)
from fwbench.model.verdict import Level

# Connections that anything else on the host may open during a load.
UNRELATED_CONNECTIONS = 10


def _listen_overflow(context: CheckContext) -> str | None:
    target = context.observation.target
    if target is None:
        return None
    overflows, drops = target.network.listen_overflows, target.network.listen_drops
    if not overflows and not drops:
        return None
    return (
        f"the target's accept queue overflowed {counted(overflows or 0, 'time')}, and the kernel"
        f" dropped {counted(drops or 0, 'connection attempt')}"
    )


def _retransmits(context: CheckContext) -> str | None:
    evidence, threshold = [], context.thresholds.retransmits
    for name, usage in context.hosts:
        if usage is None:
            continue
        retransmitted, sent = usage.network.retransmits, usage.network.segments_sent
        if retransmitted and sent and retransmitted / sent > threshold:
            evidence.append(
                f"{name} retransmitted {retransmitted} of {sent} TCP segments"
                f" ({percent(retransmitted / sent, 2)}; {threshold_percent(threshold)})"
            )
    return "; ".join(evidence) or None


def _connections_reopened(context: CheckContext) -> str | None:
    """h2load opens each kept connection once, and docker-proxy on the same host once more."""
    evidence = []
    for client in context.clients:
        usage, connections = client.observation.usage, client.load.connections
        opened = usage.network.connections_opened if usage else None
        allowed = context.thresholds.connections_opened * connections + UNRELATED_CONNECTIONS
        if opened is not None and opened > allowed:
            evidence.append(
                f"{client.name} opened {counted(opened, 'connection')} for a load with"
                f" {connections} (threshold: {allowed:g}): the server does not keep connections"
                " open"
            )
    return "; ".join(evidence) or None


def _nic_drops(context: CheckContext) -> str | None:
    evidence, threshold = [], context.thresholds.nic_drop_share
    for name, usage in context.hosts:
        network = usage.network if usage else None
        if (
            network is None
            or network.packets is None
            or (network.drops is None and network.errors is None)
        ):
            continue
        lost = (network.drops or 0) + (network.errors or 0)
        if lost > threshold * max(1, network.packets):
            evidence.append(
                f"{name}'s network devices lost {lost} of {counted(network.packets, 'packet')}"
                f" ({network.drops or 0} dropped, {network.errors or 0} with errors;"
                f" {threshold_percent(threshold)})"
            )
    return "; ".join(evidence) or None


def _docker_proxy_busy(context: CheckContext) -> str | None:
    target, threshold = context.observation.target, context.thresholds.docker_proxy_cores
    cores = target.docker_proxy_cores if target else None
    if cores is None or cores <= threshold:
        return None
    return f"docker-proxy used {cores:.2f} of a CPU (threshold: {threshold:g}) to forward the load"


def _clock_offset(context: CheckContext) -> str | None:
    offsets = (_excessive_offset(context, client) for client in context.clients)
    return "; ".join(filter(None, offsets)) or None


def _excessive_offset(context: CheckContext, client: ClientContext) -> str | None:
    clock, threshold_s = client.observation.clock, context.thresholds.clock_offset_s
    if clock is None:
        return None
    offset_s = abs(clock.client_minus_target_s)
    if offset_s - clock.uncertainty_s <= threshold_s:
        return None
    direction = "ahead of" if clock.client_minus_target_s > 0 else "behind"
    return (
        f"{client.name}'s clock is {offset_s:.2f} s {direction} the target's"
        f" (± {clock.uncertainty_s:.2f} s; threshold: {threshold_s:g} s)"
    )


CHECKS = (
    Check(
        "listen-overflow",
        Level.INVALID,
        _listen_overflow,
        "Raise the server's backlog and net.core.somaxconn above the number of connections. A"
        " client repeats a dropped connection attempt only after a second or more.",
    ),
    Check(
        "retransmits",
        Level.SUSPECT,
        _retransmits,
        "Look for a network that loses packets or is congested. A retransmitted segment arrives"
        " late, often by 200 ms.",
    ),
    Check(
        "connections-reopened",
        Level.SUSPECT,
        _connections_reopened,
        "Enable keep-alive in the server. Look for `Connection: close` in its answers, a worker"
        " class without keep-alive, or a maximum number of requests per connection.",
    ),
    Check(
        "nic-drops",
        Level.SUSPECT,
        _nic_drops,
        "Run `ip -s link` and `ethtool -S` on that host. Its ring buffers may be too small, or the"
        " network congested.",
    ),
    Check(
        "docker-proxy-busy",
        Level.SUSPECT,
        _docker_proxy_busy,
        "Set networks: [host] in the suite, or load the target from another host instead of over"
        " loopback. docker-proxy can halve the throughput of a server.",
    ),
    Check(
        "clock-offset",
        Level.SUSPECT,
        _clock_offset,
        "Synchronize the clocks of both hosts with chrony or systemd-timesyncd. fwbench aligns the"
        " hosts' measurements by their clocks.",
    ),
)
