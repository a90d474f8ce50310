"""Network devices lost more than 0.1 % of their packets (`nic_drop_share`).

They dropped these packets, or counted errors in them.

Evidence: The host and both numbers. `lo`, bridges and containers' devices do not count.

Why: Every network drops a few stray packets. So many mean that the load itself lost packets.
"""

from fwbench.checks.support.check import Check, Outcome, Status, combine
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import counted, threshold_percent
from fwbench.model.telemetry import HostUsage
from fwbench.model.verdict import Level

NIC_DROP_SHARE = Threshold("nic_drop_share", 0.001, "share of the packets")


def _evaluate(context: CheckContext) -> Outcome:
    return combine(_of_host(context, name, usage) for name, usage in context.hosts)


def _of_host(context: CheckContext, name: str, usage: HostUsage | None) -> Outcome:
    network, threshold = usage.network if usage else None, context.threshold(NIC_DROP_SHARE)
    if network is None or network.packets is None:
        return Status.NOT_OBSERVED
    lost = (network.drops or 0) + (network.errors or 0)
    if lost <= threshold * max(1, network.packets):
        observed = network.drops is not None and network.errors is not None
        return Status.PASSED if observed else Status.NOT_OBSERVED
    return (
        f"{name}'s network devices lost {lost} of {counted(network.packets, 'packet')}"
        f" ({network.drops or 0} dropped, {network.errors or 0} with errors;"
        f" {threshold_percent(threshold)})"
    )


CHECK = Check(
    "nic-drops",
    Level.SUSPECT,
    order=930,
    evaluate=_evaluate,
    advice="Run `ip -s link` and `ethtool -S` on that host. Its ring buffers may be too small,"
    " or the network congested.",
    thresholds=(NIC_DROP_SHARE,),
    needs="the counters of network devices",
)
