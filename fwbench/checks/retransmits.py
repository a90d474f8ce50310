"""More than 0.5 % of the TCP segments were retransmitted (`retransmits`).

Evidence: The host and both numbers.

Why: The latencies then show the network, not the contender. Lower shares do not indicate loss.
Between containers of one machine nothing is lost, but 0.10 to 0.12 % are retransmitted, because
acknowledgements arrive late (tail loss probes).
"""

from fwbench.checks.support.check import Check, Outcome, Status, combine
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.checks.support.wording import percent, threshold_percent
from fwbench.model.telemetry import HostUsage
from fwbench.model.verdict import Level

RETRANSMITS = Threshold(
    "retransmits", 0.005, "share of the segments sent; 0.0012 in a lab without packet loss"
)


def _evaluate(context: CheckContext) -> Outcome:
    return combine(_of_host(context, name, usage) for name, usage in context.hosts)


def _of_host(context: CheckContext, name: str, usage: HostUsage | None) -> Outcome:
    if usage is None or usage.network.retransmits is None or usage.network.segments_sent is None:
        return Status.NOT_OBSERVED
    retransmitted, sent = usage.network.retransmits, usage.network.segments_sent
    threshold = context.threshold(RETRANSMITS)
    if not retransmitted or not sent or retransmitted / sent <= threshold:
        return Status.PASSED
    return (
        f"{name} retransmitted {retransmitted} of {sent} TCP segments"
        f" ({percent(retransmitted / sent, 2)}; {threshold_percent(threshold)})"
    )


CHECK = Check(
    "retransmits",
    Level.SUSPECT,
    order=910,
    evaluate=_evaluate,
    advice="Look for a network that loses packets or is congested. A retransmitted segment"
    " arrives late, often by 200 ms.",
    thresholds=(RETRANSMITS,),
    needs="the counters of TCP segments",
)
