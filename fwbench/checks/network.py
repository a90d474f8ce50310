"""Findings about the network between the hosts, and about their clocks."""

from fwbench.checks.context import Check, CheckContext, ClientContext, counted
from fwbench.model.verdict import Level

ANYBODYS_CONNECTIONS = 10


def _listen_overflow(context: CheckContext) -> str | None:
    target = context.observation.target
    if target is None:
        return None
    overflows, drops = target.network.listen_overflows, target.network.listen_drops
    if not overflows and not drops:
        return None
    return (
        f"the queue of connections to be accepted overflowed {counted(overflows or 0, 'time')}, and"
        f" {counted(drops or 0, 'attempt')} to connect were dropped"
    )


def _retransmits(context: CheckContext) -> str | None:
    found = []
    for name, usage in context.hosts:
        if usage is None:
            continue
        again, sent = usage.network.retransmits, usage.network.segments_sent
        if again and sent and again / sent > context.thresholds.retransmits:
            found.append(f"{name} sent {again} of {sent} segments again ({again / sent:.2%})")
    return "; ".join(found) or None


def _connections_reopened(context: CheckContext) -> str | None:
    """Where all are kept, h2load opens each once, and docker-proxy on the same host once more."""
    found = []
    for share in context.clients:
        usage, connections = share.observation.usage, share.load.connections
        opened = usage.network.connections_opened if usage else None
        allowed = context.thresholds.connections_opened * connections + ANYBODYS_CONNECTIONS
        if opened is not None and opened > allowed:
            found.append(
                f"{share.name} opened {counted(opened, 'connection')} during a load that has"
                f" {connections}: requests paid for connections that were not kept"
            )
    return "; ".join(found) or None


def _nic_drops(context: CheckContext) -> str | None:
    found = []
    for name, usage in context.hosts:
        network = usage.network if usage else None
        if (
            network is None
            or network.packets is None
            or (network.drops is None and network.errors is None)
        ):
            continue
        lost = (network.drops or 0) + (network.errors or 0)
        if lost > context.thresholds.nic_drop_share * max(1, network.packets):
            found.append(
                f"{name}'s network device lost {lost} of {counted(network.packets, 'packet')}"
                f" ({network.drops or 0} dropped, {network.errors or 0} broken)"
            )
    return "; ".join(found) or None


def _docker_proxy_busy(context: CheckContext) -> str | None:
    target = context.observation.target
    cores = target.docker_proxy_cores if target else None
    if cores is None or cores <= context.thresholds.docker_proxy_cores:
        return None
    return f"docker-proxy used {cores:.2f} of a core: the load went through it"


def _clock_offset(context: CheckContext) -> str | None:
    found = [said for share in context.clients if (said := _apart(context, share)) is not None]
    return "; ".join(found) or None


def _apart(context: CheckContext, share: ClientContext) -> str | None:
    clock = share.observation.clock
    if clock is None:
        return None
    apart_s = abs(clock.client_minus_target_s)
    if apart_s - clock.uncertainty_s <= context.thresholds.clock_offset_s:
        return None
    ahead = "ahead of" if clock.client_minus_target_s > 0 else "behind"
    return (
        f"{share.name}'s clock is {apart_s:.2f} s {ahead} the target's"
        f" (give or take {clock.uncertainty_s:.2f} s)"
    )


CHECKS = (
    Check(
        "listen-overflow",
        Level.INVALID,
        _listen_overflow,
        "Raise the server's backlog and net.core.somaxconn above the number of connections: one"
        " that is dropped tries again after a second or more.",
    ),
    Check(
        "retransmits",
        Level.SUSPECT,
        _retransmits,
        "Look for a network that loses packets or is full: what is sent again comes late, often by"
        " 200 ms.",
    ),
    Check(
        "connections-reopened",
        Level.SUSPECT,
        _connections_reopened,
        "Let the server keep its connections: look for `Connection: close` in its answers, a worker"
        " class without keep-alive, or a limit of requests for each connection.",
    ),
    Check(
        "nic-drops",
        Level.SUSPECT,
        _nic_drops,
        "Look at `ip -s link` and `ethtool -S` on that host: the rings may be too small, or the"
        " network full.",
    ),
    Check(
        "docker-proxy-busy",
        Level.SUSPECT,
        _docker_proxy_busy,
        "Load an address of the target from another host, not loopback, or set networks: [host] in"
        " the suite: a way through a proxy halves what one server can do.",
    ),
    Check(
        "clock-offset",
        Level.SUSPECT,
        _clock_offset,
        "Let chrony or systemd-timesyncd set the clocks of both hosts: their records cannot be laid"
        " side by side.",
    ),
)
